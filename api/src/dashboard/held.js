// A held run: what it would delete, folded by folder, and the two ways out of it.

import { at, get, post } from "./api.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { Empty, Facts, Path, Section, When } from "./parts.js";
import { act } from "./talk.js";
import { bytes, count, number } from "./words.js";

/** So many paths are read at most; the rest is said as a number. */
const MOST = 50000;
/** So many entries of one folder are shown. */
const SHOWN = 200;

export function Held({ run, may }) {
  const { hold } = run;
  const share = hold.of_entries > 0 ? Math.round((hold.deletions / hold.of_entries) * 100) : 0;
  const approve = () => act({
    title: "Delete " + count(hold.deletions, "entry", "entries") + " of " + run.project + "?", word: "Approve", danger: true, typed: run.project,
    about: "Exactly this plan is let through. What it deletes is gone from this mirror, and from every slave after it.",
  }, () => post(at("runs", run.id) + "/approve?plan=" + encodeURIComponent(hold.plan)), "Approved: the run goes on.");
  const reject = () => act({ title: "Reject this run?", word: "Reject", about: "It ends, and deletes nothing. The next run asks again as long as the upstream stays as it is." },
    () => post(at("runs", run.id) + "/reject"), "Rejected: nothing was deleted.");
  return html`<${Section} title="A person has to decide" look="caution">
    <p class="first">${run.reason}</p>
    <div class="gap"><${Facts} pairs=${[
      ["Would delete", html`<b class="bad">${count(hold.deletions, "entry", "entries")}</b> of ${number(hold.of_entries)} (${share} %), ${bytes(hold.deleted_bytes)} of ${bytes(hold.of_bytes)}`],
      ["Would bring", number(hold.created) + " new and " + number(hold.updated) + " changed"],
      ["Held", html`<${When} time=${hold.since} />, looked at again <${When} time=${hold.planned} />`]]} /></div>
    ${may && html`<div class="actions gap"><button class="main danger" onclick=${approve}>Approve …</button><button onclick=${reject}>Reject</button></div>`}
    <h3>What would be deleted</h3>
    <${Fold} run=${run.id} plan=${hold.plan} deletions=${hold.deletions} />
  </${Section}>`;
}

/** Reads the deletions of a plan, page by page. */
async function read(run, tell, signal) {
  const paths = [];
  let cursor = "";
  for (;;) {
    const page = await get(at("runs", run) + "/changes?limit=1000" + cursor);
    if (signal.aborted) return;
    for (const one of page.items) if (one.op === "deleted") paths.push(one.path);
    tell({ paths: [...paths], whole: !page.next });
    if (!page.next || paths.length >= MOST) return;
    cursor = "&cursor=" + encodeURIComponent(page.next);
  }
}

function Fold({ run, plan, deletions }) {
  const [{ paths, whole, error }, set] = useState({ paths: [], whole: false, error: null });
  useEffect(() => {
    const stop = new AbortController();
    read(run, set, stop.signal).catch((error) => set((old) => ({ ...old, error })));
    return () => stop.abort();
  }, [run, plan]);
  const tree = useMemo(() => folded(paths), [paths]);
  if (error) return html`<p class="bad">${error.message}</p>`;
  if (whole && paths.length === 0) return html`<${Empty} title="The list is empty" />`;
  return html`<div class="fold"><${Folder} folder=${tree} open=${true} name="the mirror" />
    ${!whole && html`<p class="soft small">${number(paths.length)} of ${number(deletions)} paths are shown.</p>`}</div>`;
}

/** Paths as folders in folders; a folder counts everything below it. */
function folded(paths) {
  const folder = () => ({ many: 0, folders: new Map(), files: [] });
  const root = folder();
  for (const path of paths) {
    const parts = path.split("/").filter(Boolean);
    const file = path.endsWith("/") ? null : parts.pop();
    let place = root;
    place.many += 1;
    for (const part of parts) {
      let next = place.folders.get(part);
      if (!next) place.folders.set(part, next = folder());
      next.many += 1;
      place = next;
    }
    if (file) place.files.push(file);
  }
  return root;
}

/** What is in a folder is drawn once it is opened. A folder with nothing but one folder shows with that in one line. */
function Folder({ folder, name, open: first = false }) {
  const [open, setOpen] = useState(first);
  let [shown, label] = [folder, name];
  while (!first && shown.files.length === 0 && shown.folders.size === 1) {
    const [[next, inner]] = shown.folders;
    label += "/" + next;
    shown = inner;
  }
  const folders = [...shown.folders].sort((a, b) => b[1].many - a[1].many);
  const rest = Math.max(0, folders.length - SHOWN) + Math.max(0, shown.files.length - SHOWN);
  return html`<details open=${open} ontoggle=${(event) => { if (event.target === event.currentTarget) setOpen(event.target.open); }}>
    <summary>${first ? html`<span>${label}</span>` : html`<${Path} text=${label + "/"} />`}<span class="many">${number(folder.many)}</span></summary>
    ${open && html`${folders.slice(0, SHOWN).map(([name, inner]) => html`<${Folder} key=${name} folder=${inner} name=${name} />`)}
      <ul>${shown.files.slice(0, SHOWN).map((file) => html`<li key=${file}><${Path} text=${file} /></li>`)}</ul>
      ${rest > 0 && html`<p class="soft small">and ${number(rest)} more</p>`}`}
  </details>`;
}
