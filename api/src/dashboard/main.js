// Which page is shown: by the address after #, and by who is signed in.

import { get, remove } from "./api.js";
import { h, link, note } from "./dom.js";
import * as events from "./events.js";
import { overview } from "./overview.js";
import { people } from "./people.js";
import { project } from "./project.js";
import { run } from "./run.js";
import { schedule } from "./schedule.js";
import { signIn } from "./sign-in.js";

const PAGES = { "": overview, project, run, schedule, people };
let session = null;
let leave = new AbortController();

function menu(current) {
  const items = [["", "Overview"], ["schedule", "Schedule"], ["people", "Users and tokens"]];
  document.getElementById("nav").replaceChildren(...(session ? items : []).map(([name, text]) =>
    link(name ? [name] : [], text, { "aria-current": name === current && "page" })));
  const out = h("button", { class: "small", onclick: signOut }, "Sign out");
  document.getElementById("who").replaceChildren(...(session ? [h("span", { class: "soft small" }, session.user + " "), out] : []));
}

async function signOut() {
  try { await remove("/session"); } catch { /* it has ended already */ }
  session = null;
  events.close();
  show();
}

async function show() {
  leave.abort();
  leave = new AbortController();
  const place = document.getElementById("page");
  const [name = "", ...parts] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  menu(name);
  if (!session) {
    document.title = "Sign in · Heliostat";
    signIn(place, (who) => { session = who; show(); });
    return;
  }
  events.open();
  document.title = (parts[0] || (name && name[0].toUpperCase() + name.slice(1)) || "Overview") + " · Heliostat";
  const page = PAGES[name] ?? overview;
  try {
    await page(place, leave.signal, session, ...parts);
  } catch (error) {
    if (error.name !== "AbortError") place.replaceChildren(h("section", {}, h("h1", {}, "This cannot be shown"), h("p", {}, error.message)));
  }
}

async function whoAmI() {
  try { session = await get("/session"); } catch (error) { session = null; if (!error.status) note("The server cannot be reached."); }
}

addEventListener("hashchange", () => { if (location.hash !== "#page") { show(); document.getElementById("page").focus(); } });
addEventListener("signed-out", () => { if (session) { session = null; events.close(); show(); } });
addEventListener("lost", async () => { if (session) { await whoAmI(); if (!session) show(); } });
await whoAmI();
show();
