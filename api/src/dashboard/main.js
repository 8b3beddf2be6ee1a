// Which page is shown: by the address after #, and by who is signed in.

import { get, remove } from "./api.js";
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import * as live from "./live.js";
import { Nodes } from "./nodes.js";
import { Overview } from "./overview.js";
import { Link } from "./parts.js";
import { People } from "./people.js";
import { Plugins } from "./plugins.js";
import { ProjectForm } from "./project-form.js";
import { Project } from "./project.js";
import { forget } from "./projects.js";
import { Run } from "./run.js";
import { Schedule } from "./schedule.js";
import { SignIn } from "./sign-in.js";
import { Talk } from "./talk.js";

const PAGES = {
  "": { page: Overview, title: () => "Overview" },
  project: { page: Project, title: (id) => id },
  add: { page: ProjectForm, title: () => "Add a project" },
  change: { page: ProjectForm, title: (id) => "Change " + id },
  run: { page: Run, title: () => "Run" },
  nodes: { page: Nodes, title: () => "Nodes" },
  schedule: { page: Schedule, title: () => "Schedule" },
  plugins: { page: Plugins, title: () => "Plugins" },
  people: { page: People, title: () => "Users and tokens" },
};

/** The words of the address: a page, and what it is about. */
function address() {
  return location.hash.replace(/^#\/?/, "").split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
}

function useAddress() {
  const [now, set] = useState(address);
  useEffect(() => {
    // The link to the content is no page.
    const changed = () => { if (location.hash !== "#page") set(address()); };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return now;
}

/** Who is signed in, and at which kind of site. */
async function whoAmI() {
  const session = await get("/session");
  return { ...session, site: (await get("/status")).role };
}

/** The session: undefined until it is known, null for nobody. */
function useSession() {
  const [session, set] = useState(undefined);
  const ask = () => whoAmI().then(set, (error) => set((old) => (error.status === 401 ? null : old ?? null)));
  useEffect(() => {
    const out = () => set((old) => (old === undefined ? old : null));
    addEventListener("signed-out", out);
    addEventListener("lost", ask);
    ask();
    return () => { removeEventListener("signed-out", out); removeEventListener("lost", ask); };
  }, []);
  useEffect(() => {
    if (session) live.open();
    else { live.close(); forget(); }
  }, [Boolean(session)]);
  return [session, { ask, end: () => set(null) }];
}

function App() {
  const [name, ...parts] = useAddress();
  const [session, { ask, end }] = useSession();
  const place = useRef(null);
  const { page: Page, title } = PAGES[name] ?? PAGES[""];
  const key = [name, ...parts].join("/");
  useEffect(() => {
    document.title = (session ? title(...parts) : "Sign in") + " · Heliostat";
    document.getElementById("app").className = session ? "" : "out";
  }, [key, session]);
  const first = useRef(true);
  useLayoutEffect(() => {
    // The first page leaves the focus where the browser puts it.
    if (first.current) { first.current = false; return; }
    place.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [key]);
  if (session === undefined) return null;
  if (session === null) return html`<${SignIn} done=${ask} />`;
  const signOut = async () => {
    try { await remove("/session"); } catch { /* it has ended already */ }
    end();
  };
  return html`
    <a class="skip" href="#page">To the content</a>
    <${Side} current=${name} session=${session} signOut=${signOut} />
    <main id="page" ref=${place} tabindex="-1"><${Page} key=${key} session=${session} parts=${parts} /></main>
    <${Talk} />`;
}

function Side({ current, session, signOut }) {
  const slave = session.site === "slave";
  const items = [["", "Overview", "overview"], !slave && ["nodes", "Nodes", "nodes"], ["schedule", "Schedule", "schedule"],
    !slave && ["plugins", "Plugins", "plugins"],
    ["people", session.role === "root" ? "Users and tokens" : "Tokens", "people"]].filter(Boolean);
  return html`<aside class="side">
    <${Link} to=${[]} class="brand"><img src=${new URL("icon.svg", import.meta.url).pathname} alt="" width="26" height="26" />Heliostat</${Link}>
    <nav aria-label="Pages">${items.map(([name, text, icon]) => html`<${Link} key=${name} to=${name ? [name] : []}
      aria-current=${name === current ? "page" : undefined}><${Icon} name=${icon} />${text}</${Link}>`)}</nav>
    <footer><${Live} /><div class="spread"><span>${session.user} <span class="soft wide">${session.role}</span></span>
      <button class="link" onclick=${signOut}>Sign out</button></div></footer>
  </aside>`;
}

/** Whether the server has another dashboard than this one by now: it may have been updated while it was away. */
function useUpdate() {
  const [is, set] = useState(false);
  useEffect(() => {
    const look = async () => {
      const page = await fetch("/", { method: "HEAD", cache: "no-store" });
      set(page.ok && !import.meta.url.includes("/" + page.headers.get("ETag").replaceAll('"', "") + "/"));
    };
    const back = () => look().catch(() => {});
    addEventListener("back", back);
    return () => removeEventListener("back", back);
  }, []);
  return is;
}

function Live() {
  const up = live.useConnection();
  const updated = useUpdate();
  const text = up === null ? "connecting" : up ? "live" : "connecting again";
  if (updated) return html`<button class="main small" onclick=${() => location.reload()}>Updated: load again</button>`;
  return html`<span class=${"live " + (up ? "on" : up === false ? "off" : "")} role="status">${text}</span>`;
}

const app = document.createElement("div");
app.id = "app";
document.body.append(app);
render(html`<${App} />`, app);
