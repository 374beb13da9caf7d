// Choosing a mark, and saving it.

import { ask, choose, counted, inWords, isOpen, keepsItsMark, make, points, startOf } from "/parts.js";
import { $, state } from "/state.js";
import { request, say, withNames } from "/server.js";
import { draft, draftKey, markOf, target, total } from "/drafts.js";
import { showAll, showMark } from "/view.js";
import { goOn, reload, unselect } from "/navigation.js";
import { act, patch, seenOf } from "/actions.js";
import { saveSecond } from "/second.js";

export function change(values) {
  Object.assign(draft(), values, { touched: true });
  showMark();
}

export function toggle(id) {
  const items = new Set(draft().items);
  if (!items.delete(id)) items.add(id);
  change({ items, other: null });
  $("other").value = "";
}

export function useComment(text) {
  change({ comment: text });
  $("comment").value = text;
}

export function useComments() {
  choose("Comment", state.page.comments.map((comment) => [`${comment.text} (${comment.uses})`, comment.text]))
    .then((text) => { if (text !== null) useComment(text); });
}

// The marks that this question's answers were given here, items and comment together, the commonest first.
function marksGiven() {
  const found = new Map();
  for (const row of Object.values(state.page.answers).filter((marked) => marked.items && !isOpen(marked))) {
    const key = JSON.stringify([row.items, row.points, row.comment]);
    found.set(key, { row, uses: (found.has(key) ? found.get(key).uses : 0) + 1 });
  }
  return [...found.values()].sort((one, other) => other.uses - one.uses);
}

export async function giveAsBefore() {
  if (!target().length) return;
  const row = await choose(`Give ${counted(target().length, "answer")} a mark that was given before`, marksGiven().map((given) =>
    [`${inWords(given.row)}${given.row.comment ? ` · “${given.row.comment}”` : ""} · ${counted(given.uses, "answer")}`, given.row]));
  if (!row) return;
  const items = new Set(row.items);
  change({ items, comment: row.comment, other: total(items) === row.points ? null : row.points });
  await save();
}

export const save = () => act(async () => {
  if (state.second) return saveSecond();
  if (!target().length) return;
  const now = draft();
  const means = state.chosen.size ? "one" : "group";
  if (!now.touched && target().some((id) => isOpen(state.page.answers[id])) && !now.items.size) {
    say("Choose what was earned first: 1 to 9 for items, 0 for none of them.");
    return;
  }
  let ids = target().filter((id) => means === "one" || !keepsItsMark(state.page.answers[id]));
  if (!ids.length) { say("All of these have marks of their own. Select an answer (x) to change its mark."); return; }
  const mark = markOf(now);
  const body = { question: state.page.id, means, mark, replaced: [] };
  let differed = false;
  let answer = await request(withNames("/api/mark"), { ...body, seen: seenOf(ids) });
  while (answer.conflict) {
    const others = answer.conflict;
    differed = true;
    Object.assign(state.page.answers, others);
    showAll();
    const what = await askConflict(others, ids.length);
    if (!what) return;
    if (what === "keep") ids = ids.filter((id) => !(id in others));
    else body.replaced.push(...Object.keys(others));
    if (!ids.length) { state.drafts.delete(draftKey()); await reload(); return; }
    answer = await request(withNames("/api/mark"), { ...body, seen: seenOf(ids) });
  }
  state.drafts.delete(draftKey());
  patch(answer);
  noteComment(mark);
  say(`Saved: ${points(mark.points ?? total(now.items))} points to ${counted(Object.keys(answer.rows).length, "answer")}.`);
  if (means === "one") { unselect(); showAll(); } else goOn();
  if (differed) await reload();
});

function noteComment(mark) {
  if (!mark.comment) return;
  const known = state.page.comments.find((comment) => comment.text === mark.comment);
  if (known) known.uses += 1;
  else state.page.comments.push({ text: mark.comment, uses: 1, items: mark.items });
}

function askConflict(others, count) {
  const rows = Object.values(others);
  const left = count - rows.length;
  return ask("Changed while you were marking", () => [
    make("p", {}, "Nothing of yours was saved yet. Now there is:"),
    make("ul", {}, ...rows.slice(0, 12).map((row) => make("li", { dir: "auto" },
      `${row.who || (row.state === "elsewhere" ? "elsewhere" : row.moved ? "moved by somebody" : "a new answer")}: ${points(row.points)} points`,
      row.comment ? `, “${row.comment}”` : "", ` – ${startOf(row.text).slice(0, 80)}`))),
    rows.length > 12 ? make("p", {}, `and ${rows.length - 12} more`) : "",
  ].filter(Boolean), [
    [left ? `Keep these, save the other ${left}` : "Keep these", "keep", true],
    ["Replace them by mine", "replace"], ["Cancel", null]]);
}
