// The page on which people mark. What it shows comes from the server. Here controls are connected, and all begins.

import { ask, make } from "/parts.js";
import { $, state } from "/state.js";
import { request } from "/server.js";
import { onClick } from "/view.js";
import {
  filterChanged, listen, loadRows, openGroup, openQuestion, select, setNames, setThreshold,
} from "/navigation.js";
import { flag, move, moveSomewhere, saveNote, takeBack } from "/actions.js";
import { openSecond } from "/second.js";
import { change, save, toggle, useComment } from "/marking.js";
import { pressed, showKeys } from "/keys.js";

function connectControls() {
  onClick({ flag, move, moveSomewhere, openGroup, openQuestion, select, toggle, useComment });
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
    if ([...state.drafts.values()].some((mark) => mark.touched)) event.preventDefault();
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
