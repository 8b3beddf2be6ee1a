// The paths that a run changed, some at a time.

import { at, get } from "./api.js";
import { html, useEffect, useState } from "./html.js";
import { Changes, Empty, Path, Section, Tag } from "./parts.js";
import { note } from "./talk.js";
import { bytes } from "./words.js";

/** How many paths are shown at first, and more with each click. */
const PAGE = 200;
const LOOKS = { created: "good", updated: "quiet", deleted: "bad" };

export function ChangeList({ run, counts }) {
  const [{ items, next }, set] = useState({ items: null, next: null });
  const more = async (cursor) => {
    try {
      const page = await get(at("runs", run) + "/changes?limit=" + PAGE + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""));
      set((old) => ({ items: cursor ? [...old.items, ...page.items] : page.items, next: page.next }));
    } catch (error) { note(error.message, true); }
  };
  useEffect(() => { more(null); }, [run]);
  if (!items) return null;
  return html`<${Section} title="Changes" aside=${html`<${Changes} of=${counts} />`}>
    ${items.length === 0 ? html`<${Empty} title="Nothing was changed" />`
      : html`<div class="scroll"><table class="rows"><tbody id="changes">${items.map((one, index) => html`<tr key=${index}>
        <td><${Tag} state=${one.op} look=${LOOKS[one.op]} /></td><td class="small soft wide">${one.type === "unknown" ? "" : one.type}</td>
        <td><${Path} text=${one.path} /></td><td class="number small">${one.type === "file" ? bytes(one.size) : ""}</td></tr>`)}</tbody></table></div>`}
    ${next && html`<div class="actions end"><button onclick=${() => more(next)}>More</button></div>`}
  </${Section}>`;
}
