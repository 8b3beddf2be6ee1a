// The public API: requests with the session's cookie, and errors as sentences.

export class Failure extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

/** One request; gives the JSON of the answer, or null. */
export async function ask(method, path, body) {
  // The header tells the server that this page asks, and no other site.
  const answer = await fetch(path, {
    method, headers: { "X-Heliostat": "1" }, credentials: "same-origin",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  let detail = answer.status + " " + answer.statusText;
  try {
    const problem = await answer.json();
    detail = (problem.errors ?? []).map((error) => error.field + ": " + error.message).join("; ") || problem.detail;
  } catch { /* no document: the status has to do */ }
  if (answer.status === 401) dispatchEvent(new Event("signed-out"));
  throw new Failure(answer.status, detail);
}

export const get = (path) => ask("GET", "/api/v1" + path);
export const post = (path, body) => ask("POST", "/api/v1" + path, body);
export const remove = (path) => ask("DELETE", "/api/v1" + path);

/** Every item of a list, page by page. */
export async function all(path) {
  const items = [];
  const more = path.includes("?") ? "&" : "?";
  let cursor = "";
  for (;;) {
    const page = await get(path + more + "limit=1000" + cursor);
    items.push(...page.items);
    if (!page.next) return items;
    cursor = "&cursor=" + encodeURIComponent(page.next);
  }
}

/** Text as it comes, until it ends or `signal` says stop. */
export async function stream(path, signal, take) {
  const answer = await fetch("/api/v1" + path, { signal, headers: { "X-Heliostat": "1" } });
  if (!answer.ok) throw new Failure(answer.status, "the log cannot be read");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(value);
  }
}
