// The page on which people mark. What it shows comes from the server; a draft of a mark lives here until it is saved.

import {
  KEYS, ask, card, choose, counted, groupButton, isOpen, keepsItsMark, make, points, refill, startOf,
} from "/parts.js";

const $ = (id) => document.getElementById(id);
const AT_ONCE = 60; // answers that are laid out for one request
const state = {
  who: "", rows: [], page: null, group: "", here: 0, chosen: new Set(), drafts: new Map(), html: new Map(),
  thresholds: new Map(), names: false, second: null, shown: AT_ONCE, busy: false, waiting: [], own: 0, turn: 0,
};

// ---- talking to the server

async function request(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    trouble("The server does not answer: nothing is saved now. Is “python -m autograder mark” still running?");
    throw new Error("no answer");
  }
  const data = await answer.json().catch(() => ({ problem: `The server answered ${answer.status}.` }));
  if (answer.status === 409) return { conflict: data.now };
  if (!answer.ok) {
    trouble(answer.status === 403 ? "This address is no longer good: open the one that the terminal shows." : data.problem);
    throw new Error(data.problem);
  }
  trouble("");
  return data;
}

const withNames = (path) => `${path}${path.includes("?") ? "&" : "?"}names=${state.names ? 1 : 0}`;

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

let silence = 0;
function say(text) {
  $("said").textContent = text;
  $("said").classList.add("shown");
  clearTimeout(silence);
  silence = setTimeout(() => $("said").classList.remove("shown"), 4000);
}

function listen() {
  const socket = new WebSocket(`ws://${location.host}/live`);
  let late = 0;
  socket.onopen = () => { if (state.lost) { state.lost = false; trouble(""); loadRows(); reload(); } };
  socket.onmessage = (event) => {
    const news = JSON.parse(event.data);
    clearTimeout(late);
    late = setTimeout(() => {
      loadRows();
      if (state.page && news.question === state.page.id && performance.now() - state.own > 1500) reload();
    }, 250);
  };
  socket.onclose = () => {
    state.lost = true;
    trouble("The connection is lost: what you do now may not be saved. Trying again …");
    setTimeout(listen, 2000);
  };
}

// ---- what is shown

const current = () => state.page.groups.find((group) => group.key === state.group);
const rowsOf = (group) => group.members.map((id) => state.page.answers[id]);

async function loadRows() {
  state.rows = await request("/api/questions");
  showQuestions();
}

async function openQuestion(name) {
  if (!await leaveDraft()) return;
  state.second = null;
  Object.assign(state, { page: null, group: "", here: 0, shown: AT_ONCE });
  state.chosen.clear();
  state.drafts.clear();
  state.html.clear();
  history.replaceState(null, "", `#${name}`);
  await reload(name);
  firstOpen();
}

async function reload(name = state.page && state.page.id) {
  if (!name) return;
  const threshold = state.thresholds.get(name);
  const turn = state.turn += 1;
  const page = await request(withNames(`/api/question?name=${encodeURIComponent(name)}${threshold ? `&threshold=${threshold}` : ""}`));
  if (turn !== state.turn) return; // something newer was asked for meanwhile
  const before = state.page && state.page.id === name && state.group ? current() : null;
  const isNew = !state.page || state.page.id !== name;
  state.page = page;
  if (!page.groups.some((group) => group.key === state.group)) {
    const held = before ? new Set(before.members) : new Set();
    const next = page.groups.find((group) => group.members.some((id) => held.has(id))) || page.groups[0];
    state.group = next ? next.key : "";
    state.here = 0;
  }
  state.chosen = new Set([...state.chosen].filter((id) => page.answers[id]));
  if (isNew) showQuestion();
  showAll();
}

function showAll() {
  showQuestions();
  showGroups();
  showCards();
  showMark();
}

function showQuestions() {
  const bars = state.rows.map((row) => {
    const isHere = state.page && state.page.id === row.id;
    const number = row.title.replace(/^\D*(?=\d)/, "") || row.title;
    const told = `${row.title}: ${row.open} of ${row.answers} left${row.flagged ? `, ${row.flagged} flagged` : ""}` +
      (row.differ ? `, ${row.differ} where the second reading differs` : "");
    return make("button", { type: "button", title: told, "aria-label": told, "aria-current": isHere ? "true" : null,
      onclick: () => openQuestion(row.id) },
      make("span", {}, row.open ? number : `${number} ✓`),
      make("progress", { max: Math.max(row.answers, 1), value: row.answers - row.open, "aria-hidden": "true" }));
  });
  refill($("questions"), ...bars);
}

function showQuestion() {
  const page = state.page;
  document.title = `${page.title} – marking`;
  $("heading").textContent = page.title;
  $("text").innerHTML = page.text;
  $("guide").innerHTML = page.guide;
  $("most").textContent = points(page.points);
  $("other").max = page.points;
  $("threshold").value = page.threshold;
}

const FILTERS = {
  all: () => true, open: isOpen, flagged: (row) => row.flagged, elsewhere: (row) => row.state === "elsewhere",
  differ: (row) => row.second !== null && row.second !== row.points,
};
const isFound = (row) => {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${row.text} ${row.comment} ${row.note} ${row.name}`.toLowerCase();
  return words.length > 0 && words.every((word) => text.includes(word));
};
const isWanted = (row) => FILTERS[$("filter").value](row) && (!$("search").value.trim() || isFound(row));
const shownGroups = () => state.page.groups.filter((group) => rowsOf(group).some(isWanted));

function showGroups() {
  const groups = shownGroups();
  const rows = Object.values(state.page.answers);
  $("count").textContent = `${groups.length} of ${state.page.groups.length}; ${counted(rows.filter(isOpen).length, "answer")} left`;
  $("threshold-shown").textContent = `${Math.round(state.page.threshold * 100)} %`;
  refill($("list"), ...groups.map((group, number) =>
    groupButton(number, rowsOf(group), group.key === state.group, () => openGroup(group.key))));
  if (!groups.length) $("list").append(make("li", { class: "quiet" }, "No group fits the filter and the search."));
  const button = $("list").querySelector("[aria-current]");
  if (button) button.scrollIntoView({ block: "nearest" });
  for (const [id, said, word] of [["undo", state.page.undo, "Undo"], ["redo", state.page.redo, "Redo"]]) {
    $(id).disabled = !said;
    $(id).title = said ? `${word}: ${said}` : `Nothing to ${word.toLowerCase()}`;
  }
}

// The answers of the group, identical ones together, those that the filter asks for first.
function piles() {
  const group = current();
  if (!group) return [];
  const found = new Map();
  for (const row of rowsOf(group)) {
    const pile = found.get(row.digest) || [];
    pile.push(row);
    found.set(row.digest, pile);
  }
  return [...found.values()].sort((one, other) => other.some(isWanted) - one.some(isWanted) || other.length - one.length);
}

function showCards() {
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
      choose: (event) => { event.stopPropagation(); select(ids); },
      go: (event) => { if (!event.target.closest("a, button, input, label")) { state.here = place; mark_here(); } },
      move: (event) => { event.stopPropagation(); moveSomewhere(ids); },
      back: (event) => { event.stopPropagation(); move(ids, "", true); },
      flag: (event) => { event.stopPropagation(); flag(ids); },
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

function mark_here() {
  [...$("cards").querySelectorAll(".card")].forEach((element, place) => element.classList.toggle("here", place === state.here));
  const element = $("cards").querySelectorAll(".card")[state.here];
  if (element) element.scrollIntoView({ block: "nearest" });
}

// ---- the mark that is about to be given

const target = () => (state.chosen.size ? [...state.chosen] : current() ? current().members : []);
const draftKey = () => (state.second ? "second" : state.chosen.size ? "chosen" : state.group);

function draft() {
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

const total = (items) => state.page.items.filter((item) => items.has(item.id)).reduce((sum, item) => sum + item.points, 0);

function showMark() {
  const page = state.page;
  const ids = target();
  const now = draft();
  const kept = state.chosen.size ? 0 : ids.filter((id) => keepsItsMark(page.answers[id])).length;
  $("target").textContent = state.second ? "What would you give?" : state.chosen.size ? `Mark ${counted(ids.length, "selected answer")}`
    : `Mark the group${kept ? ` (${kept} ${kept === 1 ? "keeps its" : "keep their"} own mark)` : ""}`;
  refill($("items"), ...page.items.map((item, number) =>
    make("button", { type: "button", "aria-pressed": String(now.items.has(item.id)), onclick: () => toggle(item.id) },
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
    make("button", { type: "button", title: comment.text, dir: "auto", onclick: () => useComment(comment.text) }, `${comment.text} (${comment.uses})`)));
  $("marks").classList.toggle("unsaved", now.touched);
  $("save").disabled = !ids.length && !state.second;
  $("save").replaceChildren(state.chosen.size ? "Save" : state.second ? "Save, next answer" : "Save, next group", " ", make("kbd", {}, "Enter"));
  const notes = [...new Set(ids.map((id) => page.answers[id].note).filter(Boolean))];
  if (document.activeElement !== $("note")) $("note").value = notes.length === 1 ? notes[0] : "";
  $("note-box").hidden = Boolean(state.second);
}

function change(values) {
  Object.assign(draft(), values, { touched: true });
  showMark();
}

function toggle(id) {
  const items = new Set(draft().items);
  if (!items.delete(id)) items.add(id);
  change({ items, other: null });
  $("other").value = "";
}

function useComment(text) {
  change({ comment: text });
  $("comment").value = text;
}

async function leaveDraft() {
  const left = [...state.drafts.values()].filter((each) => each.touched).length;
  if (!left) return true;
  return await ask("There are marks that you chose and did not save", () => [make("p", {}, `${counted(left, "mark")} would be lost.`)],
    [["Go back", false, true], ["Leave them", true]]) === true;
}

// ---- what people do

// One thing at a time. What was pressed meanwhile is done afterwards, but for what gives marks: nobody can mean those
// for answers that are not there yet.
async function act(work) {
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

function patch(answer) {
  Object.assign(state.page.answers, answer.rows);
  state.page.undo = answer.undo;
  state.page.redo = answer.redo;
  loadRows();
}

const seenOf = (ids) => Object.fromEntries(ids.map((id) => {
  const { digest, points: given, comment } = state.page.answers[id];
  return [id, { digest, points: given, comment }];
}));

const save = () => act(async () => {
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
  const body = { question: state.page.id, means, mark };
  let answer = await request(withNames("/api/mark"), { ...body, seen: seenOf(ids) });
  while (answer.conflict) {
    const others = answer.conflict;
    Object.assign(state.page.answers, others);
    showAll();
    const what = await askConflict(others, ids.length);
    if (!what) return;
    if (what === "keep") ids = ids.filter((id) => !(id in others));
    if (!ids.length) { state.drafts.delete(draftKey()); showAll(); return; }
    answer = await request(withNames("/api/mark"), { ...body, seen: seenOf(ids) });
  }
  state.drafts.delete(draftKey());
  patch(answer);
  noteComment(mark);
  say(`Saved: ${points(mark.points ?? total(now.items))} points to ${counted(Object.keys(answer.rows).length, "answer")}.`);
  if (means === "one") { unselect(); showAll(); } else goOn();
});

const markOf = (now) => ({
  items: state.page.items.map((item) => item.id).filter((id) => now.items.has(id)), comment: now.comment.trim(), points: now.other,
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
      `${row.who || (row.state === "elsewhere" ? "elsewhere" : "a new answer")}: ${points(row.points)} points`,
      row.comment ? `, “${row.comment}”` : "", ` – ${startOf(row.text).slice(0, 80)}`))),
    rows.length > 12 ? make("p", {}, `and ${rows.length - 12} more`) : "",
  ].filter(Boolean), [
    [left ? `Keep these, save the other ${left}` : "Keep these", "keep", true],
    ["Replace them by mine", "replace"], ["Cancel", null]]);
}

function firstOpen() {
  const group = shownGroups().find((each) => rowsOf(each).some(isOpen)) || state.page.groups[0];
  if (group) openGroup(group.key);
}

function goOn() {
  const groups = shownGroups();
  const all = state.page.groups;
  const at = all.findIndex((group) => group.key === state.group);
  const order = [...all.slice(at + 1), ...all.slice(0, at)].filter((group) => groups.includes(group));
  const next = order.find((group) => rowsOf(group).some(isOpen));
  if (next) return openGroup(next.key);
  showAll();
  const rest = Object.values(state.page.answers).filter(isOpen).length;
  say(rest ? `Saved. ${counted(rest, "answer")} left outside the filter.` : `${state.page.title} is marked. ] goes to the next question.`);
}

function openGroup(key) {
  Object.assign(state, { group: key, here: 0, shown: AT_ONCE });
  unselect();
  showAll();
  $("answers").scrollTop = 0;
}

function stepGroup(by) {
  const groups = shownGroups();
  const at = groups.findIndex((group) => group.key === state.group);
  const next = groups[at < 0 ? 0 : at + by];
  if (next) openGroup(next.key);
}

function stepAnswer(by) {
  state.here = Math.min(Math.max(state.here + by, 0), Math.max(Math.min(piles().length, state.shown) - 1, 0));
  mark_here();
}

function stepQuestion(by) {
  const next = state.rows[state.rows.findIndex((row) => row.id === state.page.id) + by];
  if (next) openQuestion(next.id);
}

function unselect() {
  state.chosen.clear();
  state.drafts.delete("chosen");
}

function select(ids) {
  if (!state.chosen.size) state.drafts.delete("chosen");
  const isChosen = ids.every((id) => state.chosen.has(id));
  for (const id of ids) if (isChosen) state.chosen.delete(id); else state.chosen.add(id);
  if (!state.chosen.size) unselect();
  showCards();
  showMark();
}

const hereIds = () => (piles()[state.here] || []).map((row) => row.id);
const chosenOrHere = () => (state.chosen.size ? [...state.chosen] : hereIds());

// The mark that all answers of a group have; null where they have none, or several.
function markOfGroup(key) {
  const group = state.page.groups.find((each) => each.key === key);
  const rows = group ? rowsOf(group) : [];
  const same = (row) => row.items && !isOpen(row) && row.points === rows[0].points && row.comment === rows[0].comment &&
    row.items.join() === (rows[0].items || []).join();
  if (!rows.length || !rows.every(same)) return null;
  const items = new Set(rows[0].items);
  return { items: rows[0].items, comment: rows[0].comment, points: total(items) === rows[0].points ? null : rows[0].points };
}

const move = (ids, key, back = false) => act(async () => {
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

async function moveSomewhere(ids) {
  if (!ids.length) return;
  const others = state.page.groups.filter((group) => group.key !== state.group).map((group) => {
    const rows = rowsOf(group);
    const inWords = (row) => `${points(row.points)} p${row.items && row.items.length ? ` (${row.items.join(", ").replaceAll("_", " ")})` : ""}`;
    const given = [...new Set(rows.filter((row) => !isOpen(row)).map(inWords))].join(", ") || "open";
    return [`${given} · ${counted(rows.length, "answer")} · ${startOf(rows[0].text).slice(0, 70)}`, group.key];
  });
  const key = await choose(`Move ${counted(ids.length, "answer")} to`, [["A group of its own", ""], ...others]);
  if (key !== null) move(ids, key);
}

const flag = (ids) => act(async () => {
  if (!ids.length) return;
  const flagged = !ids.every((id) => state.page.answers[id].flagged);
  patch(await request(withNames("/api/note"), { question: state.page.id, ids, flagged }));
  say(flagged ? "Flagged." : "No longer flagged.");
  showAll();
});

const saveNote = () => act(async () => {
  const ids = target();
  if (!ids.length) return;
  patch(await request(withNames("/api/note"), { question: state.page.id, ids, note: $("note").value }));
  say(`Note saved for ${counted(ids.length, "answer")}.`);
  showAll();
});

const takeBack = (redo) => act(async () => {
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

// ---- second reading

async function openSecond() {
  if (state.second) return closeSecond();
  if (!await leaveDraft()) return;
  state.chosen.clear();
  state.drafts.clear();
  state.second = {};
  document.body.classList.add("second");
  await nextSecond();
}

function closeSecond() {
  state.second = null;
  state.drafts.delete("second");
  document.body.classList.remove("second");
  reload();
}

async function nextSecond() {
  state.second = await request(withNames(`/api/second?question=${encodeURIComponent(state.page.id)}`));
  state.drafts.delete("second");
  const { id, html, done, left } = state.second;
  $("place").textContent = `Second reading: ${done} done, ${left} left (Esc ends it)`;
  const answer = make("div", { class: "answer", dir: "auto", tabindex: "0", role: "group", "aria-label": "Answer" });
  answer.innerHTML = html;
  $("cards").replaceChildren(id ? make("article", { class: "card here" }, answer)
    : make("p", { class: "nothing" }, "There is nothing for you to read here: the sample is a tenth of the answers that others marked."));
  showMark();
}

async function saveSecond() {
  if (!state.second.id) return closeSecond();
  const now = draft();
  const { id, digest } = state.second;
  await request(withNames("/api/second"), { question: state.page.id, id, digest, mark: markOf(now) });
  say("Second reading saved; the mark stays as it is.");
  await nextSecond();
}

// ---- keys and controls

async function showKeys() {
  await ask("Keys", () => [make("dl", {}, ...KEYS.flatMap(([keys, what]) => [
    make("dt", {}, ...keys.split(" ").map((key) => (/^[…]$/.test(key) ? key : make("kbd", {}, key.replace(/,$/, ""))))), make("dd", {}, what)])),
    make("label", {}, make("input", { type: "checkbox", checked: !keysAreOff(), onchange: (event) => {
      if (event.target.checked) localStorage.removeItem("keys"); else localStorage.setItem("keys", "off");
    } }), " single keys do something")], [["Close", null, true]]);
}

const keysAreOff = () => localStorage.getItem("keys") === "off";

function useComments() {
  choose("Comment", state.page.comments.map((comment) => [`${comment.text} (${comment.uses})`, comment.text]))
    .then((text) => { if (text !== null) useComment(text); });
}

function nextFilter() {
  $("filter").selectedIndex = ($("filter").selectedIndex + 1) % $("filter").options.length;
  filterChanged();
}

function filterChanged() {
  if (!shownGroups().some((group) => group.key === state.group) && shownGroups().length) openGroup(shownGroups()[0].key);
  else showAll();
}

function setThreshold(value) {
  state.thresholds.set(state.page.id, Math.min(Math.max(value, 0.1), 1).toFixed(2));
  $("threshold").value = state.thresholds.get(state.page.id);
  reload();
}

function setNames(shown) {
  state.names = shown;
  $("names").checked = shown;
  reload();
}

const ACTIONS = {
  j: () => stepGroup(1), k: () => stepGroup(-1), ArrowDown: () => stepGroup(1), ArrowUp: () => stepGroup(-1),
  n: () => stepAnswer(1), p: () => stepAnswer(-1), x: () => select(hereIds()), m: () => moveSomewhere(chosenOrHere()),
  o: () => move(chosenOrHere(), ""), b: () => move(chosenOrHere(), "", true), c: () => $("comment").focus(), l: useComments,
  t: () => { $("note-box").open = true; $("note").focus(); }, f: () => flag(chosenOrHere()),
  u: () => takeBack(false), r: () => takeBack(true), "[": () => stepQuestion(-1), "]": () => stepQuestion(1),
  "/": () => $("search").focus(), v: nextFilter, h: () => setNames(!state.names), s: openSecond, "?": showKeys,
  i: () => $("other").focus(), "<": () => setThreshold(state.page.threshold - 0.05), ">": () => setThreshold(state.page.threshold + 0.05),
  0: () => change({ items: new Set(), other: null }),
  a: () => change({ items: new Set(state.page.items.map((item) => item.id)), other: null }),
  e: () => { $("guide-box").open = !$("guide-box").open; },
  Escape: () => { if (state.second) closeSecond(); else { unselect(); showCards(); showMark(); } },
};
const WAITING = new Set(["u", "r", "j", "k", "ArrowDown", "ArrowUp", "n", "p", "[", "]"]);
const IN_SECOND = new Set(["0", "a", "e", "s", "i", "?", "Escape"]);

function pressed(event) {
  if ($("dialog").open || !state.page) return;
  const field = event.target.closest("textarea, select, input:not([type=checkbox]):not([type=range])");
  if (field) {
    if (event.key === "Escape") { field.blur(); event.preventDefault(); }
    if (event.key === "Enter" && (field === $("other") || event.ctrlKey || event.metaKey) && $("marks").contains(field)) {
      event.preventDefault();
      field.blur();
      if (field === $("note")) saveNote(); else save();
    }
    return;
  }
  const isTyped = event.getModifierState("AltGraph"); // as [ and ] are on many keyboards
  if (!isTyped && (event.ctrlKey || event.metaKey)) {
    if (event.key === "z") { event.preventDefault(); takeBack(event.shiftKey); }
    if (event.key === "y") { event.preventDefault(); takeBack(true); }
    return;
  }
  if ((event.altKey && !isTyped) || keysAreOff()) return;
  if (state.busy) {
    if (event.key !== "Tab") event.preventDefault();
    if (WAITING.has(event.key)) state.waiting.push(ACTIONS[event.key]);
    return;
  }
  if (event.key === "Enter" && !event.target.closest("button, a, summary")) { event.preventDefault(); save(); return; }
  const item = /^[1-9]$/.test(event.key) && state.page.items[Number(event.key) - 1];
  const action = item ? () => toggle(item.id) : state.second && !IN_SECOND.has(event.key) ? null : ACTIONS[event.key];
  if (action) { event.preventDefault(); action(); }
}

function connectControls() {
  document.addEventListener("keydown", pressed);
  $("marks").addEventListener("submit", (event) => { event.preventDefault(); save(); });
  $("comment").addEventListener("input", () => change({ comment: $("comment").value }));
  $("other").addEventListener("input", () => change({ other: $("other").value === "" ? null : Number($("other").value) }));
  $("save-note").addEventListener("click", saveNote);
  $("undo").addEventListener("click", () => takeBack(false));
  $("redo").addEventListener("click", () => takeBack(true));
  $("second").addEventListener("click", openSecond);
  $("help").addEventListener("click", showKeys);
  $("who").addEventListener("click", askWho);
  $("names").addEventListener("change", () => setNames($("names").checked));
  $("filter").addEventListener("change", filterChanged);
  $("search").addEventListener("input", filterChanged);
  $("threshold").addEventListener("change", () => setThreshold(Number($("threshold").value)));
  $("fold").addEventListener("click", () => {
    const isOpenNow = $("groups").classList.toggle("folded");
    $("fold").setAttribute("aria-expanded", String(!isOpenNow));
  });
  window.addEventListener("beforeunload", (event) => {
    if ([...state.drafts.values()].some((each) => each.touched)) event.preventDefault();
  });
}

async function askWho() {
  let name = null;
  while (!name) {
    const field = make("input", { type: "text", "aria-label": "Your name", maxlength: "60", value: state.who });
    const said = await ask("Who marks in this browser?", (close) => {
      field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); close(field.value); } });
      return [make("p", {}, "Your name stands beside your marks in the history; students do not see it."), field];
    }, [["That is me", "", true]]);
    name = (said || field.value).trim();
    if (!name && state.who) return;
  }
  state.who = (await request("/api/me", { who: name })).who;
  $("who").textContent = state.who;
}

async function start() {
  connectControls();
  if (matchMedia("(max-width: 900px)").matches) $("fold").click();
  const me = await request("/api/me");
  state.who = me.who;
  if (!state.who) await askWho();
  $("who").textContent = state.who;
  $("who").title = "Somebody else marks now";
  await loadRows();
  listen();
  const named = decodeURIComponent(location.hash.slice(1));
  const first = state.rows.find((row) => row.id === named) || state.rows.find((row) => row.open) || state.rows[0];
  await openQuestion(first.id);
}

start();
