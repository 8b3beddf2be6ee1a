//! Any bytes as an rsync's two streams, in pieces of any size: nothing panics, every line is bounded, and the pieces
//! do not matter.
//!
//! ```sh
//! engine/fuzz/seed                                    # the recorded transcripts as a corpus
//! cd engine && cargo +nightly fuzz run output         # until it finds something
//! ```
//!
//! The first byte is the size of the pieces.

#![no_main]

use engine::rsync::exit::{Exit, judge};
use engine::rsync::messages::Findings;
use engine::rsync::output::{Change, MAX_LINE, Progress, Record, Splitter};
use engine::rsync::stats::StatsReader;
use engine::rsync::version::Version;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((size, stream)) = bytes.split_first() else { return };
    let whole = records(&[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(*size).max(1)).collect();
    assert_eq!(whole, records(&pieces));

    let mut stats = StatsReader::new();
    let mut findings = Findings::default();
    let mut progress = Progress::default();
    for line in &whole {
        assert!(!line.is_empty() && line.len() <= MAX_LINE);
        if let Some(change) = Change::parse(line) {
            assert!(change.path().len() <= line.len());
        }
        if let Some(next) = Progress::parse(line, &progress) {
            assert!(next.rate.is_finite() && next.percent <= 100 && next.checked <= next.total);
            progress = next;
        }
        stats.line(line);
        findings.line(line);
    }
    let judgement = judge(&Exit::Code(i32::from(*size)), stats.finish(1).as_ref(), &findings);
    assert!(!judgement.reason.chars().any(|c| c.is_control() && c != '\t'));
    let _ = Version::parse(stream);
});

/// The lines of a stream that comes in these pieces.
fn records(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    let mut keep = |record: Record<'_>| {
        let (Record::Change(_, line) | Record::Progress(line) | Record::Text(line)) = record;
        lines.push(line.to_vec());
    };
    for piece in pieces {
        splitter.feed(piece, &mut keep);
    }
    splitter.finish(&mut keep);
    lines
}
