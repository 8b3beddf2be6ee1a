// What happens, as it happens: one stream for the whole page, which comes back by itself, and what follows from it.

import { useEffect, useRef, useState } from "./html.js";

const TYPES = ["project.created", "project.updated", "project.deleted", "schedule.skipped", "run.queued",
  "run.started", "run.phase", "run.progress", "run.retry", "run.held", "run.released", "run.ended",
  "node.lagging", "node.caught-up", "node.left-behind", "node.drifted",
  "upstream.moving", "upstream.frozen", "upstream.rolled-back", "disk.full", "disk.free", "resync"];
/** How long to gather events before something is read anew, at least. */
const GATHER = 400;
/** No more than one part in so many of the time is spent reading, however large the site is. */
const SHARE = 8;
/** What begins without an event, such as a project that grows stale, is seen within so many milliseconds. */
export const LOOK_AGAIN = 10000;
/** How long to wait before a stream that was refused is asked for again. */
const AGAIN = 5000;

const listeners = new Set();
const watchers = new Set();
let source = null;
let up = null;

function say(now) {
  if (up === now) return;
  up = now;
  for (const watcher of watchers) watcher(now);
}

function tell(event) {
  for (const listener of listeners) listener(event);
}

/** How long to gather after reading took `spent` milliseconds. */
export const patience = (spent) => Math.max(GATHER, SHARE * spent);

/** Begins to listen; a second call changes nothing. */
export function open() {
  if (source) return;
  source = new EventSource("/api/v1/events");
  source.onopen = () => {
    // What was read before the stream began may be old: whoever shows something reads it again.
    if (up === false) {
      tell({ type: "resync" });
      dispatchEvent(new Event("back"));
    }
    say(true);
  };
  source.onerror = () => {
    say(false);
    // A refusal ends the stream for good: it is asked for anew, for the server may only have been restarted.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    setTimeout(open, AGAIN);
    dispatchEvent(new Event("lost"));
  };
  for (const type of TYPES) source.addEventListener(type, (event) => tell(JSON.parse(event.data)));
}

export function close() {
  source?.close();
  source = null;
  up = null;
}

/** Calls `listener` with each event until the function that it gives is called. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the stream is up; null before it has tried. */
export function useConnection() {
  const [now, set] = useState(up);
  useEffect(() => {
    watchers.add(set);
    return () => watchers.delete(set);
  }, []);
  return now;
}

/**
 * What `load` gives, and gives again after events that `wanted` accepts: gathered, one at a time, and not while nobody
 * looks. What changes without an event, such as what a slave holds, is read again `every` so many milliseconds. An error
 * keeps the value that was there.
 */
export function useData(load, what, wanted = () => false, every = 0) {
  const [state, set] = useState({ what, value: undefined, error: null });
  const again = useRef(null);
  useEffect(() => {
    let [gone, busy, stale, timer, spent] = [false, false, false, null, 0];
    const go = async () => {
      if (busy || document.hidden) { stale = true; return; }
      [busy, stale] = [true, false];
      const begun = performance.now();
      try {
        const value = await load();
        if (!gone) set({ what, value, error: null });
      } catch (error) {
        if (!gone) set((old) => ({ what, value: old.what === what ? old.value : undefined, error }));
      }
      [busy, spent] = [false, performance.now() - begun];
      if (stale) soon();
    };
    const soon = () => { if (!gone) timer ??= setTimeout(() => { timer = null; go(); }, patience(spent)); };
    const seen = () => { if (!document.hidden && stale) go(); };
    again.current = go;
    go();
    const clock = every && setInterval(soon, every);
    const stop = listen((event) => {
      if (event.type === "resync" || (event.type !== "run.progress" && wanted(event))) soon();
    });
    document.addEventListener("visibilitychange", seen);
    return () => {
      gone = true;
      clearTimeout(timer);
      clearInterval(clock);
      stop();
      document.removeEventListener("visibilitychange", seen);
    };
  }, [what]);
  const value = state.what === what ? state.value : undefined;
  return { value, error: state.error, reload: () => again.current?.() };
}

/** How far a run is, as it is told; `first` is what was read. */
export function useProgress(run, first) {
  const [now, set] = useState(null);
  useEffect(() => {
    set(null);
    return listen((event) => { if (event.type === "run.progress" && event.run === run) set(event.progress); });
  }, [run]);
  return now ?? first;
}
