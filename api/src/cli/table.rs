//! Columns, and the numbers and times in them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{DecimalBytes, HumanCount};
use serde_json::Value;

use super::terminal::plain;

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// Lines under a heading, in columns as wide as they need to be. Columns whose heading begins with `>` are flush right.
pub(super) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
        .set_header(headings.iter().map(|heading| Cell::new(heading.trim_start_matches('>').to_uppercase())));
    for row in rows {
        table.add_row(row);
    }
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            column.set_cell_alignment(if heading.starts_with('>') {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            });
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// A text of a document, fit to be shown.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) if text.is_empty() => NOTHING.to_owned(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// A number of bytes.
pub(super) fn bytes(value: &Value) -> String {
    value.as_u64().map_or_else(|| NOTHING.to_owned(), |bytes| DecimalBytes(bytes).to_string())
}

/// A number of things.
pub(super) fn count(value: &Value) -> String {
    value.as_u64().map_or_else(|| NOTHING.to_owned(), |count| HumanCount(count).to_string())
}

/// A duration in seconds.
pub(super) fn seconds(value: &Value) -> String {
    value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or_else(|| NOTHING.to_owned(), span)
}

/// A duration in words: `350ms`, `12.3s`, `2h 5m`.
pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{:.1}s", duration.as_secs_f64()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// A time, in UTC and to the second.
pub(super) fn time(value: &Value) -> String {
    parsed(value).map_or_else(|| text(value), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// How far a time is from now: `3m ago`, `in 2h 5m`.
pub(super) fn distance(value: &Value) -> String {
    let Some(time) = parsed(value) else { return text(value) };
    let seconds = (time - Utc::now()).num_seconds();
    let words = coarse(seconds.unsigned_abs());
    if seconds > 0 { format!("in {words}") } else { format!("{words} ago") }
}

/// The time between two times.
pub(super) fn between(from: &Value, to: &Value) -> String {
    let duration = parsed(from).zip(parsed(to)).and_then(|(from, to)| (to - from).to_std().ok());
    duration.map_or_else(|| NOTHING.to_owned(), span)
}

fn parsed(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}

/// The two largest units are enough for a glance.
fn coarse(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be_and_nothing_hangs_over() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "1000".to_owned()]];
        assert_eq!(table(&["name", ">files"], rows), "NAME    FILES\na           1\nlonger   1000");
    }

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!(bytes(&json!(1_500_000)), "1.50 MB");
        assert_eq!(count(&json!(1_234_567)), "1,234,567");
        assert_eq!(seconds(&json!(0.25)), "250ms");
        assert_eq!(seconds(&json!(7500)), "2h 5m");
        assert_eq!(time(&json!("2026-11-24T02:03:04.5Z")), "2026-11-24 02:03:04");
        assert_eq!(between(&json!("2026-11-24T02:00:00Z"), &json!("2026-11-24T02:00:02.5Z")), "2.5s");
        assert_eq!(text(&json!("a\u{1b}[31m")), "a\\u{1b}[31m");
        assert_eq!(text(&Value::Null), "-");
    }
}
