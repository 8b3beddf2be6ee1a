// The slaves, and how far each is behind with each project: a matrix of which only the rows in sight are drawn.

import { at, get, post, remove } from "./api.js";
import { h, html, useEffect, useMemo, useRef, useState } from "./html.js";
import { LOOK_AGAIN, useData } from "./live.js";
import { Empty, Link, Pending, Section, Tag, When } from "./parts.js";
import { act } from "./talk.js";
import { about, count, number } from "./words.js";

/** The height of a row of the matrix in pixels, as in the style sheet, and how many are drawn beyond the sight. */
const ROW = 30;
const BEYOND = 6;

/** Every node with all of its projects, page by page: a node goes on where the page before ended. */
async function all() {
  const nodes = [];
  let after = "";
  for (;;) {
    const page = await get("/nodes?limit=10000" + after);
    for (const node of page.items) {
      const last = nodes.at(-1);
      if (last?.id === node.id) last.projects.push(...node.projects);
      else nodes.push(node);
    }
    if (!page.next) return { items: nodes };
    after = "&after=" + encodeURIComponent(page.next);
  }
}

export function Nodes({ session }) {
  const { value, error, reload } = useData(all, "nodes", (event) => event.type === "run.ended" || event.type.startsWith("node.") || event.type.startsWith("project."), LOOK_AGAIN);
  if (!value) return html`<${Pending} error=${error} what="The list" />`;
  const nodes = value.items;
  if (nodes.length === 0) {
    return html`<div class="title"><h1 class="grow">Nodes</h1></div><section><${Empty} title="No node has joined">A slave is a second machine that holds the same trees.
      It joins by itself once it knows this server's address and the enrolment secret.</${Empty}></section>`;
  }
  return html`<div class="title"><h1 class="grow">Nodes</h1></div>
    <${HeldBack} nodes=${nodes} root=${session.role === "root"} reload=${reload} />
    <${List} nodes=${nodes} root=${session.role === "root"} reload=${reload} />
    <${Matrix} nodes=${nodes} />`;
}

/** The pulls that slaves hold back, each with its reason, and the way out of it. */
function HeldBack({ nodes, root, reload }) {
  const held = nodes.flatMap((node) => node.projects.filter((one) => one.plan).map((one) => ({ node: node.id, ...one })));
  if (held.length === 0) return null;
  const approve = async ({ node, project, plan }) => {
    const question = { title: "Let " + node + " go on with " + project + "?", word: "Approve", danger: true, typed: node,
      about: "It then deletes what this server has not. What goes is gone from its disk." };
    const path = at("nodes", node) + "/projects/" + encodeURIComponent(project) + "/approve?plan=" + encodeURIComponent(plan);
    if (await act(question, () => post(path), "Approved.")) reload();
  };
  return html`<${Section} title="A person has to decide" look="caution" many=${held.length}>
    <p class="first">These slaves keep their trees: a pull would delete much, and this server has lost much of what it had.</p>
    <div class="scroll"><table class="rows"><thead><tr><th>Node</th><th>Project</th><th>Why</th><th></th></tr></thead>
      <tbody>${held.map((one) => html`<tr key=${one.node + " " + one.project}><td><b>${one.node}</b></td><td><${Link} to=${["project", one.project]}>${one.project}</${Link}></td>
        <td>${one.reason}</td><td class="number">${root && html`<button class="small danger" onclick=${() => approve(one)} aria-label=${"Approve " + one.node + " with " + one.project}>Approve …</button>`}</td></tr>`)}</tbody></table></div>
  </${Section}>`;
}

/** A node's projects in three numbers. */
function sum(node) {
  const behind = node.projects.filter((one) => one.lag > 0);
  return { behind: behind.length, of: node.projects.length, failed: node.projects.filter((one) => one.state === "failed").length,
    longest: Math.max(0, ...behind.map((one) => one.lag_seconds)) };
}

function List({ nodes, root, reload }) {
  const sync = async (node) => {
    const question = { title: "Sync " + node.id + " anew?", word: "Sync", about: "It pulls every project again, as soon as it is in touch." };
    if (await act(question, () => post(at("nodes", node.id) + "/sync"), "Asked it.")) reload();
  };
  const drop = async (node) => {
    const question = { title: "Remove " + node.id + "?", word: "Remove", danger: true, typed: node.id,
      about: "Its token and its access to the daemon end at once, and so do its transfers. The files that it holds stay on its disk." };
    if (await act(question, () => remove(at("nodes", node.id)), "Removed.")) reload();
  };
  return html`<${Section} title="Nodes" many=${nodes.length}><div class="scroll"><table class="rows"><thead><tr><th>Node</th><th>Contact</th><th>Projects</th><th class="wide">Longest lag</th><th></th></tr></thead>
    <tbody>${nodes.map((node) => {
      const { behind, of, failed, longest } = sum(node);
      return html`<tr key=${node.id}><td><b>${node.id}</b></td>
        <td><${Tag} look=${node.connected ? "good" : "bad"} state=${node.connected ? "in touch" : "out of touch"} />${!node.connected && html` <span class="soft small">heard <${When} time=${node.last_heard} /></span>`}</td>
        <td>${behind === 0 ? html`<span class="good">all ${number(of)} current</span>` : html`<span class="warn">${number(behind)} of ${number(of)} behind</span>`}${failed > 0 && html`, <span class="bad">${number(failed)} failed</span>`}</td>
        <td class="wide">${longest > 0 ? about(longest) : html`<span class="soft">–</span>`}</td>
        <td class="number">${root && html`<div class="actions end tight"><button class="small" onclick=${() => sync(node)} aria-label=${"Sync " + node.id}>Sync</button> <button class="small danger" onclick=${() => drop(node)} aria-label=${"Remove " + node.id}>Remove</button></div>`}</td></tr>`;
    })}</tbody></table></div></${Section}>`;
}

/** The rows of the matrix: a project, and what each node holds of it. */
function rowsOf(nodes) {
  const rows = new Map();
  nodes.forEach((node, column) => {
    for (const one of node.projects) {
      let row = rows.get(one.project);
      if (!row) rows.set(one.project, row = { project: one.project, generation: one.master_generation, cells: Array(nodes.length).fill(null), worst: 0 });
      row.cells[column] = one;
      row.worst = Math.max(row.worst, one.lag, one.state === "failed" || one.plan ? 1 : 0);
    }
  });
  return [...rows.values()].sort((a, b) => (b.worst > 0) - (a.worst > 0) || (a.project < b.project ? -1 : 1));
}

function Matrix({ nodes }) {
  const [words, setWords] = useState("");
  const [late, setLate] = useState(false);
  const rows = useMemo(() => rowsOf(nodes), [nodes]);
  const shown = rows.filter((row) => (!late || row.worst > 0) && row.project.toLowerCase().includes(words.toLowerCase()));
  const behind = rows.filter((row) => row.worst > 0).length;
  const tools = html`<div class="bar"><input type="search" class="filter" placeholder="Filter projects" aria-label="Filter projects" value=${words} oninput=${(event) => setWords(event.target.value)} />
    <button class="chip" aria-pressed=${late ? "true" : "false"} onclick=${() => setLate(!late)}>behind <span class="soft">${number(behind)}</span></button></div>`;
  return html`<${Section} title="Projects by node" many=${number(shown.length)} aside=${tools}>
    ${shown.length === 0 ? html`<${Empty} title=${late ? "None is behind" : "No project"} />` : html`<${Grid} nodes=${nodes} rows=${shown} />`}
    <p class="legend small soft"><span class="node good">●</span> current <span class="node old">◔</span> current, but too old <span class="node warn">2</span> generations behind <span class="node bad">!</span> its last pull failed, or waits for a person <span class="node none">○</span> holds nothing yet</p>
  </${Section}>`;
}

/** Only what is in sight is drawn; the table is as high as if all were. */
function Grid({ nodes, rows }) {
  const place = useRef(null);
  const [{ first, last }, see] = useState({ first: 0, last: 40 });
  useEffect(() => {
    const box = place.current;
    const look = () => {
      const first = Math.max(0, Math.floor(box.scrollTop / ROW) - BEYOND);
      const last = Math.ceil((box.scrollTop + box.clientHeight) / ROW) + BEYOND;
      see((old) => (old.first === first && old.last === last ? old : { first, last }));
    };
    look();
    box.addEventListener("scroll", look, { passive: true });
    return () => box.removeEventListener("scroll", look);
  }, [rows.length]);
  // The words of a field are made when somebody points at it: there may be a hundred thousand.
  const explain = ({ target }) => {
    if (!target.matches("td.node")) return;
    const one = rows.find((row) => row.project === target.parentNode.firstElementChild.textContent);
    const column = target.cellIndex - 2;
    target.title = nodes[column].id + ": " + told(one?.cells[column]);
  };
  const space = (many) => many > 0 && html`<tr aria-hidden="true"><td style=${{ height: many * ROW + "px", padding: 0, border: 0 }}></td></tr>`;
  return html`<div class="matrix" ref=${place} tabindex="0" role="region" aria-label="Projects by node"><table aria-rowcount=${rows.length} onmouseover=${explain}>
    <thead><tr><th>Project</th><th class="number">Gen.</th>${nodes.map((node) => html`<th key=${node.id} class="node" title=${node.id}><span>${node.id}</span></th>`)}</tr></thead>
    <tbody>${space(first)}${rows.slice(first, last).map(row)}${space(rows.length - last)}</tbody></table></div>`;
}

const row = ({ project, generation, cells }) => html`<tr key=${project}><th scope="row"><${Link} to=${["project", project]}>${project}</${Link}></th>
  <td class="number small soft">${number(generation)}</td>${cells.map((cell) => h("td", { class: "node " + look(cell) }, SIGNS[look(cell)] ?? sign(cell)))}</tr>`;

/** Signs, so that what is told by colour is told by shape too. */
const SIGNS = { away: "–", bad: "!", none: "○", good: "●", old: "◔" };
const sign = (cell) => (cell.lag > 99 ? "99+" : String(cell.lag));

function look(cell) {
  if (!cell) return "away";
  if (cell.state === "failed" || cell.plan) return "bad";
  if (cell.generation === null) return "none";
  if (cell.lag > 0) return "warn";
  return cell.stale ? "old" : "good";
}

/** A field of the matrix in words. */
function told(cell) {
  if (!cell) return "is not offered it";
  const late = cell.lag > 0 ? count(cell.lag, "generation") + ", " + about(cell.lag_seconds) + " behind" : "current, generation " + number(cell.generation ?? 0);
  if (cell.plan) return late + "; it keeps its tree until a person decides: " + (cell.reason ?? "");
  if (cell.state === "failed") return late + "; its last pull failed: " + (cell.reason ?? "");
  if (cell.generation === null) return "holds nothing yet";
  return late + (cell.as_of ? "; from " + new Date(cell.as_of).toLocaleString() + (cell.stale ? ", which is too old" : "") : "");
}
