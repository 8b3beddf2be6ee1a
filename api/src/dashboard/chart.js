// Small charts, drawn as SVG: a run's bytes as bars with its duration as a line, and starts as a heat map.

import { s } from "./dom.js";
import { bytes, clock, span, took } from "./words.js";

const WIDTH = 720;
const HEIGHT = 170;

/** The history of a project, oldest run on the left. */
export function history(runs) {
  const ended = runs.filter((run) => run.ended && run.started).reverse();
  const received = ended.map((run) => run.stats?.received ?? 0);
  const times = ended.map(took);
  const [most, longest] = [Math.max(1, ...received), Math.max(1, ...times)];
  const [left, top, wide, high] = [8, 20, WIDTH - 16, HEIGHT - 40];
  const step = wide / Math.max(ended.length, 12);
  const x = (index) => left + index * step;
  const y = (share) => top + high * (1 - share);
  const bars = ended.map((run, index) => s("rect", {
    class: ["succeeded", "unchanged"].includes(run.state) ? "bytes" : "bytes bad",
    x: x(index) + 1, width: Math.max(1, step - 2), y: y(Math.max(0.02, received[index] / most)), height: high * Math.max(0.02, received[index] / most),
  }, s("title", {}, clock(run.started) + ": " + run.state + ", " + bytes(received[index]) + " in " + span(times[index]))));
  const points = times.map((time, index) => (x(index) + step / 2) + "," + y(time / longest)).join(" ");
  const label = "Bytes received and duration of the last " + ended.length + " runs";
  return s("svg", { class: "chart", viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img", "aria-label": label },
    s("line", { class: "grid", x1: left, x2: left + wide, y1: y(0), y2: y(0) }),
    s("line", { class: "grid", x1: left, x2: left + wide, y1: y(1), y2: y(1) }),
    s("text", { x: left, y: top - 6 }, "up to " + bytes(most)),
    s("text", { x: left + wide, y: top - 6, "text-anchor": "end" }, "up to " + span(longest)),
    bars, s("polyline", { class: "time", points }),
    ended.length > 0 && s("text", { x: left, y: HEIGHT - 4 }, clock(ended[0].started)),
    ended.length > 1 && s("text", { x: left + wide, y: HEIGHT - 4, "text-anchor": "end" }, clock(ended[ended.length - 1].started)));
}

/** How many runs start in each ten minutes: a row for each hour. */
export function heat(load) {
  const perHour = 3600 / load.slot_seconds;
  const most = Math.max(1, ...load.starts);
  const from = Date.parse(load.from);
  const [cell, high, left] = [100, 20, 90];
  const rows = Math.ceil(load.starts.length / perHour);
  const cells = load.starts.flatMap((count, index) => {
    const [x, y] = [left + (index % perHour) * cell, Math.floor(index / perHour) * high];
    const at = new Date(from + index * load.slot_seconds * 1000);
    return [
      s("rect", { class: count ? "cell" : "none", "fill-opacity": count ? 0.2 + 0.8 * count / most : 1, x: x + 1, y: y + 1, width: cell - 2, height: high - 2, rx: 3 },
        s("title", {}, at.toLocaleString() + ": " + count + (count === 1 ? " start" : " starts"))),
      count > 0 && s("text", { x: x + cell / 2, y: y + 14, "text-anchor": "middle" }, String(count)),
    ];
  });
  const hours = Array.from({ length: rows }, (_, row) => s("text", { x: 4, y: row * high + 14 },
    new Date(from + row * 3600000).toLocaleTimeString([], { weekday: "short", hour: "2-digit", minute: "2-digit" })));
  return s("svg", { class: "chart", viewBox: "0 0 " + (left + perHour * cell) + " " + rows * high, role: "img", "aria-label": "Starts in each ten minutes, at most " + most },
    hours, cells);
}
