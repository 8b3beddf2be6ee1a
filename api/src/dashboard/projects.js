// The list of projects: read once, then kept up to date project by project, so that a thousand of them cost nothing.

import { all, at, get } from "./api.js";
import { useEffect, useState } from "./html.js";
import { listen, patience } from "./live.js";

/** Beyond so many changed projects the whole list is read again. */
const SINGLY = 25;

const known = new Map();
const watchers = new Set();
let state = { items: null, error: null };
let changed = new Set();
/** Removed since the last reading began: an answer that is older than that must not bring them back. */
let gone = new Set();
let timer = null;
let busy = false;
let spent = 0;

/** Puts a project in; one that has not changed keeps its object, so that nothing is drawn for it. */
function put(one) {
  if (gone.has(one.id)) return;
  const text = JSON.stringify(one);
  if (known.get(one.id)?.text !== text) known.set(one.id, { text, one });
}

function publish(error = null) {
  const items = [...known.values()].map((entry) => entry.one);
  items.sort((a, b) => (a.id < b.id ? -1 : 1));
  state = { items, error };
  for (const watcher of watchers) watcher(state);
}

async function whole() {
  const items = await all("/projects");
  const ids = new Set(items.map((one) => one.id));
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  items.forEach(put);
}

async function single(id) {
  try {
    const { next_runs, command, ...one } = await get(at("projects", id));
    put(one);
  } catch (error) {
    if (error.status !== 404) throw error;
    known.delete(id);
  }
}

async function refresh() {
  if (busy || document.hidden) return;
  busy = true;
  const begun = performance.now();
  const ids = changed;
  changed = new Set();
  gone = new Set();
  try {
    if (ids.has(null) || ids.size > SINGLY) await whole();
    else await Promise.all([...ids].map(single));
    publish();
  } catch (error) {
    for (const id of ids) changed.add(id);
    state = { items: state.items, error };
    for (const watcher of watchers) watcher(state);
  }
  busy = false;
  spent = performance.now() - begun;
  if (changed.size > 0 && !state.error) soon();
}

function soon() {
  timer ??= setTimeout(() => { timer = null; refresh(); }, patience(spent));
}

function heard(event) {
  if (event.type === "project.deleted") {
    gone.add(event.project);
    known.delete(event.project);
    publish();
    return;
  }
  if (event.type === "project.created") gone.delete(event.project);
  if (event.type === "resync") changed.add(null);
  else if (event.type !== "run.progress" && event.project) changed.add(event.project);
  else return;
  soon();
}

let stop = null;

/** Forgets everything: somebody else may sign in. */
export function forget() {
  known.clear();
  state = { items: null, error: null };
  stop?.();
  stop = null;
}

/** The projects by id, or null before they are known. */
export function useProjects() {
  const [now, set] = useState(state);
  useEffect(() => {
    watchers.add(set);
    if (!stop) {
      stop = listen(heard);
      changed.add(null);
      refresh();
    }
    set(state);
    return () => watchers.delete(set);
  }, []);
  return now;
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && changed.size > 0) refresh(); });
