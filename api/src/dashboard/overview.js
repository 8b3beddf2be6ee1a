// The first page: what needs a person, then what runs, then what waits, then every project.

import { get } from "./api.js";
import { html } from "./html.js";
import { LOOK_AGAIN, useData } from "./live.js";
import { Gauge, Link, Pending, Progress, Section, Tag, When } from "./parts.js";
import { useProjects } from "./projects.js";
import { Table } from "./table.js";
import { about, bytes, count, number } from "./words.js";

/** What share of a disk should be free. */
const LITTLE = 0.1;
/** How many are shown before the list is folded. */
const SHOWN = 8;
/** Days to full that are too few. */
const SOON = 14;
/** Alerts that are worse than a warning. Held runs, failing projects and a slave's master are told by the status, with more. */
const WORST = ["store-read-only", "store-damaged", "start-failed", "disk-full", "rolled-back"];
const TOLD_BY_STATUS = ["held", "failing", "master-away"];

export function Overview({ session }) {
  const { value: status, error } = useData(() => get("/status"), "status", () => true);
  const { value: alerts } = useData(() => get("/alerts"), "alerts", () => true, LOOK_AGAIN);
  const { items, error: listError } = useProjects();
  if (!status) return html`<${Pending} error=${error} what="The overview" />`;
  const needs = attention(status, alerts?.items ?? []);
  return html`
    <div class="title"><h1 class="grow">Overview</h1>
      ${session.role !== "viewer" && session.site !== "slave" && html`<${Link} to=${["add"]} class="button main">Add a project</${Link}>`}</div>
    <${Figures} status=${status} needs=${needs} />
    <${Needs} items=${needs} status=${status} />
    <${Running} runs=${status.running} />
    <${Waiting} queue=${status.queued} />
    ${items ? html`<${Table} items=${items} />` : html`<${Pending} error=${listError} what="The list" />`}
    <${Disks} disks=${status.disk} />`;
}

/** What a person has to look at, the worst first. */
function attention(status, alerts) {
  const disks = status.disk.map(ofDisk).filter(Boolean);
  const failing = [...status.failing].sort((a, b) => b.failures - a.failures).map((one) => ({
    key: "failing " + one.project, look: "bad", state: one.failures === 1 ? "failed once" : "failed " + one.failures + " times",
    name: html`<${Link} to=${["project", one.project]}>${one.project}</${Link}>`,
    aside: html`last good <${When} time=${one.since} />`, text: one.reason,
  }));
  const held = (status.held ?? []).map((run) => ({
    key: "held " + run.id, look: "warn", state: "held", name: html`<${Link} to=${["project", run.project]}>${run.project}</${Link}>`,
    aside: html`<${Link} to=${["run", run.id]}>look and decide</${Link}>`, text: run.reason,
  }));
  const master = status.master && !status.master.connected ? [{
    key: "master", look: "bad", state: "out of touch", name: html`The master <b>${status.master.url}</b>`,
    aside: html`since <${When} time=${status.master.since} />`, text: status.master.reason,
  }] : [];
  const others = alerts.filter((one) => !one.over && !TOLD_BY_STATUS.includes(one.kind) && !disks.some((disk) => disk.key === "disk " + one.subject)).map((one) => ({
    key: "alert " + one.kind + " " + one.subject, look: WORST.includes(one.kind) ? "bad" : "warn", state: one.kind.replaceAll("-", " "),
    name: one.project ? html`<${Link} to=${["project", one.project]}>${one.subject}</${Link}> ${one.says}` : html`<b>${one.subject}</b> ${one.says}`,
    aside: html`since <${When} time=${one.since} />`, text: one.reason,
  }));
  return [...master, ...held, ...disks, ...failing, ...others];
}

function ofDisk(one) {
  const days = one.days_to_full ?? SOON;
  if (!one.stopped && days >= SOON && one.free_bytes >= LITTLE * one.total_bytes) return null;
  return { key: "disk " + one.path, look: one.stopped ? "bad" : "warn", name: html`<b>${one.path}</b>`,
    state: one.stopped ? "nothing starts" : days < SOON ? "full in " + about(days * 86400) : "disk nearly full",
    text: bytes(one.free_bytes) + " free of " + bytes(one.total_bytes) + ", for " + count(one.projects.length, "project") };
}

function Figures({ status, needs }) {
  const { counts, limits } = status;
  const figure = (value, of, text, look) => html`<div class=${"figure " + (look ?? "")}><b>${value}${of && html`<span class="soft"> / ${of}</span>`}</b><span>${text}</span></div>`;
  return html`<div class="figures">
    ${needs.length === 0 ? figure("✓", null, "all is well", "good") : figure(number(needs.length), null, needs.length === 1 ? "needs you" : "need you", "bad")}
    ${figure(number(counts.projects), null, counts.enabled === counts.projects ? "projects" : "projects, " + number(counts.projects - counts.enabled) + " disabled")}
    ${figure(status.running.length, limits.concurrent, "running")}
    ${figure(number(status.queued.length), null, "waiting")}
  </div>`;
}

function Needs({ items, status }) {
  if (items.length === 0 && status.counts.projects === 0) return null;
  if (items.length === 0) return html`<section class="fine"><${Tag} state="Nothing needs you" look="good" /> <span class="soft small">No project fails or is stale, no slave is too far behind, every disk has room.</span></section>`;
  const row = (one) => html`<li key=${one.key}>
    <div class="line"><${Tag} state=${one.state} look=${one.look} /><span class="grow">${one.name}</span><span class="soft small">${one.aside}</span></div>
    ${one.text && html`<p class="small">${one.text}</p>`}${one.more}</li>`;
  const [first, rest] = [items.slice(0, SHOWN), items.slice(SHOWN)];
  return html`<${Section} title="Needs a person" many=${items.length} look=${items.some((one) => one.look === "bad") ? "alarm" : "caution"}>
    <ul class="plain">${first.map(row)}</ul>
    ${rest.length > 0 && html`<details><summary>and ${number(rest.length)} more</summary><ul class="plain">${rest.map(row)}</ul></details>`}
  </${Section}>`;
}

function Running({ runs }) {
  if (runs.length === 0) return null;
  return html`<${Section} title="Running" many=${runs.length}><ul class="plain">${runs.map((run) => html`<li key=${run.id}>
    <div class="line"><${Tag} state=${run.state} /><span class="grow"><${Link} to=${["project", run.project]}>${run.project}</${Link}></span>
      <span class="soft small">started <${When} time=${run.started} />${run.attempts.length > 1 && ", attempt " + run.attempts.length}</span>
      <${Link} to=${["run", run.id]} class="small">log and changes</${Link}></div>
    <${Progress} run=${run.id} first=${run.progress} /></li>`)}</ul></${Section}>`;
}

function Waiting({ queue }) {
  if (queue.length === 0) return null;
  const row = (one) => html`<li key=${one.run} class="line"><${Link} to=${["project", one.project]}>${one.project}</${Link}><span class="grow soft small">${one.waits}</span></li>`;
  const rest = queue.length - SHOWN;
  return html`<${Section} title="Waiting" many=${queue.length}><ul class="plain close">${queue.slice(0, SHOWN).map(row)}</ul>
    ${rest > 0 && html`<details><summary>and ${number(rest)} more</summary><ul class="plain close">${queue.slice(SHOWN, 200).map(row)}</ul></details>`}</${Section}>`;
}

function Disks({ disks }) {
  if (disks.length === 0) return null;
  const used = (one) => 1 - one.free_bytes / one.total_bytes;
  return html`<${Section} title="Disks"><div class="disks">${disks.map((one) => html`<div key=${one.path}>
    <div class="spread small"><b>${one.path}</b><span class="soft">${bytes(one.free_bytes)} free of ${bytes(one.total_bytes)}, ${count(one.projects.length, "project")}</span></div>
    <${Gauge} share=${used(one)} label=${"How full " + one.path + " is"} />
    ${(one.stopped || one.days_to_full != null) && html`<div class="small">${one.stopped ? html`<span class="bad">nothing starts: ${one.reason}</span>`
      : html`<span class=${one.days_to_full < SOON ? "warn" : "soft"}>full in ${about(one.days_to_full * 86400)} at this rate</span>`}</div>`}</div>`)}</div></${Section}>`;
}
