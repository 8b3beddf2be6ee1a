// Elements by Preact, written as templates by htm: texts stay texts, and nothing from elsewhere is read as markup.

import { h, render } from "./vendor-preact.js";
import htm from "./vendor-htm.js";

export const html = htm.bind(h);
export { h, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor-hooks.js";
