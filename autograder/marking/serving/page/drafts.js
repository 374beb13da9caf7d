// Marks that are about to be given: each lives here until it is saved.

import { ask, counted, isOpen, make } from "/parts.js";
import { current, state } from "/state.js";

export const target = () => (state.chosen.size ? [...state.chosen] : current() ? current().members : []);

export const draftKey = () => (state.second ? "second" : state.chosen.size ? "chosen" : state.group);

export function draft() {
  const key = draftKey();
  if (!state.drafts.has(key)) state.drafts.set(key, { ...asItIs(), touched: false });
  return state.drafts.get(key);
}

// What the answers have now, where all that are marked have the same.
function asItIs() {
  if (state.second) return { items: new Set(), comment: "", other: null };
  const rows = target().map((id) => state.page.answers[id]).filter((row) => !isOpen(row) && row.items);
  const same = rows.length && rows.every((row) => row.points === rows[0].points && row.comment === rows[0].comment &&
    row.items.join() === rows[0].items.join());
  if (!same) return { items: new Set(), comment: "", other: null };
  const items = new Set(rows[0].items);
  return { items, comment: rows[0].comment, other: total(items) === rows[0].points ? null : rows[0].points };
}

export const total = (items) => state.page.items.filter((item) => items.has(item.id)).reduce((sum, item) => sum + item.points, 0);

export const markOf = (now) => ({
  items: state.page.items.map((item) => item.id).filter((id) => now.items.has(id)), comment: now.comment.trim(), points: now.other,
});

export async function leaveDraft() {
  const left = [...state.drafts.values()].filter((mark) => mark.touched).length;
  if (!left) return true;
  return await ask("There are marks that you chose and did not save", () => [make("p", {}, `${counted(left, "mark")} would be lost.`)],
    [["Go back", false, true], ["Leave them", true]]) === true;
}
