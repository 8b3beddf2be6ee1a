// Numbers, times and states in words.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit += 1; }
  return (unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)) + " " + UNITS[unit];
}

export const number = (value) => value.toLocaleString("en");

export function span(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min " + (seconds % 60) + " s";
  if (seconds < 172800) return Math.floor(seconds / 3600) + " h " + Math.floor((seconds % 3600) / 60) + " min";
  return Math.floor(seconds / 86400) + " days";
}

/** A time as "3 h ago" or "in 5 min". */
export function when(time) {
  if (!time) return "never";
  const away = (Date.parse(time) - Date.now()) / 1000;
  return away > 0 ? "in " + span(away) : span(-away) + " ago";
}

export const clock = (time) => time ? new Date(time).toLocaleString() : "–";

const KINDS = {
  succeeded: "good", unchanged: "good", partial: "warn", failed: "bad", interrupted: "warn", cancelled: "",
  running: "busy", queued: "busy", "backing-off": "warn", idle: "", disabled: "",
};

export const kind = (state) => KINDS[state] ?? "";

/** How long an ended or going run takes. */
export function took(run) {
  if (!run.started) return null;
  return (Date.parse(run.ended ?? new Date().toISOString()) - Date.parse(run.started)) / 1000;
}

export function upstream(source) {
  const port = source.port === 873 ? "" : ":" + source.port;
  return "rsync://" + source.host + port + "/" + source.module + (source.path ? "/" + source.path : "");
}
