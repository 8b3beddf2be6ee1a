// What happens, as it happens: one stream for the whole page, which comes back by itself and misses nothing.

const TYPES = ["project.created", "project.updated", "project.deleted", "schedule.skipped", "run.queued",
  "run.started", "run.phase", "run.progress", "run.retry", "run.ended", "resync"];
const listeners = new Set();
let source = null;

function state(on) {
  const place = document.getElementById("live");
  place.className = "live " + (on ? "on" : "off");
  place.textContent = on ? "live" : "connecting again";
}

/** Begins to listen; a second call changes nothing. */
export function open() {
  if (source) return;
  source = new EventSource("/api/v1/events");
  source.onopen = () => { state(true); tell({ type: "resync" }); };
  source.onerror = () => {
    state(false);
    // A refusal ends the stream for good: it is asked for anew, for the server may only have been restarted.
    if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(open, 5000); dispatchEvent(new Event("lost")); }
  };
  for (const type of TYPES) source.addEventListener(type, (event) => tell(JSON.parse(event.data)));
}

export function close() {
  if (source) source.close();
  source = null;
  document.getElementById("live").textContent = "";
  document.getElementById("live").className = "live";
}

function tell(event) {
  for (const listener of listeners) listener(event);
}

/** Calls `listener` with each event until `signal` says stop. */
export function listen(signal, listener) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** Calls `work` soon after something that `wanted` accepts, and no more often than twice a second. */
export function refresh(signal, wanted, work) {
  let timer = null;
  listen(signal, (event) => {
    if (timer || event.type === "run.progress" || !wanted(event)) return;
    timer = setTimeout(() => { timer = null; if (!signal.aborted) work(); }, 500);
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
}
