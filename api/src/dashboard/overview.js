// The first page: what needs a person, then what runs, then what waits, then every project.

import { all, get } from "./api.js";
import { h, link } from "./dom.js";
import { listen, refresh } from "./events.js";
import { bytes, kind, number, span, upstream, when } from "./words.js";

/** A file system with less than this share free needs a person. */
const LITTLE = 0.1;

export async function overview(place, signal) {
  const parts = { tiles: h("div", { class: "tiles" }), first: h("div"), running: h("div"), waiting: h("div"), all: h("div") };
  const list = projects(parts.all);
  place.replaceChildren(h("h1", { class: "skip" }, "Overview"), ...Object.values(parts));
  const bars = new Map();
  const load = async () => {
    const [status, items] = await Promise.all([get("/status"), all("/projects")]);
    if (signal.aborted) return;
    tiles(parts.tiles, status);
    first(parts.first, status);
    running(parts.running, status.running, bars);
    waiting(parts.waiting, status.queued);
    list(items);
  };
  await load();
  refresh(signal, () => true, () => load().catch(() => {}));
  listen(signal, (event) => {
    if (event.type === "run.progress") bars.get(event.run)?.(event.progress);
  });
}

function tiles(place, status) {
  const tile = (value, text, bad) => h("div", { class: bad ? "tile bad" : "tile" }, h("b", {}, String(value)), h("span", { class: "soft small" }, text));
  place.replaceChildren(
    tile(number(status.counts.projects), "projects"),
    tile(number(status.counts.failing), "failing", status.counts.failing > 0),
    tile(status.running.length + " / " + status.limits.concurrent, "running"),
    tile(number(status.queued.length), "waiting"));
}

function first(place, status) {
  const failing = status.failing.map((one) => h("li", {},
    h("div", { class: "line" }, link(["project", one.project], one.project),
      h("span", { class: "tag bad" }, one.failures === 1 ? "failed once" : "failed " + one.failures + " times in a row"),
      h("span", { class: "soft small" }, "last good: " + when(one.since))),
    one.reason && h("div", { class: "small" }, one.reason)));
  const disk = status.disk.filter((one) => one.free_bytes < LITTLE * one.total_bytes).map((one) => h("li", {},
    h("div", { class: "line" }, h("span", {}, one.path), h("span", { class: "tag bad" }, bytes(one.free_bytes) + " free"),
      h("span", { class: "soft small" }, "of " + bytes(one.total_bytes) + ", for " + one.projects.length + " projects"))));
  const items = [...disk, ...failing];
  place.replaceChildren(items.length === 0
    ? h("section", { class: "fine" }, h("h2", {}, "Nothing needs you"), h("span", { class: "soft" }, "No project fails, and every disk has room."))
    : h("section", { class: "first" }, h("h2", {}, "Needs a person", h("span", { class: "count" }, items.length)), h("ul", { class: "plain" }, items)));
}

/** A bar that follows the progress of a run. */
export function bar(progress) {
  const meter = h("progress", { max: 100, "aria-label": "progress" });
  const text = h("span", { class: "soft small" });
  const update = (now) => {
    if (!now) { text.textContent = "starting"; return; }
    meter.value = now.percent;
    const left = now.rate > 0 && now.percent > 0 ? span(now.bytes * (100 / now.percent - 1) / now.rate) + " left" : "";
    const seen = now.total ? number(now.checked) + " of " + number(now.total) + (now.total_known ? "" : "+") + " looked at" : "";
    text.textContent = [now.percent + " %", bytes(now.bytes), bytes(now.rate) + "/s", number(now.files) + " files", seen, left].filter(Boolean).join(" · ");
  };
  update(progress);
  return { node: h("div", {}, meter, text), update };
}

function running(place, runs, bars) {
  bars.clear();
  const items = runs.map((run) => {
    const { node, update } = bar(run.progress);
    bars.set(run.id, update);
    return h("li", {}, h("div", { class: "line" }, link(["project", run.project], run.project), h("span", { class: "tag busy" }, "running"),
      h("span", { class: "soft small grow" }, "started " + when(run.started) + (run.attempts.length > 1 ? ", attempt " + run.attempts.length : "")),
      link(["run", run.id], "log and changes", { class: "small" })), node);
  });
  place.replaceChildren(...(items.length ? [h("section", {}, h("h2", {}, "Running", h("span", { class: "count" }, items.length)), h("ul", { class: "plain" }, items))] : []));
}

function waiting(place, queue) {
  const shown = queue.slice(0, 20).map((one) => h("li", { class: "line" }, link(["project", one.project], one.project), h("span", { class: "soft small grow" }, one.waits)));
  if (queue.length > shown.length) shown.push(h("li", { class: "soft" }, "and " + (queue.length - shown.length) + " more"));
  place.replaceChildren(...(shown.length ? [h("section", {}, h("h2", {}, "Waiting", h("span", { class: "count" }, queue.length)), h("ul", { class: "plain" }, shown))] : []));
}

/** The table of all projects; gives the function that takes a new list. Rows that stay the same are left alone. */
function projects(place) {
  const rows = new Map();
  let items = [];
  const words = h("input", { type: "search", id: "filter", placeholder: "Filter by name, upstream or label", "aria-label": "Filter projects" });
  const state = h("select", { "aria-label": "State" }, ["every state", "idle", "running", "queued", "backing-off", "failing", "disabled"].map((one) => h("option", {}, one)));
  const count = h("span", { class: "count" });
  const body = h("tbody");
  const none = h("p", { class: "soft" });
  const wanted = (one) => {
    const text = [one.id, one.name, upstream(one.source), ...Object.entries(one.labels).map((pair) => pair.join("="))].join(" ").toLowerCase();
    const right = state.selectedIndex === 0 || (state.value === "failing" ? one.failures > 0 : one.state === state.value);
    return right && words.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
  };
  const draw = () => {
    const shown = items.filter(wanted);
    count.textContent = shown.length === items.length ? items.length : shown.length + " of " + items.length;
    none.textContent = items.length === 0 ? "No project yet: add one with `heliostat project add`, or through the API." : shown.length === 0 ? "None is like that." : "";
    body.replaceChildren(...shown.map((one) => rows.get(one.id).node));
  };
  words.addEventListener("input", draw);
  state.addEventListener("change", draw);
  place.replaceChildren(h("section", {}, h("h2", {}, "All projects", count), h("div", { class: "bar" }, words, state),
    h("div", { class: "scroll" }, h("table", { class: "rows" }, h("thead", {}, h("tr", {},
      ["Project", "State", "Last good"].map((text) => h("th", {}, text)),
      h("th", { class: "wide" }, "Next"), h("th", { class: "number wide" }, "Size"), h("th", { class: "wide" }, "Upstream"))), body)), none));
  return (fresh) => {
    items = fresh;
    const known = new Set(items.map((one) => one.id));
    for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
    const minute = Math.floor(Date.now() / 60000);
    for (const one of items) {
      const key = minute + JSON.stringify(one);
      if (rows.get(one.id)?.key !== key) rows.set(one.id, { key, node: row(one) });
    }
    draw();
  };
}

function row(one) {
  const [text, look] = one.failures > 0 && one.state === "idle" ? ["failing", "bad"] : [one.state, kind(one.state)];
  return h("tr", {},
    h("td", {}, link(["project", one.id], one.id), one.name !== one.id && h("div", { class: "soft small" }, one.name)),
    h("td", {}, h("span", { class: "tag " + look }, text)),
    h("td", { class: "small" }, when(one.last_success)),
    h("td", { class: "small wide" }, one.next_run ? when(one.next_run) : "–"),
    h("td", { class: "number small wide" }, bytes(one.size_bytes)),
    h("td", { class: "small soft wide" }, upstream(one.source)));
}
