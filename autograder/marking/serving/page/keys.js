// What keys do.

import { KEYS, ask, make } from "/parts.js";
import { $, state } from "/state.js";
import { showCards, showMark } from "/view.js";
import {
  chosenOrHere, hereIds, nextFilter, select, setNames, setThreshold, stepAnswer, stepGroup, stepQuestion, unselect,
} from "/navigation.js";
import { flag, move, moveSomewhere, saveNote, takeBack } from "/actions.js";
import { closeSecond, openSecond } from "/second.js";
import { change, giveAsBefore, save, toggle, useComments } from "/marking.js";

const ACTIONS = {
  j: () => stepGroup(1), k: () => stepGroup(-1), ArrowDown: () => stepGroup(1), ArrowUp: () => stepGroup(-1),
  n: () => stepAnswer(1), p: () => stepAnswer(-1), x: () => select(hereIds()), m: () => moveSomewhere(chosenOrHere()),
  o: () => move(chosenOrHere(), ""), b: () => move(chosenOrHere(), "", true), c: () => $("comment").focus(), l: useComments, g: giveAsBefore,
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

export function pressed(event) {
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

export async function showKeys() {
  await ask("Keys", () => [make("dl", {}, ...KEYS.flatMap(([keys, what]) => [
    make("dt", {}, ...keys.split(" ").map((key) => (/^[…]$/.test(key) ? key : make("kbd", {}, key.replace(/,$/, ""))))), make("dd", {}, what)])),
    make("label", {}, make("input", { type: "checkbox", checked: !keysAreOff(), onchange: (event) => {
      if (event.target.checked) localStorage.removeItem("keys"); else localStorage.setItem("keys", "off");
    } }), " single keys do something")], [["Close", null, true]]);
}

const keysAreOff = () => localStorage.getItem("keys") === "off";
