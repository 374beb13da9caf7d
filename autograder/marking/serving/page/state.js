// What the page knows, and what follows from it: the open question, its groups, and which of them are wanted.

import { isOpen } from "/parts.js";

export const $ = (id) => document.getElementById(id);
export const AT_ONCE = 60; // answers that are laid out for one request
export const state = {
  who: "", rows: [], page: null, group: "", here: 0, chosen: new Set(), drafts: new Map(), html: new Map(),
  thresholds: new Map(), names: false, second: null, shown: AT_ONCE, busy: false, waiting: [], own: 0, turn: 0, lost: false,
};

export const current = () => state.page.groups.find((group) => group.key === state.group);

export const rowsOf = (group) => group.members.map((id) => state.page.answers[id]);

const FILTERS = {
  all: () => true, open: isOpen, flagged: (row) => row.flagged, elsewhere: (row) => row.state === "elsewhere",
  differ: (row) => row.second !== null && row.second !== row.points,
};

export const isFound = (row) => {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${row.text} ${row.comment} ${row.note} ${row.name}`.toLowerCase();
  return words.length > 0 && words.every((word) => text.includes(word));
};

export const isWanted = (row) => FILTERS[$("filter").value](row) && (!$("search").value.trim() || isFound(row));

export const shownGroups = () => state.page.groups.filter((group) => rowsOf(group).some(isWanted));

// The answers of the group, identical ones together, those that the filter asks for first.
export function piles() {
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
