// The parts that the page is made of. Text is always set as text; only answers and questions are HTML, which the
// server cleans.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Put others in the place of an element's children; whoever walks through them by keyboard stays where they were.
export function refill(element, ...children) {
  const stations = () => [...element.querySelectorAll("button, input, a, [tabindex]")];
  const focused = document.activeElement;
  const at = element.contains(focused) && focused.matches(":focus-visible") ? stations().indexOf(focused) : -1;
  element.replaceChildren(...children);
  const now = stations();
  if (at >= 0 && now.length) now[Math.min(at, now.length - 1)].focus({ preventScroll: true });
}

export const points = (number) => (number === null || number === undefined ? "–" : String(Math.round(number * 100) / 100));
export const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export const isOpen = (row) => row.state === "unmarked" || row.state === "changed";
// A group's mark leaves these alone: they have a mark of their own, or one from elsewhere.
export const keepsItsMark = (row) => row.state === "elsewhere" || (row.state === "marked" && row.means === "one");

export function stateInWords(row) {
  switch (row.state) {
    case "unmarked": return "not marked";
    case "changed": return `changed since it was marked: ${points(row.points)} still counts`;
    case "untouched": return "untouched: 0 by itself";
    case "elsewhere": return `${points(row.points)}, marked elsewhere`;
    default: return `${points(row.points)}${row.who ? ` by ${row.who}` : ""}${row.means === "one" ? ", by itself" : ""}`;
  }
}

// What a mark gave.
export const inWords = (row) => `${points(row.points)} p${row.items && row.items.length ? ` (${row.items.join(", ").replaceAll("_", " ")})` : ""}`;

export function startOf(text) {
  const start = text.replace(/\s+/g, " ").trim();
  return start || "(empty)";
}

// How a group stands, in a few letters: what is left, or what it got.
export function groupState(rows) {
  const left = rows.filter(isOpen).length;
  const given = [...new Set(rows.filter((row) => !isOpen(row)).map((row) => points(row.points)))];
  const marks = given.length > 1 ? "several marks" : given.length ? `${given[0]} p` : "";
  if (left === rows.length) return left === 1 ? "open" : `${left} open`;
  return left ? `${left} open, ${marks}` : marks;
}

export function groupButton(number, rows, isCurrent, choose) {
  const left = rows.some(isOpen);
  const flagged = rows.some((row) => row.flagged);
  return make("li", {},
    make("button", { type: "button", class: left ? "" : "done", "aria-current": isCurrent ? "true" : null, onclick: choose },
      make("span", {}, counted(rows.length, "answer"), flagged ? " ⚑" : ""),
      make("span", { class: "how" }, `${left ? "" : "✓ "}${groupState(rows)}`),
      make("span", { class: "start", dir: "auto" }, startOf(rows[0].text).slice(0, 90))));
}

// One card for all answers of a group that are the same, letter by letter.
export function card(rows, settings) {
  const { html, isHere, isChosen, match, choose, go, move, back, flag } = settings;
  const first = rows[0];
  const states = [...new Set(rows.map(stateInWords))];
  const names = rows.map((row) => row.name).filter(Boolean);
  const remarks = [...new Set(rows.map((row) => row.comment).filter(Boolean))].map((text) => `Comment: ${text}`);
  remarks.push(...new Set(rows.map((row) => row.note).filter(Boolean).map((text) => `Note: ${text}`)));
  remarks.push(...new Set(rows.filter((row) => row.second !== null)
    .map((row) => `Second reading: ${points(row.second)}${row.second === row.points ? ", too" : ""}`)));
  const answer = make("div", { class: "answer", dir: "auto", tabindex: "0", role: "group", "aria-label": "Answer" });
  if (html === undefined) answer.append(make("p", { class: "nothing" }, "…"));
  else if (!first.text.trim() && !html.includes("<img")) answer.append(make("p", { class: "nothing" }, first.digest ? "(empty)" : "(no graded notebook with this answer)"));
  else answer.innerHTML = html;
  for (const link of answer.querySelectorAll("a")) link.target = "_blank";
  return make("article", { class: `card${isHere ? " here" : ""}${isChosen ? " chosen" : ""}`, id: `card-${first.id}`, onclick: go },
    make("div", { class: "top" },
      make("label", {}, make("input", { type: "checkbox", checked: isChosen, onchange: choose }),
        rows.length > 1 ? `${rows.length} identical` : "select"),
      ...states.map((state) => make("span", { class: `state${rows.some(isOpen) && /^(not|changed)/.test(state) ? " open" : ""}` }, state)),
      rows.some((row) => row.flagged) ? make("span", { class: "state" }, "⚑ flagged") : "",
      rows.some((row) => row.moved) ? make("span", {}, "put here") : "",
      match ? make("mark", {}, "found") : "",
      names.length ? make("span", {}, names.join("; ")) : "",
      make("span", { class: "actions buttons" },
        make("button", { type: "button", onclick: flag }, rows.every((row) => row.flagged) ? "Unflag" : "Flag"),
        rows.some((row) => row.moved) ? make("button", { type: "button", onclick: back }, "Put back") : "",
        make("button", { type: "button", onclick: move }, "Move…"))),
    answer,
    remarks.length ? make("div", { class: "remarks", dir: "auto" }, remarks.join("\n")) : "");
}

export const KEYS = [
  ["1 … 9", "rubric item on or off"], ["0, a", "no item, all items"], ["Enter", "save, go to the next group that is not marked"],
  ["j k ↓ ↑", "next, previous group"], ["n p", "next, previous answer of the group"],
  ["x", "select the answer: marks then go to selected answers alone"], ["m", "move the answer, or the selected ones, to another group"],
  ["o", "put it into a group of its own"], ["b", "put it back where it came from"], ["c", "comment"], ["l", "choose a comment that was used"],
  ["g", "give a mark that was given before, with its comment"],
  ["t", "private note"], ["f", "flag, unflag"], ["e", "model answer"], ["i", "other points than the items'"],
  ["u, Ctrl+Z", "undo, as often as you like"], ["r, Ctrl+Y", "redo"],
  ["[ ]", "previous, next question"], ["/", "search"], ["v", "next filter"], ["< >", "looser, stricter groups"],
  ["h", "show or hide names"], ["s", "second reading"], ["Esc", "leave a field; select nothing"], ["?", "these keys"],
];

// Ask something; returns the value of the button that was pressed, or null.
export function ask(heading, children, buttons) {
  const dialog = document.getElementById("dialog");
  return new Promise((resolve) => {
    const close = (value) => {
      dialog.onclose = null;
      if (dialog.open) dialog.close();
      dialog.replaceChildren(); // else the next key would still go to its field
      resolve(value);
    };
    dialog.replaceChildren(
      make("h2", { id: "dialog-heading" }, heading), ...children(close),
      make("p", { class: "buttons" }, ...buttons.map(([label, value, strong]) =>
        make("button", { type: "button", class: strong ? "strong" : "", onclick: () => close(value) }, label))));
    dialog.onclose = () => resolve(null);
    if (!dialog.open) dialog.showModal();
    (dialog.querySelector("input") || dialog.querySelector("button.strong") || dialog.querySelector("button")).focus();
  });
}

// Choose one of many by typing and with the arrow keys; returns its value, or null.
export function choose(heading, options) {
  return ask(heading, (close) => {
    const list = make("div", { class: "choices" });
    const field = make("input", { type: "text", "aria-label": "Type to find one", autocomplete: "off" });
    const fill = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = options.filter(([label]) => words.every((word) => label.toLowerCase().includes(word)));
      list.replaceChildren(...found.map(([label, value]) =>
        make("button", { type: "button", dir: "auto", onclick: () => close(value) }, label)));
    };
    const step = (by) => {
      const buttons = [...list.children];
      const at = buttons.indexOf(document.activeElement) + by;
      (buttons[at] || field).focus();
    };
    field.addEventListener("input", fill);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && list.firstChild) { event.preventDefault(); list.firstChild.click(); }
    });
    const box = make("div", { onkeydown: (event) => {
      if (event.key === "ArrowDown") { event.preventDefault(); step(1); }
      if (event.key === "ArrowUp") { event.preventDefault(); step(-1); }
    } }, field, list);
    fill();
    return [box];
  }, [["Cancel", null]]);
}
