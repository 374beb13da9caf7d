// Sorting and filtering. Without this script the page shows everything, in the order of the class.
"use strict";

function keyOf(row, column, numeric) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (!numeric) return text.toLocaleLowerCase();
  const number = parseFloat(text);
  return Number.isNaN(number) ? null : number;
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null); // what is unknown comes last, either way
  return typeof a === "number" ? a - b : collator.compare(a, b);
}

const collator = new Intl.Collator(undefined, { numeric: true });

function sortBy(table, heading, status) {
  const headings = [...table.tHead.rows[0].cells];
  const column = headings.indexOf(heading);
  const numeric = heading.dataset.type === "number";
  const before = heading.getAttribute("aria-sort");
  const direction = before ? (before === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction);
  const body = table.tBodies[0];
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = [...body.rows].map((row) => [keyOf(row, column, numeric), row]);
  keyed.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : sign * compare(a, b)));
  body.replaceChildren(...keyed.map(([, row]) => row));
  status.textContent = `Sorted by ${heading.textContent.trim()}, ${direction}.`;
}

function makeSortable(table) {
  const status = document.createElement("p");
  status.className = "quiet";
  status.setAttribute("role", "status");
  table.closest(".wide").before(status);
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, heading, status));
  }
}

function makeFilter(form) {
  const rows = [...document.getElementById(form.dataset.table).tBodies[0].rows];
  const status = form.querySelector("[role=status]");
  const texts = rows.map((row) => row.cells[0].textContent.toLocaleLowerCase());
  const apply = () => {
    const words = form.elements.words.value.trim().toLocaleLowerCase();
    const state = form.elements.state.value;
    let shown = 0;
    rows.forEach((row, n) => {
      const fits = texts[n].includes(words) && (!state || row.dataset.states.split(" ").includes(state));
      row.hidden = !fits;
      shown += fits;
    });
    status.textContent = `${shown} of ${rows.length} students`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("form[data-table]").forEach(makeFilter);
