// The table of all projects: filter, order, and rows that are drawn a few at a time, so that a thousand are no wait.

import { html, useEffect, useMemo, useState } from "./html.js";
import { Empty, Link, Tag, When } from "./parts.js";
import { bytes, kind, number, standing, upstream } from "./words.js";

/** How many rows are drawn at once: first, and with each further step. */
const FIRST = 60;
const STEP = 150;
/** Which states stand first when the table is in the order of states. */
const ORDER = ["bad", "warn", "busy", "wait", "good", "quiet"];

const COLUMNS = [
  { name: "Project", by: (one) => one.id.toLowerCase() },
  { name: "State", by: (one) => ORDER.indexOf(kind(standing(one))) },
  { name: "Last good", by: (one) => one.last_success ?? "" },
  { name: "Next", by: (one) => one.next_run ?? "9", wide: true },
  { name: "Size", by: (one) => -one.size_bytes, wide: true, number: true },
  { name: "Upstream", by: (one) => upstream(one.source), wide: true },
];

const GROUPS = [
  ["all", () => true],
  ["failing", (one) => one.failures > 0],
  ["held", (one) => one.state === "held"],
  ["running", (one) => one.running !== null],
  ["waiting", (one) => one.queued !== null],
  ["never synced", (one) => !one.last_success],
  ["disabled", (one) => !one.enabled],
];

/** What was asked for last, kept while other pages are looked at. */
const asked = { words: "", group: "all", column: 0, down: false };

function useAsked() {
  const [now, set] = useState({ ...asked });
  return [now, (change) => { Object.assign(asked, change); set({ ...asked }); }];
}

/** Grows from a few to all, a step at a time, whenever what is shown changes. */
function useSteps(all, what) {
  const [{ shown, of }, set] = useState({ shown: FIRST, of: what });
  const now = of === what ? shown : FIRST;
  useEffect(() => {
    if (now >= all) return undefined;
    const frame = requestAnimationFrame(() => set({ shown: now + STEP, of: what }));
    return () => cancelAnimationFrame(frame);
  }, [now, all, what]);
  return Math.min(now, all);
}

const text = (one) => [one.id, one.name, upstream(one.source), one.dest, ...Object.entries(one.labels).map((pair) => pair.join("="))].join(" ").toLowerCase();

function choose(items, { words, group, column, down }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const belongs = GROUPS.find(([name]) => name === group)[1];
  const right = items.filter((one) => belongs(one) && (wanted.length === 0 || wanted.every((word) => text(one).includes(word))));
  const { by } = COLUMNS[column];
  const keyed = right.map((one) => [by(one), one]);
  const order = (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1].id < b[1].id ? -1 : 1);
  keyed.sort(down ? (a, b) => order(b, a) : order);
  return keyed.map((pair) => pair[1]);
}

export function Table({ items }) {
  const [now, ask] = useAsked();
  const chosen = useMemo(() => choose(items, now), [items, now]);
  const shown = useSteps(chosen.length, now);
  const groups = GROUPS.map(([name, belongs]) => [name, items.filter(belongs).length]).filter(([name, many]) => many > 0 || name === now.group || name === "all");
  if (items.length === 0) {
    return html`<section><${Empty} title="No project yet">A project is one tree of an upstream that is kept here. Add the first one
      above, or with <code>heliostat project add</code>.</${Empty}></section>`;
  }
  return html`<section>
    <div class="head"><h2>All projects<span class="count">${chosen.length === items.length ? number(items.length) : number(chosen.length) + " of " + number(items.length)}</span></h2>
      <input type="search" class="filter" placeholder="Filter by name, upstream, folder or label" aria-label="Filter projects"
        value=${now.words} oninput=${(event) => ask({ words: event.target.value })} /></div>
    <div class="chips" role="group" aria-label="State">${groups.map(([name, many]) => html`<button key=${name} class="chip" aria-pressed=${name === now.group ? "true" : "false"}
      onclick=${() => ask({ group: name })}>${name} <span class="soft">${number(many)}</span></button>`)}</div>
    <div class="scroll"><table class="rows projects" role="table"><thead role="rowgroup"><tr role="row">${COLUMNS.map((column, index) => html`<${Head} key=${column.name} column=${column} index=${index} now=${now} ask=${ask} />`)}</tr></thead>
      <tbody role="rowgroup">${chosen.slice(0, shown).map(row)}</tbody></table></div>
    ${chosen.length === 0 && html`<${Empty} title="None is like that"><button class="link" onclick=${() => ask({ words: "", group: "all" })}>Show all</button></${Empty}>`}
  </section>`;
}

function Head({ column, index, now, ask }) {
  const here = now.column === index;
  const turn = () => ask(here ? { down: !now.down } : { column: index, down: false });
  const look = [column.wide && "wide", column.number && "number"].filter(Boolean).join(" ");
  return html`<th role="columnheader" class=${look} aria-sort=${here ? (now.down ? "descending" : "ascending") : undefined}><button onclick=${turn}>${column.name}</button></th>`;
}

/** A row is drawn once for each project as it stands: the same object gives the same row, and Preact leaves it alone. */
const rows = new WeakMap();

function row(one) {
  let drawn = rows.get(one);
  if (!drawn) rows.set(one, drawn = draw(one));
  return drawn;
}

function draw(one) {
  const state = standing(one);
  return html`<tr role="row" key=${one.id}>
    <td role="cell" class="name"><${Link} to=${["project", one.id]}>${one.id}</${Link}>${one.name !== one.id && html`<div class="soft small cut" title=${one.name}>${one.name}</div>`}</td>
    <td role="cell"><${Tag} state=${state} /></td>
    <td role="cell" class="small"><${When} time=${one.last_success} /></td>
    <td role="cell" class="small wide"><${When} time=${one.enabled ? one.next_run : null} none="–" /></td>
    <td role="cell" class="number small wide">${one.size_bytes ? bytes(one.size_bytes) : html`<span class="soft">–</span>`}</td>
    <td role="cell" class="small soft wide"><div class="cut" title=${upstream(one.source)}>${upstream(one.source)}</div></td>
  </tr>`;
}
