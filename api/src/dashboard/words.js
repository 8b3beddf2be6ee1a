// Numbers, times and states in words.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit += 1; }
  return (unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)) + " " + UNITS[unit];
}

export const number = (value) => value.toLocaleString("en");

export const count = (value, one, many = one + "s") => number(value) + " " + (value === 1 ? one : many);

/** A duration in at most two units. */
export function span(seconds) {
  if (seconds < 1) return seconds <= 0 ? "0 s" : "under 1 s";
  const whole = Math.round(seconds);
  const two = (big, name, small, other) => big + " " + name + (small ? " " + small + " " + other : "");
  if (whole < 60) return whole + " s";
  if (whole < 3600) return two(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86400) return two(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return two(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
}

/** A duration in one unit, for what is not looked at to the second. */
export function about(seconds) {
  if (seconds < 60) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 129600) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

/** A time as "3 h ago" or "in 5 min". */
export function when(time) {
  if (!time) return "never";
  const away = (Date.parse(time) - Date.now()) / 1000;
  if (Math.abs(away) < 10) return away > 0 ? "now" : "just now";
  return away > 0 ? "in " + about(away) : about(-away) + " ago";
}

export const clock = (time) => time ? new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" }) : "–";

const KINDS = {
  succeeded: "good", unchanged: "good", partial: "warn", failed: "bad", interrupted: "warn", cancelled: "quiet", skipped: "quiet",
  preparing: "busy", running: "busy", finishing: "busy", queued: "wait", "backing-off": "warn", held: "warn",
  idle: "quiet", disabled: "quiet", failing: "bad", new: "quiet", stale: "warn",
};

/** How good a state is: `good`, `warn`, `bad`, `busy`, `wait` or `quiet`. */
export const kind = (state) => KINDS[state] ?? "quiet";

/** Whether a run in this state has an attempt that goes on. */
export const goes = (state) => ["preparing", "running", "finishing"].includes(state);

/** How a project stands, in the one word that matters most. */
export function standing(one) {
  if (one.state !== "idle") return one.state;
  if (one.failures > 0) return "failing";
  return one.last_run?.state ?? "new";
}

/** How long an ended or going run takes, in seconds. */
export function took(run) {
  if (!run.started) return null;
  return (Date.parse(run.ended ?? new Date().toISOString()) - Date.parse(run.started)) / 1000;
}

export function upstream(source) {
  if (source.command) return "command:" + source.command;
  const user = source.user ? source.user + "@" : "";
  const port = source.port === 873 ? "" : ":" + source.port;
  return "rsync://" + user + source.host + port + "/" + source.module + (source.path ? "/" + source.path : "");
}

/** A text in which every character can be seen: what would steer a terminal, or turn the direction of reading, is spelt out. */
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\u2028\u2029]/g,
    (character) => "\\u{" + character.codePointAt(0).toString(16) + "}");
}

/** What there is to say, on one line. */
export const join = (...parts) => parts.filter(Boolean).join(" · ");
