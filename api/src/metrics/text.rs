//! The text format of Prometheus (<https://prometheus.io/docs/instrumenting/exposition_formats/>), and the list of all
//! that may be written in it.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use engine::text::{is_plain, lines};
use scheduler::StoreError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Size in bytes from which a piece of the text is handed on.
const PIECE: usize = 64 << 10;
/// Room in bytes for the line that makes a piece full.
const LINE: usize = 1 << 10;
/// Pieces that may wait for a reader.
const WAITING: usize = 2;
/// Longest time for which a reader takes no piece before it is given up.
const READER_PATIENCE: Duration = Duration::from_secs(10);

/// One metric: its name, its kind, and what it says.
#[derive(Debug)]
pub struct Family {
    /// The name, with its unit.
    pub name: &'static str,
    /// `gauge`, `counter` or `histogram`.
    pub kind: &'static str,
    /// What it says.
    pub help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: "gauge", help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: "counter", help }
}

/// Every metric.
pub const FAMILIES: &[Family] = &[
    gauge("heliostat_build_info", "Always 1; the version is its label."),
    gauge("process_start_time_seconds", "When this process started, in Unix time."),
    gauge("heliostat_store_writable", "1 when the last write to the store went well."),
    gauge(
        "heliostat_store_mark_behind",
        "1 when the high-water mark of the store cannot be written; after a minute, writes are refused.",
    ),
    gauge("heliostat_store_unreadable_tables", "Tables of the store that cannot be read."),
    gauge(
        "heliostat_tls_not_after_seconds",
        "When the server's certificate expires, in Unix time; absent without `tls`.",
    ),
    gauge(
        "heliostat_queue_length",
        "Runs that wait: for a slot, for another attempt, or behind a run of their project.",
    ),
    gauge("heliostat_runs_running", "Runs that an rsync works for."),
    gauge("heliostat_runs_running_limit", "The most runs at once (`rsync.concurrent`)."),
    gauge("heliostat_projects", "Projects by state."),
    gauge("heliostat_project_enabled", "1 when the project's schedule fires."),
    gauge("heliostat_project_running", "1 while an rsync works for the project."),
    gauge(
        "heliostat_project_last_success_timestamp_seconds",
        "When the newest good run ended; absent before the first.",
    ),
    gauge(
        "heliostat_project_as_of_timestamp_seconds",
        "When our copy is from: its marker, or the end of the newest good run.",
    ),
    gauge(
        "heliostat_project_upstream_as_of_timestamp_seconds",
        "When the upstream is from, by its marker as it was seen last; absent without one.",
    ),
    gauge(
        "heliostat_project_last_run_timestamp_seconds",
        "When the newest run ended; absent before the first.",
    ),
    gauge("heliostat_project_last_run_success", "1 when the newest run that ended was good."),
    gauge(
        "heliostat_project_last_run_duration_seconds",
        "From the first attempt of the newest ended run to its end.",
    ),
    gauge("heliostat_project_last_run_received_bytes", "What rsync received in the newest ended run."),
    gauge("heliostat_project_last_run_transferred_files", "Files that the newest ended run transferred."),
    gauge("heliostat_project_consecutive_failures", "Runs that failed since the last good one."),
    gauge(
        "heliostat_project_next_run_timestamp_seconds",
        "The next schedule time; absent when there is none.",
    ),
    gauge("heliostat_project_generation", "Grows by one with each run that brings something new."),
    gauge("heliostat_project_size_bytes", "Bytes in the tree, by the newest statistics."),
    gauge("heliostat_project_files", "Entries in the tree, by the newest statistics."),
    gauge("heliostat_disk_free_bytes", "Bytes free on a file system below destinations."),
    gauge("heliostat_disk_size_bytes", "Bytes of that file system."),
    gauge("heliostat_disk_free_inodes", "Inodes free on that file system."),
    gauge("heliostat_disk_inodes", "Inodes of that file system; 0 where it has no such bound."),
    gauge("heliostat_master_connected", "On a slave: 1 while its master answers."),
    gauge(
        "heliostat_master_last_contact_timestamp_seconds",
        "On a slave: when its master answered last; absent before the first time since the start.",
    ),
    gauge("heliostat_node_connected", "1 when the slave was heard within 75 seconds."),
    gauge("heliostat_node_missed_generations", "Generations that the slave misses, of all projects."),
    gauge(
        "heliostat_node_lag_generations",
        "Generations of the project that the slave misses; absent for none.",
    ),
    gauge("heliostat_node_lag_seconds", "How long the first of them is there; absent when it misses none."),
    gauge("heliostat_node_late", "1 when that is more than the configuration's `lag` allows; else absent."),
    gauge(
        "heliostat_disk_reserve_bytes",
        "Bytes below which nothing starts on that file system (`disk.reserve`).",
    ),
    gauge("heliostat_disk_stopped", "1 while nothing starts on that file system."),
    gauge(
        "heliostat_disk_full_in_seconds",
        "When that file system will be full if it goes on so; absent where it will not, or is not known.",
    ),
    gauge("heliostat_alerts_open", "What needs a person, by kind."),
    gauge("heliostat_alert_messages_waiting", "Messages that a channel has not taken yet."),
    counter("heliostat_runs_total", "Runs that ended, by result and by the class of their last attempt."),
    counter("heliostat_run_retries_total", "Attempts that failed and are followed by another."),
    counter("heliostat_schedule_skipped_total", "Schedule times that were passed over."),
    counter("heliostat_guard_holds_total", "Runs that the guard held for a person."),
    counter("heliostat_received_bytes_total", "What rsync received in runs that ended."),
    counter("heliostat_transferred_files_total", "Files that rsync transferred in runs that ended."),
    counter("heliostat_deleted_files_total", "Paths that rsync deleted in runs that ended."),
    gauge("heliostat_plugin_loaded", "Whether the plugin is in use (1) or was refused (0)."),
    counter("heliostat_plugin_calls_total", "Questions to the plugin, since the start."),
    counter("heliostat_plugin_failures_total", "Questions that it did not answer, since the start."),
    counter("heliostat_plugin_call_seconds_total", "Time that its answers took, since the start."),
    counter("heliostat_http_requests_total", "Requests by method, route and status, since the start."),
    Family {
        name: "heliostat_http_request_duration_seconds",
        kind: "histogram",
        help: "How long requests took until their answer began.",
    },
];

/// The text as it grows. It is handed on piece by piece, since it is large where there are many projects.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    name: &'static str,
    /// Takes each piece; none: all of it is kept.
    reader: Option<PieceSender>,
    /// The reader is gone, and nothing is written any more.
    is_over: bool,
}

impl Text {
    /// Begins a text for a reader.
    pub(super) fn for_reader(reader: PieceSender) -> Self {
        Self { reader: Some(reader), ..Self::default() }
    }

    /// Begins a metric; the samples that follow are its own.
    pub(super) fn family(&mut self, name: &'static str) -> &mut Self {
        self.name = name;
        if let Some(family) = FAMILIES.iter().find(|family| family.name == name) {
            // Writing into a text cannot fail.
            let _ = write!(self.out, "# HELP {name} {}\n# TYPE {name} {}\n", family.help, family.kind);
        }
        self
    }

    /// One value of the metric.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.suffixed("", labels, value);
    }

    /// One value of a histogram: `_bucket`, `_sum` or `_count`.
    pub(super) fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        if self.is_over {
            return;
        }
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        for (index, (name, text)) in labels.iter().enumerate() {
            self.out.push(if index == 0 { '{' } else { ',' });
            self.out.push_str(name);
            self.out.push_str("=\"");
            for c in plain(text).chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
        if self.out.len() >= PIECE {
            self.hand_on();
        }
    }

    /// Hands on what has been written since the last piece.
    fn hand_on(&mut self) {
        let Some(reader) = self.reader.as_ref().filter(|_| !self.is_over) else { return };
        let piece = std::mem::replace(&mut self.out, String::with_capacity(PIECE + LINE));
        self.is_over |= !reader.send(Ok(piece.into()));
    }

    /// Ends the text: hands on the last piece, or what kept it from being written whole.
    pub(super) fn end(mut self, written: Result<(), StoreError>) {
        match written {
            Ok(()) => self.hand_on(),
            Err(error) => {
                if let Some(reader) = &self.reader {
                    reader.send(Err(error));
                }
            }
        }
    }

    /// What was written and not handed on.
    #[cfg(test)]
    pub(super) fn finish(self) -> String {
        self.out
    }
}

/// A piece of the text, or what kept it from being written.
pub(super) type Piece = Result<Bytes, StoreError>;

/// The way to a reader. Its pieces are sent from a thread that may block.
#[derive(Debug)]
pub(super) struct PieceSender {
    pieces: mpsc::Sender<Piece>,
    runtime: Handle,
}

impl PieceSender {
    /// Makes a way to a reader within this runtime.
    pub(super) fn new(runtime: Handle) -> (Self, mpsc::Receiver<Piece>) {
        let (pieces, reader) = mpsc::channel(WAITING);
        (Self { pieces, runtime }, reader)
    }

    /// Sends a piece; returns whether the reader takes more.
    fn send(&self, piece: Piece) -> bool {
        let sending = async { tokio::time::timeout(READER_PATIENCE, self.pieces.send(piece)).await };
        matches!(self.runtime.block_on(sending), Ok(Ok(())))
    }
}

/// A label's value without what would steer a terminal. Nearly all are plain already.
fn plain(value: &str) -> Cow<'_, str> {
    if is_plain(value) { Cow::Borrowed(value) } else { Cow::Owned(lines(value.as_bytes())) }
}

/// A time in Unix seconds, with its fraction.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit into 52 bits until the year 142000"
)]
pub(super) fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_prefix_their_unit_and_no_twin() {
        let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        for family in FAMILIES {
            assert!(
                family.name.starts_with("heliostat_") || family.name.starts_with("process_"),
                "{}",
                family.name
            );
            assert_eq!(family.kind == "counter", family.name.ends_with("_total"), "{}", family.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }

    #[test]
    fn what_would_break_the_format_is_escaped() {
        let mut text = Text::default();
        text.family("heliostat_projects").sample(&[("path", "a\"b\\c\nd"), ("x", "y")], 1.5);
        let last = text.finish();
        assert_eq!(last.lines().last(), Some(r#"heliostat_projects{path="a\"b\\c\nd",x="y"} 1.5"#));
    }

    /// Writes so many samples for a reader who takes so many pieces, and gives these.
    fn read(samples: usize, wanted: usize) -> Vec<Bytes> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (sender, mut reader) = PieceSender::new(runtime.handle().clone());
        let writer = std::thread::spawn(move || {
            let mut text = Text::for_reader(sender);
            text.family("heliostat_project_files");
            for number in 0..samples {
                text.sample(&[("project", "p")], number);
            }
            text.end(Ok(()));
        });
        let mut pieces = Vec::new();
        runtime.block_on(async {
            while pieces.len() < wanted
                && let Some(piece) = reader.recv().await
            {
                pieces.push(piece.unwrap());
            }
            // Behind this, nobody reads any more.
            reader.close();
            while reader.recv().await.is_some() {}
        });
        writer.join().unwrap();
        pieces
    }

    #[test]
    fn a_large_text_comes_in_pieces_and_ends_with_its_reader() {
        let pieces = read(20_000, usize::MAX);
        assert!(pieces.len() > 10, "{} pieces", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() < PIECE + LINE));
        let whole = String::from_utf8(pieces.concat()).unwrap();
        assert_eq!(whole.lines().count(), 20_002);
        assert_eq!(whole.lines().last(), Some(r#"heliostat_project_files{project="p"} 19999"#));

        assert_eq!(read(20_000, 1).len(), 1);
        assert_eq!(read(1, usize::MAX).len(), 1);
    }
}
