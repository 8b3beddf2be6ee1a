// Small parts that many pages are made of.

import { html } from "./html.js";
import { useProgress } from "./live.js";
import { bytes, clock, count, join, kind, number, span, visible, when } from "./words.js";

/** How often the words of times are looked at. */
const TICK = 10000;

/** A link to one of our pages; the parts of its address are quoted. */
export function Link({ to, children, ...more }) {
  return html`<a href=${"#/" + to.map(encodeURIComponent).join("/")} ...${more}>${children}</a>`;
}

/** A state, told by a word, a shape and a colour. */
export function Tag({ state, look = kind(state), id, children }) {
  return html`<span class=${"tag " + look} id=${id}><i aria-hidden="true"></i>${children ?? state}</span>`;
}

/** A time in words. */
export function When({ time, none = "never" }) {
  return time ? html`<time datetime=${time} title=${clock(time)}>${when(time)}</time>` : html`<span class="soft">${none}</span>`;
}

/** The words of all times stay true. Their texts are changed in place, since a thousand components would be a wait. */
function tick() {
  if (document.hidden) return;
  for (const node of document.getElementsByTagName("time")) {
    const words = when(node.dateTime);
    if (node.firstChild && node.firstChild.data !== words) node.firstChild.data = words;
  }
}
setInterval(tick, TICK);
document.addEventListener("visibilitychange", tick);

/** A part of a page with its name. */
export function Section({ title, many, look = "", aside, children }) {
  return html`<section class=${look}>
    ${title && html`<div class="head"><h2>${title}${many !== undefined && html`<span class="count">${many}</span>`}</h2>${aside}</div>`}
    ${children}
  </section>`;
}

/** Names with their values; what is null is left out. */
export function Facts({ pairs }) {
  const shown = pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined);
  return html`<dl>${shown.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** What is there instead of nothing. */
export function Empty({ title, children }) {
  return html`<div class="empty"><b>${title}</b>${children && html`<p class="soft">${children}</p>`}</div>`;
}

/** A page that is on its way, or cannot be had. */
export function Pending({ error, what }) {
  if (!error) return html`<div class="pending" aria-busy="true"><span class="skip">Loading</span></div>`;
  const gone = error.status === 404;
  return html`<section><${Empty} title=${gone ? what + " is not there" : "This cannot be shown"}>${error.message}</${Empty}></section>`;
}

/** A path or another text from elsewhere, with everything in it visible. */
export function Path({ text }) {
  return html`<code class="path" dir="ltr">${visible(text)}</code>`;
}

/** How far a run is: a bar and what it says, live. */
export function Progress({ run, first }) {
  const now = useProgress(run, first);
  if (!now) return html`<div class="progress"><progress aria-label="Progress"></progress><span class="soft small">starting</span></div>`;
  const left = now.rate > 0 && now.percent > 0 && now.percent < 100
    ? span((now.bytes * (100 / now.percent - 1)) / now.rate) + " left" : null;
  const seen = now.total ? "looked at " + number(now.checked) + " of " + number(now.total) + (now.total_known ? "" : " or more") : null;
  return html`<div class="progress">
    <progress max="100" value=${now.percent} aria-label="Progress"></progress>
    <div class="small spread"><span><b>${now.percent} %</b> <span class="soft">${join(bytes(now.bytes), count(now.files, "file"), seen)}</span></span>
      <span>${join(now.rate > 0 && bytes(now.rate) + "/s", left)}</span></div>
  </div>`;
}

/** How full something is. */
export function Gauge({ share, label }) {
  const look = share > 0.95 ? "bad" : share > 0.9 ? "warn" : "";
  return html`<progress class=${look} max="1" value=${share} aria-label=${label}></progress>`;
}

/** Paths that were created, updated and deleted. */
export function Changes({ of }) {
  if (of.created + of.updated + of.deleted === 0) return html`<span class="soft">none</span>`;
  const part = (value, sign, look, name) => value > 0 && html`<span class=${look} title=${count(value, "path") + " " + name}>${sign}${number(value)}</span> `;
  return html`<span class="changes">${part(of.created, "+", "good", "created")}${part(of.updated, "~", "", "updated")}${part(of.deleted, "−", "bad", "deleted")}</span>`;
}
