// Users, tokens, and who changed what: root sees everybody's, others their own tokens.

import { at, get, post, remove } from "./api.js";
import { html, useState } from "./html.js";
import { useData } from "./live.js";
import { Empty, Pending, Section, When } from "./parts.js";
import { act, note } from "./talk.js";
import { clock } from "./words.js";

/** How many lines of the audit trail are shown. */
const LINES = 50;

async function load(root) {
  const [users, tokens, audit] = await Promise.all([root ? get("/users") : { items: [] }, get("/tokens"), root ? get("/audit?limit=" + LINES) : { items: [] }]);
  return { users: users.items, tokens: tokens.items, audit: audit.items };
}

export function People({ session }) {
  const root = session.role === "root";
  const { value, error, reload } = useData(() => load(root), "people");
  if (!value) return html`<${Pending} error=${error} what="The list" />`;
  return html`<div class="title"><h1 class="grow">${root ? "Users and tokens" : "Tokens"}</h1></div>
    ${root && session.site !== "slave" && html`<${Users} items=${value.users} session=${session} reload=${reload} />`}
    <${Tokens} items=${value.tokens} reload=${reload} fixed=${session.site === "slave"} />
    ${root && value.audit.length > 0 && html`<${Audit} items=${value.audit} />`}`;
}

/** Sends a form, empties it, and shows what is there then. */
function sender(send, reload) {
  return async (event) => {
    event.preventDefault();
    const form = event.target;
    try {
      await send(Object.fromEntries(new FormData(form)));
      form.reset();
      reload();
    } catch (error) { note(error.message, true); }
  };
}

function Users({ items, session, reload }) {
  const add = sender((form) => post("/users", form), reload);
  const drop = async (one) => {
    const question = { title: "Remove " + one.name + "?", word: "Remove", danger: true, about: "Their tokens end with them; their projects stay." };
    if (await act(question, () => remove(at("users", one.name)), "Removed.")) reload();
  };
  return html`<${Section} title="Users" many=${items.length}>
    <div class="scroll"><table class="rows"><thead><tr><th>Name</th><th>Role</th><th class="wide">Since</th><th></th></tr></thead><tbody>${items.map((one) => html`<tr key=${one.name}>
      <td>${one.name}${one.name === session.user && html` <span class="soft small">you</span>`}</td><td>${one.role}</td><td class="soft small wide">${clock(one.created)}</td>
      <td class="number">${one.name !== "root" && html`<button class="danger small" aria-label=${"Remove " + one.name} onclick=${() => drop(one)}>Remove</button>`}</td></tr>`)}</tbody></table></div>
    <form class="bar gap" onsubmit=${add}><input name="name" aria-label="Name of a new user" placeholder="name" required autocomplete="off" />
      <input name="password" type="password" autocomplete="new-password" aria-label="Password" placeholder="password, 8 or more" required minlength="8" />
      <select name="role" aria-label="Role">${["viewer", "upstreamuser", "root"].map((role) => html`<option>${role}</option>`)}</select><button class="main">Add a user</button></form>
  </${Section}>`;
}

const scope = (one) => one.scope.role ?? (one.scope.start ? "starts " + one.scope.start : "slave " + one.scope.node);

function Tokens({ items, reload, fixed }) {
  const [made, setMade] = useState(null);
  const make = sender(async ({ name, start, expires_in }) => {
    const wanted = { name, ...(start ? { start } : {}), ...(expires_in ? { expires_in } : {}) };
    setMade(await post("/tokens", wanted));
  }, reload);
  const end = async (one) => {
    const question = { title: "End the token " + (one.name || one.id) + "?", word: "End it", danger: true, about: "Whoever uses it is refused from then on." };
    if (await act(question, () => remove(at("tokens", one.id)), "It has ended.")) reload();
  };
  const copy = () => navigator.clipboard.writeText(made.token).then(() => note("Copied."), () => note("This browser does not copy: select the text."));
  return html`<${Section} title="Tokens" many=${items.length}>
    ${items.length === 0 ? html`<${Empty} title="No token yet">A token lets a script or an upstream in without a password.</${Empty}>`
      : html`<div class="scroll"><table class="rows"><thead><tr><th>For</th><th>May</th><th class="wide">Owner</th><th>Used</th><th class="wide">Ends</th><th></th></tr></thead><tbody>${items.map((one) => html`<tr key=${one.id}>
        <td>${one.name || "–"}</td><td>${scope(one)}</td><td class="small wide">${one.owner}</td><td class="small"><${When} time=${one.last_used} /></td>
        <td class="small wide"><${When} time=${one.expires} /></td><td class="number"><button class="danger small" aria-label=${"End " + one.name} onclick=${() => end(one)}>End</button></td></tr>`)}</tbody></table></div>`}
    ${!fixed && html`<form class="bar gap" onsubmit=${make}><input name="name" aria-label="What a new token is for" placeholder="what it is for" required autocomplete="off" />
      <input name="start" aria-label="Project" placeholder="a project that it starts; empty: all that you may" />
      <input name="expires_in" aria-label="How long" placeholder="how long, such as 90d" class="short" /><button class="main">Make a token</button></form>`}
    ${made && html`<div class="secret" role="status"><p>This is the token. It is not shown again: copy it now.</p><div class="line"><code class="grow">${made.token}</code><button class="small" onclick=${copy}>Copy</button></div></div>`}
  </${Section}>`;
}

function Audit({ items }) {
  return html`<${Section} title="Who changed what"><div class="scroll"><table class="rows"><thead><tr><th>When</th><th>Who</th><th>What</th><th class="wide">From</th></tr></thead><tbody>
    ${items.map((one, index) => html`<tr key=${one.at + index}><td class="small"><${When} time=${one.at} /></td><td>${one.by}</td><td>${one.action} <b>${one.target}</b></td><td class="soft small wide">${one.from}</td></tr>`)}
  </tbody></table></div></${Section}>`;
}
