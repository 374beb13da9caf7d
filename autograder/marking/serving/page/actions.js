// What people do to answers that is neither a mark nor a second reading: move, flag, note, take back.

import { ask, choose, counted, inWords, isOpen, make, points, startOf } from "/parts.js";
import { $, rowsOf, state } from "/state.js";
import { request, say, withNames } from "/server.js";
import { target, total } from "/drafts.js";
import { showAll } from "/view.js";
import { loadRows, reload, unselect } from "/navigation.js";

// One thing at a time. What was pressed meanwhile is done afterwards, but for what gives marks: nobody can mean those
// for answers that are not there yet.
export async function act(work) {
  if (state.busy) return;
  state.busy = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  } finally {
    state.own = performance.now();
    state.busy = false;
    const next = state.waiting.shift();
    if (next) next();
  }
}

export function patch(answer) {
  Object.assign(state.page.answers, answer.rows);
  state.page.undo = answer.undo;
  state.page.redo = answer.redo;
  loadRows();
}

export const seenOf = (ids) => Object.fromEntries(ids.map((id) => {
  const { digest, points: given, comment, moved } = state.page.answers[id];
  return [id, { digest, points: given, comment, moved }];
}));

// The mark that all answers of a group have; null where they have none, or several.
function markOfGroup(key) {
  const group = state.page.groups.find((candidate) => candidate.key === key);
  const rows = group ? rowsOf(group) : [];
  const same = (row) => row.items && !isOpen(row) && row.points === rows[0].points && row.comment === rows[0].comment &&
    row.items.join() === (rows[0].items || []).join();
  if (!rows.length || !rows.every(same)) return null;
  const items = new Set(rows[0].items);
  return { items: rows[0].items, comment: rows[0].comment, points: total(items) === rows[0].points ? null : rows[0].points };
}

export const move = (ids, key, back = false) => act(async () => {
  if (!ids.length) return;
  const mark = key && !back ? markOfGroup(key) : null;
  const answer = await request(withNames("/api/move"), { question: state.page.id, seen: seenOf(ids), key, back, mark });
  if (answer.conflict) {
    Object.assign(state.page.answers, answer.conflict);
    showAll();
    say("Somebody changed this meanwhile: look again. Nothing was moved.");
    return;
  }
  patch(answer);
  unselect();
  await reload();
  const done = back ? "put back" : mark ? `moved, with ${points(mark.points ?? total(new Set(mark.items)))} points` : "moved";
  say(`${counted(ids.length, "answer")} ${done}.`);
});

export async function moveSomewhere(ids) {
  if (!ids.length) return;
  const others = state.page.groups.filter((group) => group.key !== state.group).map((group) => {
    const rows = rowsOf(group);
    const given = [...new Set(rows.filter((row) => !isOpen(row)).map(inWords))].join(", ") || "open";
    return [`${given} · ${counted(rows.length, "answer")} · ${startOf(rows[0].text).slice(0, 70)}`, group.key];
  });
  const key = await choose(`Move ${counted(ids.length, "answer")} to`, [["A group of its own", ""], ...others]);
  if (key !== null) move(ids, key);
}

export const flag = (ids) => act(async () => {
  if (!ids.length) return;
  const flagged = !ids.every((id) => state.page.answers[id].flagged);
  patch(await request(withNames("/api/note"), { question: state.page.id, ids, flagged }));
  say(flagged ? "Flagged." : "No longer flagged.");
  showAll();
});

export const saveNote = () => act(async () => {
  const ids = target();
  if (!ids.length) return;
  const { value: note, dataset: { shown } } = $("note");
  patch(await request(withNames("/api/note"), { question: state.page.id, ids, note, shown }));
  say(`Note saved for ${counted(ids.length, "answer")}.`);
  showAll();
});

export const takeBack = (redo) => act(async () => {
  if (!(redo ? state.page.redo : state.page.undo)) return;
  const body = { question: state.page.id, redo };
  let answer = await request(withNames("/api/undo"), body);
  if (answer.conflict) {
    Object.assign(state.page.answers, answer.conflict);
    showAll();
    const rows = Object.values(answer.conflict);
    const anyway = await ask("Somebody changed this since then", () => [make("p", {}, "Nothing was taken back yet. Now there is:"),
      make("ul", {}, ...rows.slice(0, 12).map((row) => make("li", { dir: "auto" }, `${row.who || "elsewhere"}: ${points(row.points)} points – ${startOf(row.text).slice(0, 80)}`)))],
      [["Leave it", false, true], ["Take back all the same", true]]);
    if (!anyway) return;
    answer = await request(withNames("/api/undo"), { ...body, force: true });
  }
  state.drafts.clear();
  patch(answer);
  await reload();
  say(redo ? "Done again." : `Taken back; ${counted(Object.keys(answer.rows).length, "answer")} as before.`);
});
