// The second reading: another person marks a sample, and changes nothing.

import { make } from "/parts.js";
import { $, state } from "/state.js";
import { request, say, withNames } from "/server.js";
import { draft, leaveDraft, markOf } from "/drafts.js";
import { showMark } from "/view.js";
import { reload } from "/navigation.js";

export async function openSecond() {
  if (state.second) return closeSecond();
  if (!await leaveDraft()) return;
  state.chosen.clear();
  state.drafts.clear();
  state.second = {};
  document.body.classList.add("second");
  await nextSecond();
}

export function closeSecond() {
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

export async function saveSecond() {
  if (!state.second.id) return closeSecond();
  const now = draft();
  const { id, digest } = state.second;
  await request(withNames("/api/second"), { question: state.page.id, id, digest, mark: markOf(now) });
  say("Second reading saved; the mark stays as it is.");
  await nextSecond();
}
