// Going from question to question, group to group and answer to answer, and choosing what is seen of them.

import { counted, isOpen } from "/parts.js";
import { $, AT_ONCE, current, piles, rowsOf, shownGroups, state } from "/state.js";
import { request, say, trouble, withNames } from "/server.js";
import { leaveDraft } from "/drafts.js";
import { markHere, showAll, showCards, showMark, showQuestion, showQuestions } from "/view.js";

export async function loadRows() {
  state.rows = await request("/api/questions");
  showQuestions();
}

export async function openQuestion(name) {
  if (!await leaveDraft()) return;
  state.second = null;
  document.body.classList.remove("second");
  Object.assign(state, { page: null, group: "", here: 0, shown: AT_ONCE });
  state.chosen.clear();
  state.drafts.clear();
  state.html.clear();
  history.replaceState(null, "", `#${name}`);
  await reload(name);
  firstOpen();
}

export async function reload(name = state.page && state.page.id) {
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

export function firstOpen() {
  const group = shownGroups().find((wanted) => rowsOf(wanted).some(isOpen)) || state.page.groups[0];
  if (group) openGroup(group.key);
}

export function goOn() {
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

export function openGroup(key) {
  Object.assign(state, { group: key, here: 0, shown: AT_ONCE });
  unselect();
  showAll();
  $("answers").scrollTop = 0;
}

export function stepGroup(by) {
  const groups = shownGroups();
  const at = groups.findIndex((group) => group.key === state.group);
  const next = groups[at < 0 ? 0 : at + by];
  if (next) openGroup(next.key);
}

export function stepAnswer(by) {
  state.here = Math.min(Math.max(state.here + by, 0), Math.max(Math.min(piles().length, state.shown) - 1, 0));
  markHere();
}

export function stepQuestion(by) {
  const next = state.rows[state.rows.findIndex((row) => row.id === state.page.id) + by];
  if (next) openQuestion(next.id);
}

export function unselect() {
  state.chosen.clear();
  state.drafts.delete("chosen");
}

export function select(ids) {
  if (!state.chosen.size) state.drafts.delete("chosen");
  const isChosen = ids.every((id) => state.chosen.has(id));
  for (const id of ids) if (isChosen) state.chosen.delete(id); else state.chosen.add(id);
  if (!state.chosen.size) unselect();
  showCards();
  showMark();
}

export const hereIds = () => (piles()[state.here] || []).map((row) => row.id);

export const chosenOrHere = () => (state.chosen.size ? [...state.chosen] : hereIds());

export function nextFilter() {
  $("filter").selectedIndex = ($("filter").selectedIndex + 1) % $("filter").options.length;
  filterChanged();
}

export function filterChanged() {
  if (!shownGroups().some((group) => group.key === state.group) && shownGroups().length) openGroup(shownGroups()[0].key);
  else showAll();
}

export function setThreshold(value) {
  state.thresholds.set(state.page.id, Math.min(Math.max(value, 0.1), 1).toFixed(2));
  $("threshold").value = state.thresholds.get(state.page.id);
  reload();
}

export function setNames(shown) {
  state.names = shown;
  $("names").checked = shown;
  reload();
}

export function listen() {
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
