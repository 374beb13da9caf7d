// What is shown: questions, groups, cards, and the mark that is about to be given.

import { card, counted, groupButton, isOpen, keepsItsMark, make, points, refill } from "/parts.js";
import { $, AT_ONCE, current, isFound, piles, rowsOf, shownGroups, state } from "/state.js";
import { request, withNames } from "/server.js";
import { draft, target, total } from "/drafts.js";

// What a click on something shown does; `mark.js` says it, since those things show again what they changed.
const clicked = {};
export const onClick = (handlers) => Object.assign(clicked, handlers);

export function showAll() {
  showQuestions();
  showGroups();
  showCards();
  showMark();
}

export function showQuestions() {
  const bars = state.rows.map((row) => {
    const isHere = state.page && state.page.id === row.id;
    const number = row.title.replace(/^\D*(?=\d)/, "") || row.title;
    const told = `${row.title}: ${row.open} of ${row.answers} left${row.flagged ? `, ${row.flagged} flagged` : ""}` +
      (row.differ ? `, ${row.differ} where the second reading differs` : "");
    return make("button", { type: "button", title: told, "aria-label": told, "aria-current": isHere ? "true" : null,
      onclick: () => clicked.openQuestion(row.id) },
      make("span", {}, row.open ? number : `${number} ✓`),
      make("progress", { max: Math.max(row.answers, 1), value: row.answers - row.open, "aria-hidden": "true" }));
  });
  refill($("questions"), ...bars);
}

export function showQuestion() {
  const page = state.page;
  document.title = `${page.title} – marking`;
  $("heading").textContent = page.title;
  $("text").innerHTML = page.text;
  $("guide").innerHTML = page.guide;
  $("most").textContent = points(page.points);
  $("other").max = page.points;
  $("threshold").value = page.threshold;
}

export function showGroups() {
  const groups = shownGroups();
  const rows = Object.values(state.page.answers);
  $("count").textContent = `${groups.length === state.page.groups.length ? "" : `${groups.length} of `}${state.page.groups.length}, ${counted(rows.filter(isOpen).length, "answer")} left`;
  $("threshold-shown").textContent = `${Math.round(state.page.threshold * 100)} %`;
  refill($("list"), ...groups.map((group, number) =>
    groupButton(number, rowsOf(group), group.key === state.group, () => clicked.openGroup(group.key))));
  if (!groups.length) $("list").append(make("li", { class: "quiet" }, "No group fits the filter and the search."));
  const button = $("list").querySelector("[aria-current]");
  if (button) button.scrollIntoView({ block: "nearest" });
  for (const [id, said, word] of [["undo", state.page.undo, "Undo"], ["redo", state.page.redo, "Redo"]]) {
    $(id).disabled = !said;
    $(id).title = said ? `${word}: ${said}` : `Nothing to ${word.toLowerCase()}`;
  }
}

export function showCards() {
  if (state.second) return;
  const all = piles();
  const shown = all.slice(0, state.shown);
  state.here = Math.min(state.here, Math.max(shown.length - 1, 0));
  const group = current();
  const number = state.page.groups.indexOf(group) + 1;
  $("place").textContent = group ? `Group ${number}: ${counted(group.members.length, "answer")}${group.kind === "empty" ? ", empty" : ""}` : "No answers yet";
  refill($("cards"), ...shown.map((rows, place) => {
    const ids = rows.map((row) => row.id);
    return card(rows, {
      html: state.html.get(`${rows[0].id} ${rows[0].digest} ${state.names}`),
      isHere: place === state.here, isChosen: ids.every((id) => state.chosen.has(id)), match: rows.some(isFound),
      choose: (event) => { event.stopPropagation(); clicked.select(ids); },
      go: (event) => { if (!event.target.closest("a, button, input, label")) { state.here = place; markHere(); } },
      move: (event) => { event.stopPropagation(); clicked.moveSomewhere(ids); },
      back: (event) => { event.stopPropagation(); clicked.move(ids, "", true); },
      flag: (event) => { event.stopPropagation(); clicked.flag(ids); },
    });
  }));
  if (all.length > shown.length) {
    $("cards").append(make("button", { type: "button", onclick: () => { state.shown += AT_ONCE; showCards(); } },
      `Show ${Math.min(AT_ONCE, all.length - shown.length)} more of ${all.length - shown.length}`));
  }
  loadHtml(shown);
}

async function loadHtml(shown) {
  const key = (row) => `${row.id} ${row.digest} ${state.names}`;
  const missing = shown.map((rows) => rows[0]).filter((row) => !state.html.has(key(row)));
  const name = state.page.id;
  for (let at = 0; at < missing.length; at += AT_ONCE) {
    const rows = missing.slice(at, at + AT_ONCE);
    const ids = rows.map((row) => row.id).join(",");
    const found = await request(withNames(`/api/answers?question=${encodeURIComponent(name)}&ids=${ids}`));
    if (!state.page || state.page.id !== name) return; // another question is open by now
    for (const row of rows) state.html.set(key(row), found[row.id] ?? "");
  }
  if (missing.length) showCards();
}

export function markHere() {
  [...$("cards").querySelectorAll(".card")].forEach((element, place) => element.classList.toggle("here", place === state.here));
  const element = $("cards").querySelectorAll(".card")[state.here];
  if (element) element.scrollIntoView({ block: "nearest" });
}

export function showMark() {
  const page = state.page;
  const ids = target();
  const now = draft();
  const kept = state.chosen.size ? 0 : ids.filter((id) => keepsItsMark(page.answers[id])).length;
  $("target").textContent = state.second ? "What would you give?" : state.chosen.size ? `Mark ${counted(ids.length, "selected answer")}`
    : `Mark the group${kept ? ` (${kept} ${kept === 1 ? "keeps its" : "keep their"} own mark)` : ""}`;
  refill($("items"), ...page.items.map((item, number) =>
    make("button", { type: "button", "aria-pressed": String(now.items.has(item.id)), onclick: () => clicked.toggle(item.id) },
      make("span", { class: "worth" }, make("kbd", {}, String(number + 1)), ` ${points(item.points)} p`),
      make("span", {}, item.id.replaceAll("_", " ")), make("span", { class: "what" }, item.text))));
  $("sum").textContent = points(now.other ?? total(now.items));
  if (document.activeElement !== $("other")) $("other").value = now.other ?? "";
  if (document.activeElement !== $("comment")) $("comment").value = now.comment;
  $("comment").disabled = Boolean(state.second);
  const same = [...now.items].sort().join();
  const fits = (comment) => [...comment.items].sort().join() === same;
  const comments = [...page.comments].sort((one, other) => fits(other) - fits(one) || other.uses - one.uses);
  refill($("comments"), ...(state.second ? [] : comments.slice(0, 8)).map((comment) =>
    make("button", { type: "button", title: comment.text, dir: "auto", onclick: () => clicked.useComment(comment.text) }, `${comment.text} (${comment.uses})`)));
  $("marks").classList.toggle("unsaved", now.touched);
  $("save").disabled = !ids.length && !state.second;
  $("save").replaceChildren(state.chosen.size ? "Save" : state.second ? "Save, next answer" : "Save, next group", " ", make("kbd", {}, "Enter"));
  const notes = [...new Set(ids.map((id) => page.answers[id].note).filter(Boolean))];
  if (document.activeElement !== $("note")) $("note").value = $("note").dataset.shown = notes.length === 1 ? notes[0] : "";
  $("note-box").hidden = Boolean(state.second);
}
