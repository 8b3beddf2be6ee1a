// The public API: requests with the session's cookie, and errors as sentences.

/** An answer that is none: its status, a sentence, and what is wrong with which field. */
export class Failure extends Error {
  constructor(status, text, fields = []) {
    super(text);
    this.status = status;
    this.fields = fields;
  }
}

/** One request; gives the answer. */
async function send(method, path, body, more) {
  // The header tells the server that this page asks, and no other site.
  const headers = { "X-Heliostat": "1", ...more };
  const text = body === undefined ? undefined : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch("/api/v1" + path, { method, headers, credentials: "same-origin", body: text });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The server does not answer.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) dispatchEvent(new Event("signed-out"));
  throw await failure(answer);
}

async function failure(answer) {
  let problem = {};
  try {
    problem = await answer.json();
  } catch { /* no document: the status has to do */ }
  return new Failure(answer.status, problem.detail || answer.status + " " + answer.statusText, problem.errors);
}

/** One request; gives the JSON of the answer, or null. */
export async function ask(method, path, body, headers) {
  const answer = await send(method, path, body, headers);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

/** A document with the version that a change of it must name. */
export async function versioned(path) {
  const answer = await send("GET", path);
  return { value: await answer.json(), version: answer.headers.get("ETag") };
}

/** The parts of an address below the API, quoted. */
export const at = (...parts) => "/" + parts.map(encodeURIComponent).join("/");

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
  if (!answer.ok) throw await failure(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(value);
  }
}
