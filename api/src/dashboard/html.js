// Elements by Preact, written as templates by htm: texts stay texts, nothing from elsewhere is read as markup, and nothing
// from elsewhere turns the direction of reading.

import { h, render } from "./vendor-preact.js";
import htm from "./vendor-htm.js";
import { visible } from "./words.js";

/** A child of an element, or a list of them, with all of its texts visible. */
function shown(child) {
  if (typeof child === "string") return visible(child);
  return Array.isArray(child) ? child.map(shown) : child;
}

/** An element in which every text is visible, its attributes included: all but what a person types into a field. */
function element(kind, attributes, ...children) {
  if (typeof kind !== "string" || !attributes) return h(kind, attributes, ...children.map(shown));
  const entries = Object.entries(attributes).map(([key, value]) => [key, key === "value" ? value : shown(value)]);
  return h(kind, Object.fromEntries(entries), ...children.map(shown));
}

export const html = htm.bind(element);
export { h, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor-hooks.js";
