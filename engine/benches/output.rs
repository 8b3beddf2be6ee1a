//! How fast rsync's output is read: the transcript of a first sync of 100,000 files, in the pieces that a pipe gives.
//!
//! Run it with `cargo bench -p engine`; `items/s` are lines.

use std::fmt::Write as _;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use engine::rsync::output::{Progress, Record, Splitter};
use engine::rsync::stats::StatsReader;

const FILES: u64 = 100_000;
const FILE_BYTES: u64 = 1000;
/// What a supervisor reads at once.
const CHUNK: usize = 64 << 10;

fn main() {
    divan::main();
}

/// One record of progress and one line of the journal for each file, and the statistics behind them.
fn transcript() -> String {
    let mut text = String::new();
    for file in 1..=FILES {
        let (bytes, left, folder) = (file * FILE_BYTES, FILES - file, file / 100);
        let percent = bytes / FILES / 10;
        let _ = write!(
            text,
            "\r{bytes:>15} {percent:>3}%    4.87MB/s    0:00:12 (xfr#{file}, to-chk={left}/{FILES})\n\
             @F|>f+++++++++|{FILE_BYTES}|1040|pool/main/{folder:03}/package-{file:06}_1.0-1_all.deb\n"
        );
    }
    let total = FILES * FILE_BYTES;
    let _ = write!(
        text,
        "\nNumber of files: {FILES} (reg: {FILES})\nNumber of created files: {FILES} (reg: {FILES})\n\
         \nsent 1 bytes  received {total} bytes  1.00 bytes/sec\ntotal size is {total}  speedup is 1.00\n"
    );
    text
}

fn lines(text: &str) -> ItemsCount {
    ItemsCount::new(text.split(['\n', '\r']).filter(|line| !line.is_empty()).count())
}

/// Cutting and telling apart alone.
#[divan::bench]
fn split(bencher: Bencher<'_, '_>) {
    let text = transcript();
    bencher.counter(lines(&text)).counter(BytesCount::of_str(&text)).bench(|| {
        let mut splitter = Splitter::default();
        let mut records = 0_u64;
        for piece in text.as_bytes().chunks(CHUNK) {
            splitter.feed(piece, |record| {
                black_box(record);
                records += 1;
            });
        }
        records
    });
}

/// What an attempt does with every line, if progress were told for each record.
#[divan::bench]
fn split_and_read_everything(bencher: Bencher<'_, '_>) {
    let text = transcript();
    bencher.counter(lines(&text)).counter(BytesCount::of_str(&text)).bench(|| {
        let mut splitter = Splitter::default();
        let mut stats = StatsReader::new();
        let mut progress = Progress::default();
        let mut names = 0;
        for piece in text.as_bytes().chunks(CHUNK) {
            splitter.feed(piece, |record| match record {
                Record::Change(change, _) => names += change.path().len(),
                Record::Progress(line) => progress = Progress::parse(line, &progress).unwrap_or(progress),
                Record::Text(line) => drop(stats.line(line)),
            });
        }
        (names, progress, stats.finish(1))
    });
}

/// The same bytes in small pieces, so that nearly every line is put together from two.
#[divan::bench]
fn split_small_pieces(bencher: Bencher<'_, '_>) {
    let text = transcript();
    bencher.counter(lines(&text)).counter(BytesCount::of_str(&text)).bench(|| {
        let mut splitter = Splitter::default();
        for piece in text.as_bytes().chunks(100) {
            splitter.feed(piece, |record| {
                black_box(record);
            });
        }
    });
}
