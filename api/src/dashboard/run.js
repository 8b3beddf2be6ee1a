// One run: how it went, its attempts, its log as it grows, and the paths that it changed.

import { at, get, post } from "./api.js";
import { ChangeList } from "./changes.js";
import { Held } from "./held.js";
import { html } from "./html.js";
import { useData } from "./live.js";
import { Log } from "./log.js";
import { Changes, Empty, Facts, Link, Path, Pending, Progress, Section, Tag, When } from "./parts.js";
import { act } from "./talk.js";
import { bytes, clock, count, goes, join, number, span, took } from "./words.js";

/** How good what a hook decides is for the run. */
const LOOKS = { proceed: "good", "proceed-with": "good", accept: "good", skip: "warn", delay: "warn", degrade: "warn", "retry-after": "warn", veto: "bad", reject: "bad" };

export function Run({ session, parts: [id] }) {
  const { value: one, error } = useData(() => get(at("runs", id)), id, (event) => event.run === id);
  if (!one) return html`<${Pending} error=${error} what="This run" />`;
  return html`
    <${Head} one=${one} session=${session} />
    ${goes(one.state) && html`<${Section} title="Progress"><${Progress} run=${id} first=${one.progress} /></${Section}>`}
    ${one.state === "held" && html`<${Held} run=${one} may=${session.role !== "viewer" && session.site !== "slave"} />`}
    ${one.state !== "held" && one.reason && html`<section class=${one.state === "failed" ? "alarm" : ""}><p class="first">${one.reason}${one.retry_at && html` It is tried again <${When} time=${one.retry_at} />.`}</p></section>`}
    <${Summary} one=${one} />
    <${Attempts} items=${one.attempts} />
    <${Hooks} items=${one.hooks} />
    <${Log} run=${id} />
    ${one.ended && html`<${ChangeList} run=${id} counts=${one.changes} />`}`;
}

function Head({ one, session }) {
  const cancel = () => act({ title: "Cancel this run?", word: "Cancel the run", danger: true, about: "Its rsync is asked to end. What it has transferred stays, and the next run goes on from there." },
    () => post(at("runs", one.id) + "/cancel"), "Asked it to end.");
  return html`<div class="title">
    <div class="grow"><h1><${Link} to=${["project", one.project]}>${one.project}</${Link}></h1><span class="soft small">run of ${clock(one.started ?? one.queued)}</span></div>
    <${Tag} id="state" state=${one.state} />
    ${!one.ended && session.role !== "viewer" && session.site !== "slave" && html`<button class="danger" onclick=${cancel}>Cancel</button>`}
  </div>`;
}

function Summary({ one }) {
  const { stats } = one;
  return html`<div class="columns">
    <${Section} title="Run"><${Facts} pairs=${[
      ["Trigger", join(one.trigger, one.requested_by && "by " + one.requested_by)],
      ["Waited", one.started ? span((Date.parse(one.started) - Date.parse(one.queued)) / 1000) : html`since <${When} time=${one.queued} />`],
      ["Took", one.ended && took(one) !== null ? span(took(one)) : null],
      ["Changed", html`<${Changes} of=${one.changes} />`],
      ["Approved", one.hold?.approved_by && html`by ${one.hold.approved_by}, <${When} time=${one.hold.released} />`],
      ["Generation", one.generation === null ? null : number(one.generation)]]} /></${Section}>
    ${stats && html`<${Section} title="What rsync says"><${Facts} pairs=${[
      ["Received", bytes(stats.received) + ", sent " + bytes(stats.sent)],
      ["Tree", bytes(stats.total_size) + " in " + number(stats.files) + " entries"],
      ["Transferred", count(stats.transferred, "file") + ", " + bytes(stats.transferred_size)],
      ["Reused", bytes(stats.matched)],
      ["Speedup", number(Math.round(stats.speedup))]]} /></${Section}>`}
  </div>`;
}

function Attempts({ items }) {
  if (items.length === 0) return html`<${Section} title="Attempts"><${Empty} title="None yet" /></${Section}>`;
  return html`<${Section} title="Attempts" many=${items.length}><ul class="plain">${items.map((attempt) => html`<li key=${attempt.number}>
    <div class="line"><b>Attempt ${attempt.number}</b>${attempt.class && html`<${Tag} look=${attempt.verdict === "done" ? "good" : attempt.verdict === "partial" ? "warn" : "bad"} state=${attempt.class} />`}
      <span class="grow soft small">${join(clock(attempt.started), attempt.duration !== null && span(attempt.duration))}</span></div>
    ${attempt.upstream && html`<p class="small soft">from <${Path} text=${attempt.upstream} /></p>`}
    ${attempt.reason && html`<p class="small">${attempt.reason}</p>`}
    ${attempt.stderr.length > 0 && html`<pre class="gap">${attempt.stderr.join("\n")}</pre>`}
    <details><summary class="small">The rsync command</summary><pre>${attempt.command}</pre></details></li>`)}</ul></${Section}>`;
}

/** What hooks said before and after the attempts. */
function Hooks({ items }) {
  if (items.length === 0) return null;
  const several = items.some((one) => one.attempt > 1);
  return html`<${Section} title="Hooks" many=${items.length}><ul class="plain">${items.map((one, index) => html`<li key=${index}>
    <div class="line"><b>${one.plugin}</b><${Tag} state=${one.decision} look=${LOOKS[one.decision] ?? "quiet"} />
      <span class="grow soft small">${join(one.hook, several && "attempt " + one.attempt, span(one.duration))}</span></div>
    ${one.reason && html`<p class="small">${one.reason}</p>`}</li>`)}</ul></${Section}>`;
}
