// Adding a project, and changing one. The server says what is wrong, field by field; what this page cannot read is
// said at its field too, and never sent.

import { ask, at, post, versioned } from "./api.js";
import { html, useEffect, useState } from "./html.js";
import { Link, Pending, Section, Tag } from "./parts.js";
import { note } from "./talk.js";
import { join, upstream } from "./words.js";

/** Schedules that fit most mirrors; `H` is a minute made from the project's id. */
const SCHEDULES = [
  ["hourly", "every hour", { cron: "H * * * *" }],
  ["sixth", "every six hours", { cron: "H */6 * * *" }],
  ["daily", "every night", { cron: "H H * * *" }],
  ["manual", "only by hand", { manual: true }],
  ["cron", "by a cron text", null],
  ["every", "so long after the last run", null],
];

/** What the form holds, from a project or for a new one. */
function values(one) {
  if (!one) {
    return { id: "", name: "", source: "", upstreams: "", password: "", dest: "", schedule: "sixth", cron: "", every: "", timezone: "", labels: "", basic: "",
      priority: "0", max_delete: "", max_delete_percent: "", enabled: true };
  }
  const { schedule } = one;
  const kind = schedule.manual ? "manual" : schedule.cron !== undefined ? "cron" : "every";
  return {
    id: one.id, name: one.name, source: upstream(one.source), upstreams: one.upstreams.map(upstream).join("\n"), password: "", dest: one.dest,
    schedule: typeof schedule.cron === "object" ? "same" : kind, cron: typeof schedule.cron === "string" ? schedule.cron : "",
    every: schedule.every !== undefined ? String(schedule.every) : "", timezone: schedule.timezone ?? "",
    labels: Object.entries(one.labels).map((pair) => pair.join("=")).join(", "), basic: one.options.basic.join(" "),
    priority: String(one.priority), max_delete: String(one.guard.max_delete), max_delete_percent: String(one.guard.max_delete_percent), enabled: one.enabled,
  };
}

/** A whole number as people write it, `1 000` and `3%` included; null where a text is none. */
function wholeNumber(text, percent) {
  const digits = percent ? text.replace(/\s*%\s*$/, "") : text;
  if (!/^\s*-?(\d+|\d{1,3}(\s\d{3})+)\s*$/.test(digits)) return null;
  const number = Number(digits.replace(/\s/g, ""));
  return Number.isSafeInteger(number) ? number : null;
}

/** The pairs of a text; what cannot be read is added to `wrong`. */
function labels(text, wrong) {
  const read = {};
  for (const part of text.split(",").map((part) => part.trim()).filter(Boolean)) {
    const [key, ...rest] = part.split("=").map((one) => one.trim());
    if (Object.hasOwn(read, key)) wrong.push({ field: "labels", message: "gives `" + key + "` twice: keep one of them" });
    if (rest.length === 0) wrong.push({ field: "labels", message: "`" + part + "` has no value: write key=value" });
    read[key] = rest.join("=");
  }
  return read;
}

function schedule(form, old) {
  const set = SCHEDULES.find(([name]) => name === form.schedule)?.[2];
  // A merge patch keeps the zone that stands there unless it is named.
  const timezone = form.timezone ? { timezone: form.timezone } : old?.timezone ? { timezone: null } : {};
  if (set) return { ...set, ...timezone };
  // A text, so that the server refuses a pause without a unit: a number would be seconds.
  return form.schedule === "cron" ? { cron: form.cron, ...timezone } : { every: form.every };
}

/** The numbers of a form, and the fields of the API that take them. */
const NUMBERS = [["priority", "priority"], ["max_delete", "guard.max_delete"], ["max_delete_percent", "guard.max_delete_percent"]];

/** The numbers that were given or changed, by name; what cannot be read is added to `wrong`. */
function numbers(form, old, wrong) {
  const read = {};
  for (const [name, field] of NUMBERS) {
    const given = old ? form[name] !== old[name] : form[name].trim() !== "";
    if (!given) continue;
    read[name] = wholeNumber(form[name], name === "max_delete_percent");
    if (read[name] === null) {
      const said = form[name].trim() === "" ? "is empty" : "`" + form[name].trim() + "` is not a whole number";
      wrong.push({ field, message: said + ": write it in digits, such as 10" });
    }
  }
  return read;
}

/** The document for the API, whole for a new project, and what differs for a known one; and the fields that cannot be read. */
function document(form, old) {
  const changed = (name) => !old || form[name] !== old[name];
  const one = {};
  const wrong = [];
  if (!old) one.id = form.id;
  // Without a name the id is the name, and `null` takes a name away.
  if (changed("name") && (old || form.name)) one.name = form.name || null;
  if (changed("source")) one.source = form.source;
  // The whole address again, with what only the form of an object can hold.
  if (form.password) one.source = { ...parts(form.source), password: form.password };
  if (changed("upstreams") && (old || form.upstreams)) one.upstreams = form.upstreams.split(/\s+/).filter(Boolean);
  if (changed("dest")) one.dest = form.dest;
  if (form.schedule !== "same" && ["schedule", "cron", "every", "timezone"].some(changed)) one.schedule = schedule(form, old);
  if (changed("labels") && (old || form.labels)) one.labels = replaced(labels(form.labels, wrong), old && labels(old.labels, []));
  if (changed("basic") && (old || form.basic)) one.options = { basic: form.basic.split(/\s+/).filter(Boolean) };
  const { priority, ...guard } = numbers(form, old, wrong);
  if (priority !== undefined) one.priority = priority;
  if (Object.keys(guard).length > 0) one.guard = guard;
  if (!old && !form.enabled) one.enabled = false;
  return { one, wrong };
}

/** A merge patch takes away only what it names. */
function replaced(now, old) {
  const gone = Object.keys(old ?? {}).filter((key) => !(key in now)).map((key) => [key, null]);
  return { ...Object.fromEntries(gone), ...now };
}

function parts(address) {
  const found = /^rsync:\/\/(?:([^@/]*)@)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?\/([^/]*)\/?(.*)$/.exec(address);
  if (!found) return { host: address };
  const [, user, host, port, module, path] = found;
  return { host, module, path, ...(user ? { user } : {}), ...(port ? { port: Number(port) } : {}) };
}

export function ProjectForm({ parts: [id] }) {
  const [known, setKnown] = useState(id ? null : { old: null });
  const [error, setError] = useState(null);
  useEffect(() => {
    if (id) versioned(at("projects", id)).then(({ value, version }) => setKnown({ old: values(value), version }), setError);
  }, [id]);
  if (!known) return html`<${Pending} error=${error} what="This project" />`;
  return html`<${Form} id=${id} known=${known} />`;
}

function Form({ id, known: { old, version } }) {
  const [form, setForm] = useState(old ?? values(null));
  const [errors, setErrors] = useState([]);
  const [busy, setBusy] = useState(false);
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    const { one, wrong } = document(form, old);
    if (wrong.length > 0) {
      setErrors(wrong);
      return;
    }
    setBusy(true);
    try {
      if (id) await ask("PATCH", at("projects", id), one, { "If-Match": version });
      else await post("/projects", one);
      note(id ? "Changed." : "Added. Its first sync comes with its schedule, or now by hand.");
      location.hash = "#/project/" + encodeURIComponent(id ?? form.id);
    } catch (failure) {
      setErrors(failure.fields.length > 0 ? failure.fields : [{ field: "", message: failure.message }]);
      setBusy(false);
    }
  };
  const field = { form, set, errors };
  const shown = ["id", "name", "source", "upstreams", "dest", "schedule", "labels", "options", "priority", "guard", "password"];
  const rest = errors.filter((one) => !shown.some((name) => one.field === name || one.field.startsWith(name + ".")));
  return html`<div class="title"><h1 class="grow">${id ? "Change " + id : "Add a project"}</h1></div>
    <form class="project" onsubmit=${submit}>
      <${Section} title="From where to where">
        <div class="fields">
          <${Field} ...${field} name="source" label="Upstream" hint="rsync://[user@]host[:port]/module[/path], or command:NAME" required full />
          <${Probe} source=${form.source} password=${form.password} />
          ${!id && html`<${Field} ...${field} name="id" label="Id" hint="Its short name in addresses; it stays for good" required />`}
          <${Field} ...${field} name="name" label="Name" hint=${id ? "" : "For people; the id unless given"} />
          <${Field} ...${field} name="dest" label="Destination" hint="The folder on the server where the tree lands, such as /srv/mirror/debian" required full />
        </div>
      </${Section}>
      <${Section} title="When"><div class="fields"><${When} ...${field} id=${id} /></div></${Section}>
      <details class="more"><summary>Login, deletions, labels, options</summary><section><div class="fields">
        <${Field} ...${field} name="password" label="Upstream's password" hint=${id ? "Left as it is unless given" : "For the user in the address"} type="password" autocomplete="new-password" />
        <${Field} ...${field} name="upstreams" label="More upstreams" hint="One in each line, asked in order when the one before fails" full lines />
        <${Field} ...${field} name="labels" label="Labels" hint="key=value, key=value" />
        <${Field} ...${field} name="max_delete" at="guard.max_delete" label="Most deletions" hint="Of paths in one run" inputmode="numeric" />
        <${Field} ...${field} name="max_delete_percent" at="guard.max_delete_percent" label="Most deletions in percent" hint="Of the tree" inputmode="numeric" />
        <${Field} ...${field} name="basic" at="options" label="More options of rsync" hint="Such as --exclude=/dists/sid/" mono />
        <${Field} ...${field} name="priority" label="Priority" hint="Higher goes first" inputmode="numeric" />
      </div></section></details>
      ${rest.map((one) => html`<p class="bad" role="alert" key=${one.field}>${join(one.field, one.message)}</p>`)}
      <div class="actions end"><${Link} to=${id ? ["project", id] : []} class="button">Leave it</${Link}><button class="main" disabled=${busy}>${id ? "Change" : "Add the project"}</button></div>
    </form>`;
}

function Field({ form, set, errors, name, at: place = name, label, hint, full, mono, lines, ...more }) {
  const wrong = errors.filter((one) => one.field === place || one.field.startsWith(place + "."));
  return html`<label class=${full ? "field full" : "field"}><span>${label}</span>
    <${lines ? "textarea" : "input"} name=${name} rows=${lines ? 2 : undefined} value=${form[name]} oninput=${set(name)} spellcheck=${false} autocomplete="off" aria-invalid=${wrong.length > 0 ? "true" : undefined} class=${mono ? "mono" : ""} ...${more} />
    ${wrong.length > 0 ? wrong.map((one) => html`<span class="wrong" role="alert">${one.message}</span>`) : hint && html`<span class="hint">${hint}</span>`}</label>`;
}

function When({ form, set, errors, id }) {
  const choices = SCHEDULES.map(([name, words]) => [name, words]);
  if (form.schedule === "same" || id) choices.unshift(["same", "as it is"]);
  // What is wrong with a field that shows is said there, and the rest at the choice.
  const own = ["schedule." + form.schedule, "schedule.timezone"];
  const wrong = errors.filter(({ field }) => field.startsWith("schedule") && !own.some((name) => field === name || field.startsWith(name + ".")));
  return html`<label class="field"><span>Schedule</span><select name="schedule" value=${form.schedule} onchange=${set("schedule")}>
      ${choices.map(([name, words]) => html`<option key=${name} value=${name}>${words}</option>`)}</select>
      ${wrong.map((one) => html`<span class="wrong" role="alert">${one.message}</span>`)}</label>
    ${form.schedule === "cron" && html`<${Field} form=${form} set=${set} errors=${errors} name="cron" at="schedule.cron" label="Cron text" hint="minute hour day month day_of_week; H for a value made from the id" required mono />`}
    ${form.schedule === "every" && html`<${Field} form=${form} set=${set} errors=${errors} name="every" at="schedule.every" label="Pause" hint="With its unit, such as 30m or 6h" required />`}
    ${!["manual", "every", "same"].includes(form.schedule) && html`<${Field} form=${form} set=${set} errors=${errors} name="timezone" at="schedule.timezone" label="Time zone" hint="Such as Europe/Berlin; UTC unless given" />`}`;
}

/** Asks the upstream before anything depends on it. */
function Probe({ source, password }) {
  const [said, set] = useState(null);
  const look = async () => {
    set({ text: "asking …", look: "wait" });
    try {
      const found = await post("/probe", { source, ...(password ? { password } : {}) });
      if (found.problem) set({ text: found.problem, look: "bad" });
      else if (found.modules && found.module === "not-asked") set({ text: "it has " + (found.modules.map((one) => one.name ?? one).join(", ") || "no modules"), look: "good" });
      else set({ text: join("it is there", found.login === "accepted" && "the login works", "answered in " + Math.round(found.connect_ms + found.greeting_ms) + " ms"), look: "good" });
    } catch (failure) {
      set({ text: failure.fields?.map((one) => one.message).join("; ") || failure.message, look: "bad" });
    }
  };
  return html`<div class="line full"><button type="button" class="small" disabled=${!source} onclick=${look}>Ask the upstream</button>
    ${said && html`<span class="grow small" role="status"><${Tag} look=${said.look} state=${{ good: "reachable", bad: "no", wait: "…" }[said.look]} /> ${said.text}</span>`}</div>`;
}
