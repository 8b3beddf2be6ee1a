// Signing in.

import { post } from "./api.js";
import { html, useState } from "./html.js";

/** The password has the focus before anybody can type: given later, half of a name would go into it. */
const focus = (node) => node?.focus();

export function SignIn({ done }) {
  const [wrong, setWrong] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const { user, password } = event.target.elements;
    try {
      done(await post("/session", { user: user.value, password: password.value }));
    } catch (error) {
      setWrong(error.status === 401 ? "This user and password do not go together." : error.message);
      password.select();
    }
  };
  return html`<main class="sign">
    <img src=${new URL("icon.svg", import.meta.url).pathname} alt="" width="52" height="52" />
    <h1>Heliostat</h1>
    <form class="card" onsubmit=${submit}>
      <label class="field"><span>User</span><input name="user" autocomplete="username" required value="root" /></label>
      <label class="field"><span>Password</span><input name="password" type="password" autocomplete="current-password" required ref=${focus} /></label>
      <p class="bad small" role="alert">${wrong}</p>
      <button class="main">Sign in</button>
    </form>
  </main>`;
}
