// The pictures of the menu, as strokes on 24 by 24.

import { html } from "./html.js";

const PATHS = {
  overview: "M4 13h6V4H4zm10 7h6v-9h-6zM4 20h6v-3H4zm10-13h6V4h-6z",
  nodes: "M12 4v5m0 0-6 6m6-6 6 6M9.500 4h5v3h-5zM3.500 15h5v5h-5zm12 0h5v5h-5z",
  schedule: "M12 7v5l3.500 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  plugins: "M9 4v4M15 4v4M6 8h12v4a6 6 0 0 1-12 0zM12 18v3",
  people: "M15.500 20v-1.500a4 4 0 0 0-4-4h-4a4 4 0 0 0-4 4V20M9.500 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM20.500 20v-1.500a4 4 0 0 0-3-3.900M15.500 4.200a3.500 3.500 0 0 1 0 6.700",
};

export function Icon({ name }) {
  return html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
