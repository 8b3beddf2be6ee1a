// The log of a run, as it grows: the end of it, and with it as long as the reader looks at the end.

import { at, stream } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Section } from "./parts.js";
import { visible } from "./words.js";

/** So many lines are asked for, and kept; the whole log is one link away. */
const KEPT = 2000;
/** Nearer to the end than so many pixels counts as the end. */
const END = 40;

/** What kind of line it is: ours, rsync's complaint, a changed path, or other. */
function look(line) {
  if (/^\d{4}-\d\d-\d\dT/.test(line)) return "ours";
  if (line.startsWith("!")) return "bad";
  return line.startsWith("@F|") ? "soft" : "";
}

function draw(line) {
  const node = document.createElement("div");
  node.className = look(line);
  node.textContent = visible(line) || " ";
  return node;
}

export function Log({ run }) {
  const place = useRef(null);
  const [state, setState] = useState("reading");
  useEffect(() => {
    const stop = new AbortController();
    const box = place.current;
    box.replaceChildren();
    let rest = "";
    const take = (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < END;
      box.append(...lines.slice(-KEPT).map(draw));
      while (box.childElementCount > KEPT) box.firstElementChild.remove();
      if (atEnd) box.scrollTop = box.scrollHeight;
      setState("growing");
    };
    stream(at("runs", run) + "/log?follow=true&tail=" + KEPT, stop.signal, take).then(
      () => { if (rest) take("\n"); setState(box.childElementCount > 0 ? "whole" : "empty"); },
      (error) => { if (error.name !== "AbortError") setState(error.message); });
    return () => stop.abort();
  }, [run]);
  const words = { reading: "", growing: "follows", whole: "", empty: "nothing was said" }[state] ?? state;
  return html`<${Section} title="Log" aside=${html`<span class="small"><span class="soft">${words} </span><a href=${"/api/v1" + at("runs", run) + "/log"}>the whole log</a></span>`}>
    <pre id="log" class="log" ref=${place} tabindex="0" aria-label="Log"></pre></${Section}>`;
}
