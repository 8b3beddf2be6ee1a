// When runs start: a heat map of the next day, and the next starts by name.

import { get } from "./api.js";
import { html, useState } from "./html.js";
import { useData } from "./live.js";
import { Empty, Link, Pending, Section, When } from "./parts.js";
import { clock, count } from "./words.js";

/** How many starts are shown before a time is chosen, and then. */
const NEXT = 40;
const MOST = 1000;
const changes = (event) => event.type.startsWith("project.");

export function Schedule() {
  const { value, error } = useData(() => get("/schedule/load?hours=24"), "load", changes);
  const [chosen, choose] = useState(null);
  if (!value) return html`<${Pending} error=${error} what="The schedule" />`;
  const { starts, slot_seconds: slot, from, truncated } = value;
  const begin = Date.parse(from);
  const total = starts.reduce((sum, one) => sum + one, 0);
  const time = chosen === null ? null : begin + chosen * slot * 1000;
  return html`<div class="title"><h1 class="grow">Schedule</h1></div>
    <${Section} title="The next 24 hours" many=${count(total, "start") + (truncated ? " or more" : "")} aside=${html`<${Legend} most=${Math.max(1, ...starts)} />`}>
      <${Heat} counts=${starts} slot=${slot} begin=${begin} chosen=${chosen} choose=${choose} />
    </${Section}>
    <${Section} title=${time === null ? "Next starts" : "Starts from " + clock(time)} aside=${time !== null && html`<button class="link small" onclick=${() => choose(null)}>Show the next ones</button>`}>
      <${Starts} from=${time} slot=${slot} />
    </${Section}>`;
}

/** What starts within a field of the map, or next. */
function Starts({ from, slot }) {
  const iso = (time) => new Date(time).toISOString();
  const query = from === null ? "?limit=" + NEXT : "?from=" + iso(from) + "&until=" + iso(from + slot * 1000 - 1) + "&limit=" + MOST;
  const { value, error } = useData(() => get("/schedule" + query), query, changes);
  if (!value) return html`<${Pending} error=${error} what="The list of starts" />`;
  if (value.items.length === 0) return html`<${Empty} title="Nothing is due">Projects that are synced by hand, or after a pause, show only once their time is known.</${Empty}>`;
  return html`<table class="rows"><tbody>${value.items.map((one) => html`<tr key=${one.project + one.at}><td><${Link} to=${["project", one.project]}>${one.project}</${Link}></td>
    <td><${When} time=${one.begins} /></td><td class="soft small wide">${clock(one.begins)}</td></tr>`)}</tbody></table>`;
}

const level = (value, most) => (value === 0 ? 0 : Math.ceil((value / most) * 4));

function Legend({ most }) {
  return html`<span class="legend small soft">none ${[0, 1, 2, 3, 4].map((one) => html`<i class=${"cell level" + one}></i>`)} ${most}</span>`;
}

/** Hours beside each other on a desk, below each other on a phone; ten minutes in each field. */
function Heat({ counts, slot, begin, chosen, choose }) {
  const most = Math.max(1, ...counts);
  const perHour = Math.round(3600 / slot);
  const time = (index) => new Date(begin + index * slot * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const hours = [];
  for (let index = 0; index < counts.length; index += perHour) hours.push(index);
  return html`<div class="heat" role="group" aria-label=${"Starts in each ten minutes, at most " + most}>${hours.map((first) => html`<div class="hour" key=${first}>
    <span class="soft">${time(first)}</span>
    ${counts.slice(first, first + perHour).map((value, offset) => html`<button key=${offset} class=${"cell level" + level(value, most)} aria-pressed=${chosen === first + offset ? "true" : "false"} tabindex=${value > 0 ? 0 : -1}
      title=${time(first + offset) + ": " + count(value, "start")} aria-label=${time(first + offset) + ", " + count(value, "start")} onclick=${() => choose(chosen === first + offset ? null : first + offset)}>${value || ""}</button>`)}
  </div>`)}</div>`;
}
