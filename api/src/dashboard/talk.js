// What the page says and asks: notes that pass, and questions before something is done.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

/** How long a note stays. */
const STAYS = 6000;

let show = () => {};
let pose = () => {};

/** Tells something for a few seconds. */
export function note(text, bad = false) {
  show({ text, bad });
}

/**
 * Asks before something is done; answers whether to. `typed` is a text that has to be typed first, for what cannot be
 * taken back.
 */
export function confirm({ title, about, word, danger = false, typed = null }) {
  return new Promise((answer) => pose({ title, about, word, danger, typed, answer }));
}

/** Asks, does it, and says how it went; answers whether it was done. */
export async function act(question, work, done) {
  if (!await confirm(question)) return false;
  try {
    await work();
  } catch (error) {
    note(error.message, true);
    return false;
  }
  if (done) note(done);
  return true;
}

/** The place where notes and questions show. */
export function Talk() {
  const [said, setSaid] = useState(null);
  const [asked, setAsked] = useState(null);
  show = setSaid;
  pose = setAsked;
  useEffect(() => {
    const timer = said && setTimeout(() => setSaid(null), STAYS);
    return () => clearTimeout(timer);
  }, [said]);
  const close = (value) => { asked.answer(value); setAsked(null); };
  return html`
    <div class="note" role="status" aria-live="polite">${said && html`<div class=${said.bad ? "bad" : ""}>${said.text}</div>`}</div>
    ${asked && html`<${Question} key=${asked.title} asked=${asked} close=${close} />`}`;
}

function Question({ asked, close }) {
  const place = useRef(null);
  const [text, setText] = useState("");
  // Before it is painted: who sees it can type.
  useLayoutEffect(() => { place.current.showModal(); }, []);
  const ready = asked.typed === null || text.trim() === asked.typed;
  const submit = (event) => { event.preventDefault(); if (ready) close(true); };
  return html`<dialog ref=${place} aria-labelledby="question" oncancel=${() => close(false)}>
    <form onsubmit=${submit}>
      <h2 id="question">${asked.title}</h2>
      <p class="soft">${asked.about}</p>
      ${asked.typed !== null && html`<label class="field"><span>Type <code>${asked.typed}</code> to go on</span>
        <input name="typed" autocomplete="off" spellcheck=${false} value=${text} oninput=${(event) => setText(event.target.value)} /></label>`}
      <div class="actions end">
        <button type="button" onclick=${() => close(false)}>Leave it</button>
        <button class=${asked.danger ? "main danger" : "main"} disabled=${!ready}>${asked.word}</button>
      </div>
    </form>
  </dialog>`;
}
