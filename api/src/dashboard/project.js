// One project: how it stands, what its runs were, when it is due, and what can be done with it.

import { at, get, post, remove } from "./api.js";
import { History } from "./chart.js";
import { html, useEffect } from "./html.js";
import { LOOK_AGAIN, listen, useData } from "./live.js";
import { Changes, Empty, Facts, Link, Path, Pending, Progress, Section, Tag, When } from "./parts.js";
import { act } from "./talk.js";
import { bytes, clock, count, goes, join, number, span, standing, took, upstream } from "./words.js";

/** How many runs the chart and the list show. */
const RUNS = 60;
/** How many generations the list shows, and how many slaves of one before they are folded. */
const GENERATIONS = 10;
const NAMES = 4;
/** Where an upstream goes, where that is worth a word. */
const COURSES = {
  frozen: html`, <span class="bad">it stands still</span>`,
  "rolled-back": html`, <span class="bad">it went back</span>`,
};

async function load(id) {
  const path = at("projects", id);
  const [one, page, hooks] = await Promise.all([get(path), get(path + "/runs?limit=" + RUNS), get(path + "/hooks")]);
  const going = one.running ?? one.held ?? one.queued;
  return { one, runs: page.items, hooks: hooks.items, live: going ? await get(at("runs", going)) : null };
}

export function Project({ session, parts: [id] }) {
  const { value, error } = useData(() => load(id), id, (event) => event.project === id && event.type !== "project.deleted");
  // Whoever removed it: there is nothing to see here any more.
  useEffect(() => listen((event) => { if (event.type === "project.deleted" && event.project === id) location.hash = "#/"; }), [id]);
  if (!value) return html`<${Pending} error=${error} what="This project" />`;
  const { one, runs, live, hooks } = value;
  const may = session.site !== "slave" && (session.role === "root" || (session.role === "upstreamuser" && one.owner === session.user));
  return html`
    <${Head} one=${one} may=${may} />
    ${live && html`<${Live} run=${live} />`}
    ${one.failures > 0 && one.last_run?.reason && html`<${Section} title="Why it fails" look="alarm" aside=${html`<${Link} to=${["run", one.last_run.id]} class="small">the last run</${Link}>`}>
      <p>${one.last_run.reason}</p></${Section}>`}
    <${Section} title="History">${runs.some((run) => run.ended && run.started) ? html`<${History} runs=${runs} />` : html`<${Empty} title="No run has ended yet" />`}</${Section}>
    <div class="columns"><${Standing} one=${one} /><${Due} one=${one} /><${Upstream} one=${one} /><${Settings} one=${one} /><${Hooks} items=${hooks} /></div>
    <${Generations} id=${id} />
    <${Runs} items=${runs} />`;
}

function Head({ one, may }) {
  const path = at("projects", one.id);
  const sync = () => act({ title: "Sync " + one.id + " now?", word: "Sync now", about: "It is brought up to date from its upstream as soon as there is a slot." },
    () => post(path + "/sync"), "Asked for a sync.");
  const rest = () => act({ title: "Disable " + one.id + "?", word: "Disable", about: "Its schedule rests until it is enabled again. A run that is going goes on." },
    () => post(path + "/disable"), "Its schedule rests.");
  const wake = () => act({ title: "Enable " + one.id + "?", word: "Enable", about: "Its schedule fires again." }, () => post(path + "/enable"), "Its schedule fires again.");
  const forget = () => {
    const question = { title: "Remove " + one.id + "?", word: "Remove", danger: true, typed: one.id,
      about: "It is forgotten, with its history; a run that is going is ended. Its files stay where they are, in " + one.dest + "." };
    return act(question, () => remove(path), "Removed.");
  };
  return html`<div class="title">
    <div class="grow"><h1>${one.name}</h1>${one.name !== one.id && html`<span class="soft small">${one.id}</span>`}</div>
    <${Tag} id="state" state=${standing(one)} />
    ${may && html`<div class="actions">
      <button class="main" onclick=${sync}>Sync now</button>
      <${Link} to=${["change", one.id]} class="button">Change</${Link}>
      ${one.enabled ? html`<button onclick=${rest}>Disable</button>` : html`<button onclick=${wake}>Enable</button>`}
      <button class="danger" onclick=${forget}>Remove</button>
    </div>`}
  </div>`;
}

function Live({ run }) {
  const aside = html`<${Link} to=${["run", run.id]} class="small">log and changes</${Link}>`;
  if (goes(run.state)) return html`<${Section} title="Running" aside=${aside}><${Progress} run=${run.id} first=${run.progress} /></${Section}>`;
  if (run.state === "held") {
    return html`<${Section} title="Held" look="caution"><p class="first">${run.reason}</p>
      <div class="actions gap"><${Link} to=${["run", run.id]} class="button main">Look and decide</${Link}></div></${Section}>`;
  }
  return html`<${Section} title="Waiting" aside=${aside}><div class="line"><${Tag} state=${run.state} />
    <span class="soft">${run.reason}${run.retry_at && html`, tried again <${When} time=${run.retry_at} />`}</span></div></${Section}>`;
}

function Standing({ one }) {
  return html`<${Section} title="How it stands"><${Facts} pairs=${[
    ["Last good", html`<${When} time=${one.last_success} />`],
    ["Last run", one.last_run ? html`<${Link} to=${["run", one.last_run.id]}>${one.last_run.state}</${Link}>, <${When} time=${one.last_run.ended} />` : "none yet"],
    ["Our copy is from", one.as_of ? html`<span class=${one.stale ? "bad" : ""}><${When} time=${one.as_of} /></span>` : null],
    ["Size", bytes(one.size_bytes) + " in " + count(one.files, "entry", "entries")],
    ["Generation", number(one.generation)],
    ["Failures", one.failures === 0 ? "none in a row" : html`<span class="bad">${number(one.failures)} in a row</span>`],
    ["Passed over", one.skipped === 0 ? null : count(one.skipped, "schedule time")]]} /></${Section}>`;
}

function Due({ one }) {
  return html`<${Section} title="Schedule"><p>${one.schedule_text}</p>
    ${!one.enabled ? html`<p class="soft">Disabled: it does not fire.</p>`
      : html`<ul class="plain close small times">${one.next_runs.slice(0, 5).map((time) => html`<li key=${time} class="spread"><span>${clock(time)}</span><span class="soft"><${When} time=${time} /></span></li>`)}</ul>`}
  </${Section}>`;
}

/** Where it comes from, in the order in which they are asked; and which of them failed last. */
function Upstream({ one }) {
  const sources = [one.source, ...one.upstreams];
  const broken = (source) => one.failed_upstreams.find((failed) => [upstream(source), upstream({ ...source, user: null })].includes(failed.upstream));
  const line = (source) => {
    const failed = broken(source);
    return html`<li key=${upstream(source)}><${Path} text=${upstream(source)} />${source.has_password && html` <span class="soft small">with a password</span>`}
      ${failed && html`<div class="small"><${Tag} look="bad" state=${failed.class} /> <span class="soft"><${When} time=${failed.at} /></span></div>`}</li>`;
  };
  return html`<${Section} title=${sources.length > 1 ? "Upstreams, in order" : "Upstream"}><ul class="plain close sources">${sources.map(line)}</ul><${Facts} pairs=${[
    ["Is from", one.upstream_seen ? html`<${When} time=${one.upstream_seen.as_of} />${COURSES[one.upstream_seen.course]}` : null],
    ["Lands in", html`<${Path} text=${one.dest} />`]]} /></${Section}>`;
}

function Settings({ one }) {
  const labels = Object.entries(one.labels).map((pair) => pair.join("="));
  return html`<${Section} title="Settings"><${Facts} pairs=${[
    ["Owner", one.owner], ["Priority", String(one.priority)],
    ["Attempts", one.retry.attempts + ", with " + span(one.retry.base) + " to " + span(one.retry.cap) + " between"],
    ["Limits", span(one.timeout) + " in all, " + span(one.stall) + " without progress"],
    ["Deletions", "at most " + join(number(one.guard.max_delete), one.guard.max_delete_percent + " %")],
    ["Slaves", one.fan_out ? null : "are not offered it"],
    ["Labels", labels.length > 0 ? labels.join(", ") : null]]} />
    <details><summary class="small">The rsync command</summary><pre>${one.command}</pre></details></${Section}>`;
}

/** The plugins that are asked about it, in that order. */
function Hooks({ items }) {
  const bad = (state) => state === "refused" || state === "unknown";
  const line = (one) => html`<li key=${one.hook + " " + one.plugin} class="line"><b class="grow">${one.plugin}</b>
    <span class="soft small">${join(one.hook === "pre-sync" ? "before a sync" : "after it", one.failure === "closed" && "must agree", one.by === "project" && "named by the project")}</span>
    ${one.state !== "loaded" && html`<${Tag} state=${one.state} look=${bad(one.state) ? "bad" : "warn"} />`}</li>`;
  return html`<${Section} title="Hooks" aside=${items.length > 0 && html`<${Link} to=${["plugins"]} class="small">all plugins</${Link}>`}>
    ${items.length === 0 ? html`<p class="soft">No plugin is asked about it.</p>` : html`<ul class="plain close hooks">${items.map(line)}</ul>`}</${Section}>`;
}

/** What its good runs left, and which slaves hold it now. */
function Generations({ id }) {
  const { value } = useData(() => get(at("projects", id) + "/generations?limit=" + GENERATIONS), "generations of " + id,
    (event) => event.project === id && event.type !== "project.deleted", LOOK_AGAIN);
  if (!value || value.items.length === 0) return null;
  const { items } = value;
  const names = (nodes) => nodes.length <= NAMES ? nodes.join(", ")
    : html`<details><summary>${count(nodes.length, "node")}</summary>${nodes.join(", ")}</details>`;
  return html`<${Section} title="Generations" many=${items.length < GENERATIONS ? items.length : "the last " + GENERATIONS}><div class="scroll"><table class="rows generations"><thead><tr>
    <th class="number">No.</th><th>Made</th><th class="number">Changes</th><th class="number wide">Entries</th><th class="number wide">Size</th><th>Held by</th></tr></thead>
    <tbody>${items.map((one) => html`<tr key=${one.generation}>
      <td class="number"><${Link} to=${["run", one.run]}>${number(one.generation)}</${Link}></td>
      <td><${When} time=${one.made} /></td>
      <td class="number small"><${Changes} of=${one.changes} /></td>
      <td class="number small wide">${one.files === null ? "–" : number(one.files)}</td>
      <td class="number small wide">${one.size_bytes === null ? "–" : bytes(one.size_bytes)}</td>
      <td class="small">${one.nodes.length > 0 ? names(one.nodes) : html`<span class="soft">–</span>`}</td></tr>`)}</tbody></table></div></${Section}>`;
}

function Runs({ items }) {
  if (items.length === 0) return null;
  return html`<${Section} title="Runs" many=${items.length < RUNS ? items.length : "the last " + RUNS}><div class="scroll"><table class="rows"><thead><tr>
    <th>Started</th><th>State</th><th class="wide">Trigger</th><th class="number">Took</th><th class="number wide">Received</th><th class="number">Changes</th></tr></thead>
    <tbody>${items.map((run) => html`<tr key=${run.id}>
      <td><${Link} to=${["run", run.id]}>${clock(run.started ?? run.queued)}</${Link}></td>
      <td><${Tag} state=${run.state} /></td>
      <td class="small wide soft">${join(run.trigger, run.requested_by)}</td>
      <td class="number small">${took(run) === null ? "–" : span(took(run))}</td>
      <td class="number small wide">${run.stats ? bytes(run.stats.received) : "–"}</td>
      <td class="number small"><${Changes} of=${run.changes} /></td></tr>`)}</tbody></table></div></${Section}>`;
}
