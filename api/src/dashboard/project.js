// One project: how it stands, when it is due, what its runs were, and what can be done with it.

import { get, post } from "./api.js";
import { history } from "./chart.js";
import { confirm, h, link, note } from "./dom.js";
import { listen, refresh } from "./events.js";
import { bar } from "./overview.js";
import { bytes, clock, kind, number, span, took, upstream, when } from "./words.js";

export async function project(place, signal, session, id) {
  const path = "/projects/" + encodeURIComponent(id);
  let progress = null;
  const load = async () => {
    const [one, page] = await Promise.all([get(path), get(path + "/runs?limit=60")]);
    const going = one.running ? await get("/runs/" + one.running) : null;
    if (signal.aborted) return;
    const live = going && bar(going.progress);
    progress = live;
    place.replaceChildren(
      head(one, session, path),
      ...(live ? [h("section", {}, h("h2", {}, "Running"), live.node, link(["run", one.running], "log and changes", { class: "small" }))] : []),
      ...(one.failures > 0 && one.last_run?.reason ? [h("section", { class: "first" }, h("h2", {}, "Why it fails"), h("p", {}, one.last_run.reason))] : []),
      h("section", {}, h("h2", {}, "History"), page.items.some((run) => run.ended && run.started)
        ? [history(page.items), h("div", { class: "legend" }, h("span", {}, "▮ bytes received"), h("span", {}, "― duration"))]
        : h("span", { class: "soft" }, "No run has ended yet.")),
      h("div", { class: "columns" }, standing(one), due(one), settings(one)),
      runs(page.items));
  };
  await load();
  refresh(signal, (event) => event.type === "resync" || event.project === id, () => load().catch((error) => note(error.message)));
  listen(signal, (event) => { if (event.type === "run.progress" && event.project === id) progress?.update(event.progress); });
}

function head(one, session, path) {
  const may = session.role === "root" || (session.role === "upstreamuser" && one.owner === session.user);
  const act = (word, question, about, action) => async () => {
    if (!await confirm(question, about, word)) return;
    try {
      await post(path + "/" + action);
      note("Done: " + word.toLowerCase() + ".");
    } catch (error) { note(error.message); }
  };
  return h("section", {}, h("div", { class: "line" },
    h("div", { class: "grow" }, h("h1", {}, one.name), h("span", { class: "soft small" }, one.id + " · " + upstream(one.source))),
    h("span", { class: "tag " + kind(one.state), id: "state" }, one.state),
    may && h("div", { class: "actions" },
      h("button", { class: "main", id: "sync", onclick: act("Sync now", "Sync " + one.id + " now?", "It is brought up to date from its upstream, as soon as there is a slot.", "sync") }, "Sync now"),
      one.enabled
        ? h("button", { id: "disable", onclick: act("Disable", "Disable " + one.id + "?", "Its schedule rests until it is enabled again. A run that is going goes on.", "disable") }, "Disable")
        : h("button", { id: "enable", onclick: act("Enable", "Enable " + one.id + "?", "Its schedule fires again.", "enable") }, "Enable"))));
}

function facts(pairs) {
  return h("dl", {}, pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function standing(one) {
  return h("section", {}, h("h2", {}, "How it stands"), facts([
    ["Last good", h("span", { title: clock(one.last_success) }, when(one.last_success))],
    ["Last run", one.last_run ? link(["run", one.last_run.id], one.last_run.state + ", " + when(one.last_run.ended)) : "none yet"],
    ["Size", bytes(one.size_bytes) + " in " + number(one.files) + " entries"],
    ["Generation", number(one.generation)],
    ["Failures", number(one.failures)],
    ["Skipped", number(one.skipped)]]));
}

function due(one) {
  return h("section", {}, h("h2", {}, "Schedule"), h("p", {}, one.schedule_text),
    one.enabled ? h("ul", { class: "plain small" }, one.next_runs.slice(0, 5).map((time) => h("li", {}, clock(time), h("span", { class: "soft" }, "  " + when(time)))))
      : h("p", { class: "soft" }, "Disabled: it does not fire."));
}

function settings(one) {
  const labels = Object.entries(one.labels).map((pair) => pair.join("=")).join(", ");
  return h("section", {}, h("h2", {}, "Settings"), facts([
    ["Destination", h("code", {}, one.dest)], ["Owner", one.owner], ["Priority", String(one.priority)],
    ["Attempts", one.retry.attempts + ", waiting " + span(one.retry.base) + " to " + span(one.retry.cap)],
    ["Limits", span(one.timeout) + " in all, " + span(one.stall) + " without progress"],
    ["Deletions", "at most " + number(one.guard.max_delete) + ", or " + one.guard.max_delete_percent + " %"],
    ["Labels", labels || "none"]]),
    h("details", {}, h("summary", { class: "small" }, "The rsync command"), h("pre", {}, one.command)));
}

function runs(items) {
  const row = (run) => h("tr", {},
    h("td", {}, link(["run", run.id], clock(run.started ?? run.queued))),
    h("td", {}, h("span", { class: "tag " + kind(run.state) }, run.state)),
    h("td", { class: "small wide" }, run.trigger),
    h("td", { class: "number small" }, took(run) === null ? "–" : span(took(run))),
    h("td", { class: "number small wide" }, run.stats ? bytes(run.stats.received) : "–"),
    h("td", { class: "number small" }, "+" + number(run.changes.created) + " ~" + number(run.changes.updated) + " −" + number(run.changes.deleted)));
  return h("section", {}, h("h2", {}, "Runs"), h("div", { class: "scroll" }, h("table", { class: "rows" }, h("thead", {}, h("tr", {},
    h("th", {}, "Started"), h("th", {}, "State"), h("th", { class: "wide" }, "Why"), h("th", { class: "number" }, "Took"),
    h("th", { class: "number wide" }, "Received"), h("th", { class: "number" }, "Changes"))), h("tbody", {}, items.map(row)))));
}
