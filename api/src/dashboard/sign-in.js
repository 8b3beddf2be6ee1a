// Signing in.

import { post } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";

export function SignIn({ done }) {
  const [wrong, setWrong] = useState("");
  const password = useRef(null);
  useEffect(() => { password.current.focus(); }, []);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    try {
      done(await post("/session", { user: form.get("user"), password: form.get("password") }));
    } catch (error) {
      setWrong(error.status === 401 ? "This user and password do not go together." : error.message);
      password.current.select();
    }
  };
  return html`<main class="sign">
    <img src=${new URL("icon.svg", import.meta.url).pathname} alt="" width="52" height="52" />
    <h1>Heliostat</h1>
    <form class="card" onsubmit=${submit}>
      <label class="field"><span>User</span><input name="user" autocomplete="username" required value="root" /></label>
      <label class="field"><span>Password</span><input name="password" type="password" autocomplete="current-password" required ref=${password} /></label>
      <p class="bad small" role="alert">${wrong}</p>
      <button class="main">Sign in</button>
    </form>
  </main>`;
}
