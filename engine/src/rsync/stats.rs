//! The statistics block that ends rsync's output: the proof that it came to its end.
//!
//! Written for `--info=stats2 --no-h`. Lines that are missing because their value is 0 are no error; a block without
//! its last line is, because rsync prints that one only when everything else is done.

use std::time::Duration;

/// What rsync counted in one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// Entries in the file list.
    pub files: u64,
    /// Regular files among them.
    pub files_regular: u64,
    /// Directories among them.
    pub files_dirs: u64,
    /// Symbolic links among them.
    pub files_links: u64,
    /// Device nodes among them.
    pub files_devices: u64,
    /// Sockets and pipes among them.
    pub files_special: u64,
    /// Entries that were not there before.
    pub created: u64,
    /// Entries deleted from the destination.
    pub deleted: u64,
    /// Regular files whose data was sent.
    pub transferred: u64,
    /// Bytes of all regular files in the list.
    pub total_size: u64,
    /// Bytes of the regular files whose data was sent.
    pub transferred_size: u64,
    /// Bytes that came over the wire as they are.
    pub literal: u64,
    /// Bytes that were found in the old files.
    pub matched: u64,
    /// Bytes of the file list itself.
    pub list_size: u64,
    /// How long the upstream took to build the list, where it says so.
    pub list_generation: Option<Duration>,
    /// How long the list was on its way, where rsync says so.
    pub list_transfer: Option<Duration>,
    /// Bytes sent to the upstream.
    pub sent: u64,
    /// Bytes received from the upstream.
    pub received: u64,
    /// Bytes per second, both ways, over the whole attempt.
    pub rate: f64,
    /// Total size divided by the bytes on the wire.
    pub speedup: f64,
}

/// Collects the block from the lines of rsync's standard output.
#[derive(Debug, Default)]
pub struct StatsReader {
    stats: Stats,
    seen_files: bool,
    seen_sent: bool,
    complete: bool,
    /// What stands behind the last line.
    suffix: &'static str,
    /// The whole blocks before the newest one.
    before: Vec<Stats>,
}

/// More blocks than rsyncs can come from one attempt only if somebody makes them up.
const MAX_BLOCKS: usize = 4;

impl Stats {
    /// These numbers of an rsync that did what a rehearsal had named, and saw nothing else of the tree: what is there is
    /// what the rehearsal saw, and what went over the wire is what both took.
    #[must_use]
    pub fn of_rehearsed(self, rehearsal: &Self) -> Self {
        let (sent, received) = (self.sent + rehearsal.sent, self.received + rehearsal.received);
        Self {
            created: self.created,
            deleted: self.deleted,
            transferred: self.transferred,
            transferred_size: self.transferred_size,
            literal: self.literal,
            matched: self.matched,
            list_size: self.list_size + rehearsal.list_size,
            sent,
            received,
            rate: self.rate,
            #[expect(clippy::cast_precision_loss, reason = "it is told with two digits behind the point")]
            speedup: rehearsal.total_size as f64 / (sent + received).max(1) as f64,
            ..*rehearsal
        }
    }

    /// These numbers after another rsync's on the same tree: what was done adds up, what is there is the newest.
    fn after(mut self, before: &Self) -> Self {
        self.created += before.created;
        self.deleted += before.deleted;
        self.transferred += before.transferred;
        self.transferred_size += before.transferred_size;
        self.literal += before.literal;
        self.matched += before.matched;
        self.list_size += before.list_size;
        self.sent += before.sent;
        self.received += before.received;
        self
    }
}

/// What stands behind the last line where nothing was really done.
const DRY_RUN: &str = " (DRY RUN)";

impl StatsReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader for a rehearsal, whose block says that it is one; where it does not, it is none, and the reverse.
    #[must_use]
    pub fn of_rehearsal() -> Self {
        Self { suffix: DRY_RUN, ..Self::default() }
    }

    /// Takes one line. Whether it belonged to the statistics.
    pub fn line(&mut self, line: &[u8]) -> bool {
        // Each line of the block starts with one of these letters; most other lines end here.
        if !matches!(line.first(), Some(b'N' | b'T' | b'L' | b'M' | b'F' | b's' | b't')) {
            return false;
        }
        std::str::from_utf8(line).ok().and_then(|line| self.read(line)).is_some()
    }

    /// The numbers of `stages` rsyncs together, or `None` unless a whole block came from each of them, including its
    /// last line.
    #[must_use]
    pub fn finish(self, stages: u8) -> Option<Stats> {
        if stages <= 1 {
            return self.complete.then_some(self.stats);
        }
        (self.complete && self.before.len() + 1 >= usize::from(stages))
            .then(|| self.before.into_iter().fold(self.stats, |sum, before| sum.after(&before)))
    }

    fn read(&mut self, line: &str) -> Option<()> {
        if let Some(rest) = line.strip_prefix("sent ") {
            return self.read_sent(rest);
        }
        if let Some(rest) = line.strip_prefix("total size is ") {
            return self.read_total(rest);
        }
        let (key, value) = line.split_once(": ")?;
        let stats = &mut self.stats;
        match key {
            "Number of files" => {
                if self.complete && self.before.len() < MAX_BLOCKS {
                    self.before.push(std::mem::take(stats));
                }
                read_kinds(value, stats)?;
                // Whatever came before was not the block, or not the last one.
                (self.seen_files, self.seen_sent, self.complete) = (true, false, false);
            }
            "Number of created files" => stats.created = number(value)?,
            "Number of deleted files" => stats.deleted = number(value)?,
            "Number of regular files transferred" => stats.transferred = number(value)?,
            "Total file size" => stats.total_size = number(value)?,
            "Total transferred file size" => stats.transferred_size = number(value)?,
            "Literal data" => stats.literal = number(value)?,
            "Matched data" => stats.matched = number(value)?,
            "File list size" => stats.list_size = number(value)?,
            "File list generation time" => stats.list_generation = Some(seconds(value)?),
            "File list transfer time" => stats.list_transfer = Some(seconds(value)?),
            "Total bytes sent" => stats.sent = number(value)?,
            "Total bytes received" => stats.received = number(value)?,
            _ => return None,
        }
        Some(())
    }

    /// `41 bytes  received 504 bytes  1090.00 bytes/sec`
    fn read_sent(&mut self, rest: &str) -> Option<()> {
        let (sent, rest) = rest.split_once(" bytes  received ")?;
        let (received, rest) = rest.split_once(" bytes  ")?;
        let rate = rest.strip_suffix(" bytes/sec")?;
        self.stats.sent = number(sent)?;
        self.stats.received = number(received)?;
        self.stats.rate = decimal(rate)?;
        self.seen_sent = self.seen_files;
        Some(())
    }

    /// `60000  speedup is 110.09`, with ` (DRY RUN)` behind it where nothing was really done.
    fn read_total(&mut self, rest: &str) -> Option<()> {
        let (total, speedup) = rest.split_once("  speedup is ")?;
        let speedup = speedup.strip_suffix(self.suffix)?;
        self.stats.total_size = number(total)?;
        self.stats.speedup = decimal(speedup)?;
        self.complete = self.seen_sent;
        Some(())
    }
}

/// `26 (reg: 20, dir: 6)`; kinds of which there are none are left out.
fn read_kinds(value: &str, stats: &mut Stats) -> Option<()> {
    let (all, kinds) = value.split_once(" (").unwrap_or((value, ""));
    *stats = Stats { files: number(all)?, ..Stats::default() };
    for part in kinds.trim_end_matches(')').split(", ").filter(|part| !part.is_empty()) {
        let (kind, count) = part.split_once(": ")?;
        let count = number(count)?;
        match kind {
            "reg" => stats.files_regular = count,
            "dir" => stats.files_dirs = count,
            "link" => stats.files_links = count,
            "dev" => stats.files_devices = count,
            "special" => stats.files_special = count,
            _ => {}
        }
    }
    Some(())
}

/// The digits at the start, commas between them allowed; only ` bytes`, ` (…)` or nothing may follow.
fn number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() || !(rest.is_empty() || rest == " bytes" || rest.starts_with(" (")) {
        return None;
    }
    digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(decimal(text.strip_suffix(" seconds")?)?).ok()
}

fn decimal(text: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    if text.is_empty() || !text.chars().all(plain) {
        return None;
    }
    text.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Stats, StatsReader};
    use std::time::Duration;

    const BLOCK: &str = "
Number of files: 1,026 (reg: 1,017, dir: 6, link: 2, special: 1)
Number of created files: 26 (reg: 20, dir: 6)
Number of deleted files: 2 (reg: 1, dir: 1)
Number of regular files transferred: 20
Total file size: 60000 bytes
Total transferred file size: 59000 bytes
Literal data: 58000 bytes
Matched data: 1000 bytes
File list size: 489
File list generation time: 0.001 seconds
File list transfer time: 0.000 seconds
Total bytes sent: 41
Total bytes received: 504

sent 41 bytes  received 504 bytes  1,090.00 bytes/sec
total size is 60000  speedup is 110.09
";

    fn read(text: &str) -> Option<Stats> {
        let mut reader = StatsReader::new();
        for line in text.lines() {
            reader.line(line.as_bytes());
        }
        reader.finish(1)
    }

    #[test]
    fn every_line_is_read() {
        let expected = Stats {
            files: 1026,
            files_regular: 1017,
            files_dirs: 6,
            files_links: 2,
            files_devices: 0,
            files_special: 1,
            created: 26,
            deleted: 2,
            transferred: 20,
            total_size: 60_000,
            transferred_size: 59_000,
            literal: 58_000,
            matched: 1000,
            list_size: 489,
            list_generation: Some(Duration::from_millis(1)),
            list_transfer: Some(Duration::ZERO),
            sent: 41,
            received: 504,
            rate: 1090.0,
            speedup: 110.09,
        };
        assert_eq!(read(BLOCK), Some(expected));
    }

    #[test]
    fn a_block_without_its_end_is_no_statistics() {
        let lines: Vec<_> = BLOCK.trim_end().lines().collect();
        for length in 0..lines.len() {
            assert_eq!(read(&lines[..length].join("\n")), None, "{length} lines");
        }
    }

    #[test]
    fn the_last_line_alone_proves_nothing() {
        assert_eq!(read("total size is 60000  speedup is 110.09"), None);
        assert_eq!(
            read("sent 4 bytes  received 5 bytes  1.0 bytes/sec\ntotal size is 6  speedup is 1.0"),
            None
        );
    }

    #[test]
    fn a_dry_run_is_no_success() {
        let dry = BLOCK.replace("110.09", "110.09 (DRY RUN)");
        assert_eq!(read(&dry), None, "it must not pass for a sync");
        let rehearsed = |block: &str| {
            let mut reader = StatsReader::of_rehearsal();
            block.lines().for_each(|line| {
                reader.line(line.as_bytes());
            });
            reader.finish(1)
        };
        assert!(rehearsed(&dry).is_some());
        assert_eq!(rehearsed(BLOCK), None, "a sync must not pass for a rehearsal");
    }

    #[test]
    fn other_lines_are_left_to_others() {
        let mut reader = StatsReader::new();
        for line in
            ["", "created directory x", "Number of cows: 3", "sent from my phone", "Total file size: 12x"]
        {
            assert!(!reader.line(line.as_bytes()), "{line}");
        }
        assert!(!reader.line(b"Total file size: 99999999999999999999"));
        assert!(!reader.line(b"\xff"));
        assert!(reader.line(b"Literal data: 0 bytes"));
    }
}
