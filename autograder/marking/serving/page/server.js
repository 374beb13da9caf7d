// Talking to the server, and telling people what came of it.

import { $, state } from "/state.js";

export async function request(path, body) {
  let answer;
  const waits = setTimeout(() => trouble("Waiting for the gradebook: another program may be writing to it …"), body === undefined ? 10000 : 2000);
  try {
    answer = await fetch(path, body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    trouble("The server does not answer: nothing is saved now. Is “python -m autograder mark” still running?");
    throw new Error("no answer");
  } finally {
    clearTimeout(waits);
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

export const withNames = (path) => `${path}${path.includes("?") ? "&" : "?"}names=${state.names ? 1 : 0}`;

export function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

let silence = 0;

export function say(text) {
  $("said").textContent = text;
  $("said").classList.add("shown");
  clearTimeout(silence);
  silence = setTimeout(() => $("said").classList.remove("shown"), 4000);
}
