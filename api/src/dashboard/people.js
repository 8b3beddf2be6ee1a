// Users and tokens: root sees everybody's, others their own tokens.

import { get, post, remove } from "./api.js";
import { confirm, h, note } from "./dom.js";
import { clock, when } from "./words.js";

export async function people(place, signal, session) {
  const root = session.role === "root";
  const [users, tokens] = await Promise.all([root ? get("/users") : { items: [] }, get("/tokens")]);
  if (signal.aborted) return;
  const again = () => people(place, signal, session).catch((error) => note(error.message));
  const made = h("div");
  place.replaceChildren(...(root ? [userList(users.items, again)] : []), tokenList(tokens.items, again, made));
}

function drop(question, about, path, again) {
  return async () => {
    if (!await confirm(question, about, "Remove")) return;
    try { await remove(path); again(); } catch (error) { note(error.message); }
  };
}

function userList(items, again) {
  const name = h("input", { "aria-label": "Name", placeholder: "name", required: true });
  const password = h("input", { "aria-label": "Password", type: "password", autocomplete: "new-password", placeholder: "password, 8 or more", required: true });
  const role = h("select", { "aria-label": "Role" }, ["viewer", "upstreamuser", "root"].map((one) => h("option", {}, one)));
  const add = async (event) => {
    event.preventDefault();
    try { await post("/users", { name: name.value, password: password.value, role: role.value }); again(); } catch (error) { note(error.message); }
  };
  return h("section", {}, h("h2", {}, "Users"), h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, items.map((one) => h("tr", {},
    h("td", {}, one.name), h("td", {}, one.role), h("td", { class: "soft small wide" }, clock(one.created)),
    h("td", { class: "number" }, one.name !== "root" && h("button", { class: "danger small", onclick: drop("Remove " + one.name + "?", "Their tokens end with them; their projects stay.", "/users/" + encodeURIComponent(one.name), again) }, "Remove"))))))),
    h("form", { class: "bar", onsubmit: add }, name, password, role, h("button", { class: "main" }, "Add a user")));
}

function tokenList(items, again, made) {
  const name = h("input", { "aria-label": "What it is for", placeholder: "what it is for", required: true });
  const start = h("input", { "aria-label": "Project", placeholder: "a project that it starts; empty: all that you may" });
  const make = async (event) => {
    event.preventDefault();
    try {
      const token = await post("/tokens", start.value ? { name: name.value, start: start.value } : { name: name.value });
      made.replaceChildren(h("p", {}, "Copy it now, it is not shown again: ", h("code", {}, token.token)));
    } catch (error) { note(error.message); }
  };
  const scope = (one) => one.scope.role ?? (one.scope.start ? "starts " + one.scope.start : "slave " + one.scope.node);
  return h("section", {}, h("h2", {}, "Tokens"), h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, items.map((one) => h("tr", {},
    h("td", {}, one.name || "–"), h("td", {}, scope(one)), h("td", { class: "small wide" }, one.owner),
    h("td", { class: "small" }, one.last_used ? "used " + when(one.last_used) : "never used"),
    h("td", { class: "small wide" }, one.expires ? "ends " + when(one.expires) : "does not end"),
    h("td", { class: "number" }, h("button", { class: "danger small", onclick: drop("End this token?", "Whoever uses it is refused from then on.", "/tokens/" + encodeURIComponent(one.id), again) }, "End"))))))),
    h("form", { class: "bar", onsubmit: make }, name, start, h("button", { class: "main" }, "Make a token")), made);
}
