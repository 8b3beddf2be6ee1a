// One run: its attempts, its log as it grows, and the paths that it changed.

import { get, post, stream } from "./api.js";
import { confirm, h, link, note } from "./dom.js";
import { listen, refresh } from "./events.js";
import { bar } from "./overview.js";
import { bytes, clock, kind, number, span, took } from "./words.js";

/** The log keeps this many characters on the page; the whole is one link away. */
const KEPT = 200000;
/** How many changed paths are shown at first, and more with each click. */
const PAGE = 200;

export async function run(place, signal, session, id) {
  const path = "/runs/" + encodeURIComponent(id);
  const [top, log, paths] = [h("div"), h("pre", { id: "log", tabindex: 0, "aria-label": "Log" }), h("div")];
  place.replaceChildren(top, h("section", {}, h("h2", {}, "Log"), log, h("p", { class: "small" }, h("a", { href: "/api/v1" + path + "/log" }, "the whole log"))), paths);
  let live = null;
  const load = async () => {
    const one = await get(path);
    if (signal.aborted) return;
    live = one.ended ? null : bar(one.progress);
    top.replaceChildren(head(one, path, live), attempts(one));
    if (one.ended) await changes(paths, path, signal);
  };
  await load();
  refresh(signal, (event) => event.type === "resync" || event.run === id, () => load().catch((error) => note(error.message)));
  listen(signal, (event) => { if (event.type === "run.progress" && event.run === id) live?.update(event.progress); });
  follow(log, path, signal);
}

async function follow(log, path, signal) {
  const text = document.createTextNode("");
  log.append(text);
  try {
    await stream(path + "/log?follow=true&tail=2000", signal, (more) => {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      text.data = (text.data + more).slice(-KEPT);
      if (atEnd) log.scrollTop = log.scrollHeight;
    });
    if (!text.data) text.data = "rsync said nothing.";
  } catch (error) {
    if (!signal.aborted) text.data += "\n(" + error.message + ")";
  }
}

function head(one, path, live) {
  const cancel = async () => {
    if (!await confirm("Cancel this run?", "Its rsync is ended. What it has brought so far stays.", "Cancel the run")) return;
    try { await post(path + "/cancel"); note("It is being stopped."); } catch (error) { note(error.message); }
  };
  const changed = "+" + number(one.changes.created) + " ~" + number(one.changes.updated) + " −" + number(one.changes.deleted) + " paths";
  const why = one.trigger + (one.requested_by ? " by " + one.requested_by : "");
  return h("section", {}, h("div", { class: "line" },
    h("div", { class: "grow" }, h("h1", {}, link(["project", one.project], one.project)),
      h("span", { class: "soft small" }, [why, clock(one.started ?? one.queued), took(one) !== null && span(took(one)), one.stats && bytes(one.stats.received), changed].filter(Boolean).join(" · "))),
    h("span", { class: "tag " + kind(one.state), id: "state" }, one.state),
    !one.ended && h("button", { class: "danger", onclick: cancel }, "Cancel")),
    one.reason && h("p", {}, one.reason), live && live.node);
}

function attempts(one) {
  const item = (attempt) => h("li", {}, h("div", { class: "line" }, h("b", {}, "Attempt " + attempt.number),
    attempt.class && h("span", { class: "tag" }, attempt.class),
    h("span", { class: "soft small grow" }, clock(attempt.started) + (attempt.duration === null ? "" : ", " + span(attempt.duration)))),
    attempt.reason && h("div", { class: "small" }, attempt.reason),
    attempt.stderr.length > 0 && h("pre", {}, attempt.stderr.join("\n")),
    h("details", {}, h("summary", { class: "small" }, "The rsync command"), h("pre", {}, attempt.command)));
  return h("section", {}, h("h2", {}, "Attempts"), one.attempts.length ? h("ul", { class: "plain" }, one.attempts.map(item)) : h("span", { class: "soft" }, "None yet."));
}

async function changes(place, path, signal) {
  const body = h("tbody", { id: "changes" });
  const more = h("button", {}, "More");
  let cursor = "";
  const next = async () => {
    const page = await get(path + "/changes?limit=" + PAGE + cursor);
    if (signal.aborted) return;
    body.append(...page.items.map((one) => h("tr", {},
      h("td", {}, h("span", { class: "tag " + (one.op === "deleted" ? "bad" : one.op === "created" ? "good" : "") }, one.op)),
      h("td", { class: "small wide" }, one.type), h("td", {}, h("code", {}, one.path)), h("td", { class: "number small" }, one.type === "file" ? bytes(one.size) : ""))));
    more.hidden = !page.next;
    cursor = page.next ? "&cursor=" + encodeURIComponent(page.next) : "";
    if (!body.children.length) body.append(h("tr", {}, h("td", { class: "soft" }, "Nothing was changed.")));
  };
  more.addEventListener("click", () => next().catch((error) => note(error.message)));
  await next();
  if (!signal.aborted) place.replaceChildren(h("section", {}, h("h2", {}, "Changes"), h("div", { class: "scroll" }, h("table", { class: "rows" }, body)), more));
}
