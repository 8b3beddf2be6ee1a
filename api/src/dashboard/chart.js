// The history of a project as a chart: the bytes of its runs as bars, their duration as a line; drawn by uPlot.

import { html, useEffect, useRef } from "./html.js";
import { bytes, clock, join, kind, span, took } from "./words.js";

const HEIGHT = 210;
/** The bars leave this share of their place empty, and are never wider than so many pixels. */
const BARS = [0.7, 26];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

/** The library is loaded when the first chart is drawn. */
let library = null;
const load = () => (library ??= import("./vendor-uplot.js").then((module) => module.default));

/** Steps of 1024 for bytes, of minutes and hours for durations. */
const BYTES = [...Array(11)].flatMap((_, power) => [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((times) => times * 1024 ** power));
const TIMES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

export function History({ runs }) {
  const place = useRef(null);
  const said = useRef(null);
  const ended = runs.filter((run) => run.ended && run.started).reverse();
  const key = ended.map((run) => run.id).join();
  useEffect(() => {
    let [gone, chart] = [false, null];
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = async () => {
      const Plot = await load();
      if (gone || !place.current) return;
      chart?.destroy();
      chart = new Plot(options(Plot, ended, place.current.clientWidth, tell), data(ended), place.current);
    };
    const tell = (index) => { if (said.current) said.current.textContent = sentence(ended[index ?? ended.length - 1]); };
    const resize = new ResizeObserver(() => place.current && chart?.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    draw();
    resize.observe(place.current);
    dark.addEventListener("change", draw);
    return () => { gone = true; resize.disconnect(); dark.removeEventListener("change", draw); chart?.destroy(); };
  }, [key]);
  return html`<div class="history">
    <div ref=${place} class="plot" role="img" aria-label=${"Bytes received and duration of the last " + ended.length + " runs; the list of runs below has the figures"}></div>
    <div class="spread small soft"><span class="legend"><i class="box"></i> bytes received <i class="stroke"></i> duration</span><span ref=${said}>${sentence(ended[ended.length - 1])}</span></div>
  </div>`;
}

const short = (seconds) => (seconds > 0 && seconds < 1 ? Math.round(seconds * 1000) + " ms" : span(seconds));

function sentence(run) {
  return run ? join(clock(run.started), run.state, bytes(run.stats?.received ?? 0) + " in " + short(took(run))) : "";
}

/** A run that failed shows even where it brought nothing. */
function data(ended) {
  const received = ended.map((run) => run.stats?.received ?? 0);
  const least = 0.02 * Math.max(1, ...received);
  const bars = received.map((value, index) => (kind(ended[index].state) === "bad" ? Math.max(value, least) : value));
  return [ended.map((_, index) => index), bars, ended.map(took)];
}

function options(Plot, ended, width, tell) {
  const day = (index) => new Date(ended[index].started).toLocaleDateString([], { day: "numeric", month: "short" });
  const hour = (index) => new Date(ended[index].started).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const oneDay = ended.length > 0 && day(0) === day(ended.length - 1);
  const axis = { stroke: colour("soft"), font: "11px system-ui, sans-serif", ticks: { show: false } };
  const fill = { good: colour("busy"), bad: colour("bad"), warn: colour("warn"), quiet: colour("soft") };
  const label = (_, splits) => splits.map((at) => (Number.isInteger(at) && ended[at] ? (oneDay ? hour(at) : day(at)) : ""));
  const bars = Plot.paths.bars({
    size: BARS,
    radius: 0.15,
    disp: { fill: { unit: 3, values: () => ended.map((run) => fill[kind(run.state)] ?? fill.quiet) } },
  });
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    hooks: { setCursor: [(chart) => tell(chart.cursor.idx)] },
    scales: {
      x: { time: false, range: () => [-0.7, Math.max(ended.length, 12) - 0.3] },
      bytes: { range: (_, low, high) => [0, (high || 1) * 1.08] },
      time: { range: (_, low, high) => [0, (high || 1) * 1.08] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 80, size: 26, values: label },
      { ...axis, scale: "bytes", size: 66, incrs: BYTES, grid: { stroke: colour("line"), width: 1 }, values: (_, splits) => splits.map(bytes) },
      { ...axis, scale: "time", side: 1, size: 60, incrs: TIMES, grid: { show: false }, values: (_, splits) => splits.map(short) },
    ],
    series: [
      {},
      { scale: "bytes", paths: bars, points: { show: false }, fill: fill.good, stroke: "transparent" },
      { scale: "time", stroke: colour("sun"), width: 2, points: { show: ended.length < 30, size: 5, fill: colour("card") } },
    ],
  };
}
