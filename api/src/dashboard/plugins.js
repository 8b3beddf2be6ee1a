// The plugins: what state they are in and why, what they are asked, what they may, and how their calls go.

import { get } from "./api.js";
import { html } from "./html.js";
import { useData } from "./live.js";
import { Empty, Facts, Path, Pending, Section, Tag } from "./parts.js";
import { number } from "./words.js";

/** How good a state is. */
const LOOKS = { loaded: "good", stale: "warn", resting: "warn", refused: "bad" };
/** What needs a person comes first. */
const ORDER = ["refused", "stale", "resting", "loaded"];
/** What a state means, where its name does not say all. */
const MEANS = {
  stale: "Its newest file was refused; the one before it goes on.",
  resting: "It failed too often, and is not asked for a while.",
};

/** What happens where it fails or could not be loaded, by what it is asked for. */
const FAILS = {
  "pre-sync": ({ pre }) => (pre === "open" ? "syncs start all the same" : "no sync starts"),
  "post-sync": ({ post }) => (post === "open" ? "results stand" : "results are rejected"),
  policy: () => "the built-in order and the schedules hold",
};

export function Plugins() {
  const { value, error } = useData(() => get("/plugins"), "plugins", (event) => event.type === "run.ended");
  if (!value) return html`<${Pending} error=${error} what="The list of plugins" />`;
  return html`<div class="title"><h1 class="grow">Plugins</h1></div>
    ${value.items.length === 0
      ? html`<section><${Empty} title="No plugin is configured">Those of <code>plugins.load</code> in the configuration show here.</${Empty}></section>`
      : value.items.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).map((one) => html`<${Plugin} key=${one.id} one=${one} />`)}`;
}

function Plugin({ one }) {
  // What it would be asked for is not known of one that could not be read: it fails at either.
  const hooks = one.hooks.length > 0 ? one.hooks : ["pre-sync", "post-sync"];
  const refused = one.refused && html`<p class="bad">${one.refused}</p>`;
  const digest = one.sha256 && html`<code title=${one.sha256}>${one.sha256.slice(0, 12)}</code>`;
  return html`<${Section} title=${one.id} look=${one.state === "refused" ? "alarm" : ""} aside=${html`<${Tag} look=${LOOKS[one.state]} state=${one.state} />`}>
    ${refused}${MEANS[one.state] && html`<p class="soft">${MEANS[one.state]}</p>`}
    <${Facts} pairs=${[
      ["Is asked", hooks.join(", ")],
      ["About", one.projects.length > 0 ? one.projects.join(", ") : "every project"],
      ["Fits no project", one.unmatched.length > 0 ? html`<span class="warn">${one.unmatched.join(", ")}</span>` : null],
      ["Where it fails", hooks.map((hook) => FAILS[hook](one.failure)).join(", ")],
      ["Not loaded", one.required ? "the server does not start" : null],
      ["May", granted(one.grants)],
      ["Calls", html`${number(one.calls)}${one.failures > 0 && html`, <span class="bad">${number(one.failures)} failed</span>`}${one.traps > 0 && html`, ${number(one.traps)} stopped`}`],
      ["A call takes", one.calls > 0 ? millis(one.p50) + " (half of them), " + millis(one.p99) + " (99 of 100)" : null],
      ["Last error", one.last_error && html`<${Path} text=${one.last_error} />`],
      ["File", html`<${Path} text=${one.path} /> ${digest}`],
      ["Contract", one.version]]} />
  </${Section}>`;
}

/** What was granted, in the configuration's words. */
function granted(grants) {
  const given = Object.entries(grants).map(([name, value]) => {
    if (Array.isArray(value)) return value.length > 0 && name + " " + value.join(" ");
    return value && (value === true ? name : name + " " + value);
  }).filter(Boolean);
  return given.length > 0 ? given.join(", ") : "nothing beyond its answer";
}

const millis = (seconds) => (seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0) + " ms";
