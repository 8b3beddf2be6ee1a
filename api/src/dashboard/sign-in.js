// Signing in.

import { post } from "./api.js";
import { h } from "./dom.js";

export function signIn(place, done) {
  const user = h("input", { id: "user", name: "user", autocomplete: "username", required: true, value: "root" });
  const password = h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
  const wrong = h("p", { class: "small", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      done(await post("/session", { user: user.value, password: password.value }));
    } catch (error) {
      wrong.textContent = error.status === 401 ? "This user and password do not go together." : error.message;
      password.select();
    }
  };
  place.replaceChildren(h("form", { class: "sign card", onsubmit: submit },
    h("h1", {}, "Sign in"),
    h("label", {}, "User", user),
    h("label", {}, "Password", password),
    wrong,
    h("button", { class: "main", id: "sign-in" }, "Sign in")));
  password.focus();
}
