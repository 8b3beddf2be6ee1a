// When runs start: a heat map of the next day, and the next starts by name.

import { get } from "./api.js";
import { heat } from "./chart.js";
import { h, link } from "./dom.js";
import { refresh } from "./events.js";
import { clock, when } from "./words.js";

export async function schedule(place, signal) {
  const load = async () => {
    const [load, page] = await Promise.all([get("/schedule/load?hours=24"), get("/schedule?limit=50")]);
    if (signal.aborted) return;
    place.replaceChildren(
      h("section", {}, h("h1", {}, "The next 24 hours"), h("p", { class: "soft" }, "How many runs start in each ten minutes" + (load.truncated ? ", as far as they were counted." : ".")), h("div", { class: "scroll" }, heat(load))),
      h("section", {}, h("h2", {}, "Next starts"), h("table", { class: "rows" }, h("tbody", {}, page.items.map((one) => h("tr", {},
        h("td", {}, link(["project", one.project], one.project)), h("td", {}, when(one.at)), h("td", { class: "soft small wide" }, clock(one.at))))))));
  };
  await load();
  refresh(signal, (event) => event.type.startsWith("project.") || event.type === "resync", () => load().catch(() => {}));
}
