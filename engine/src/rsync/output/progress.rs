//! How far rsync is, as `--info=progress2` says it.

/// One progress record. While the file list still grows, percentage and total are guesses that can go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Bytes of files that are done or being received.
    pub bytes: u64,
    /// rsync's own percentage of all bytes, 0 to 100.
    pub percent: u8,
    /// Bytes per second.
    pub rate: f64,
    /// Regular files whose data was sent.
    pub files: u64,
    /// Entries of the list that are checked.
    pub checked: u64,
    /// Entries known so far; 0 until rsync says a count.
    pub total: u64,
    /// Whether the list is complete, so that `total` and `percent` are true.
    pub total_known: bool,
}

impl Progress {
    /// Reads one record, such as `15000  25%   14.31MB/s    0:00:00 (xfr#5, to-chk=18/26)`. Records between two files
    /// lack the bracket: their counts are 0, see [`Progress::merge`].
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(record).ok()?;
        let (rates, counts) = text.split_once('(').unwrap_or((text, ""));
        let mut words = rates.split_ascii_whitespace();
        let bytes = number(words.next()?)?;
        let percent = number(words.next()?.strip_suffix('%')?)?;
        let rate = rate(words.next()?)?;
        // The time is elapsed or left, depending on the record; whoever needs one has a clock.
        words.next()?;
        if words.next().is_some() {
            return None;
        }
        let percent = u8::try_from(percent.min(100)).unwrap_or(100);
        let progress = Self { bytes, percent, rate, ..Self::default() };
        if counts.is_empty() { Some(progress) } else { progress.with_counts(counts) }
    }

    /// Takes over what a newer record says, keeping the counts if it says none.
    pub fn merge(&mut self, newer: Self) {
        let Self { files, checked, total, total_known, .. } = *self;
        *self = newer;
        if newer.total == 0 {
            *self = Self { files, checked, total, total_known, ..newer };
        }
    }

    /// `xfr#5, to-chk=18/26)`: the 5th file, 18 of 26 entries left; `ir-chk` while the list grows.
    fn with_counts(self, counts: &str) -> Option<Self> {
        let (files, check) = counts.trim_end().strip_suffix(')')?.strip_prefix("xfr#")?.split_once(", ")?;
        let (kind, check) = check.split_once("-chk=")?;
        let (left, total) = check.split_once('/')?;
        let total = number(total)?;
        let checked = total.checked_sub(number(left)?)?;
        let total_known = match kind {
            "to" => true,
            "ir" => false,
            _ => return None,
        };
        Some(Self { files: number(files)?, checked, total, total_known, ..self })
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    if !plain {
        return None;
    }
    if text.contains(',') { text.replace(',', "").parse().ok() } else { text.parse().ok() }
}

/// `14.31MB/s`; rsync's prefixes are powers of 1024.
fn rate(text: &str) -> Option<f64> {
    let text = text.strip_suffix("B/s")?;
    let factor = match text.bytes().last()? {
        b'k' => 1024.0,
        b'M' => 1024.0 * 1024.0,
        b'G' => 1024.0 * 1024.0 * 1024.0,
        b'T' => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|rate| rate * factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Progress;

    #[test]
    fn a_record_with_counts_is_read() {
        let expected = Progress {
            bytes: 36_000,
            percent: 60,
            rate: 34.5 * 1024.0 * 1024.0,
            files: 12,
            checked: 17,
            total: 26,
            total_known: true,
        };
        let record = b"          36000  60%   34.50MB/s    0:00:00 (xfr#12, to-chk=9/26) ";
        assert_eq!(Progress::parse(record), Some(expected));
    }

    #[test]
    fn a_growing_list_is_said_to_grow() {
        let record = b"         101000   8%  976.56kB/s    0:00:00 (xfr#101, ir-chk=1099/1271)";
        let progress = Progress::parse(record).unwrap();
        assert_eq!((progress.checked, progress.total, progress.total_known), (172, 1271, false));
    }

    #[test]
    fn a_record_without_counts_keeps_the_older_ones() {
        let mut progress =
            Progress::parse(b"15000  25%   14.31MB/s    0:00:00 (xfr#5, to-chk=18/26)").unwrap();
        progress.merge(Progress::parse(b"  1,500,001  31%    1.00GB/s  ??:??:??  ").unwrap());
        let expected = Progress {
            bytes: 1_500_001,
            percent: 31,
            rate: 1024.0 * 1024.0 * 1024.0,
            files: 5,
            checked: 8,
            total: 26,
            total_known: true,
        };
        assert_eq!(progress, expected);
    }

    #[test]
    fn what_is_not_a_record_is_not_read() {
        for record in [
            "",
            "12",
            "12 5%",
            "x 5% 1.00kB/s 0:00:00",
            "1 5% 1.00/s 0:00:00",
            "1 5% 1.00kB/s 0:00:00 more",
            "1 5% 1.00kB/s 0:00:00 (xfr#1, to-chk=9/2)",
            "1 5% 1.00kB/s 0:00:00 (xfr#1, no-chk=1/2)",
            "1 5% infkB/s 0:00:00",
        ] {
            assert_eq!(Progress::parse(record.as_bytes()), None, "{record}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Progress::parse(&bytes);
        }

        #[test]
        fn any_numbers_are_survived(text in "[ ]{0,3}[0-9,]{0,25} [0-9]{0,25}% [0-9.]{0,9}[kMGT]?B/s [0-9:]{0,8}( [(]xfr#[0-9]{0,22}, (ir|to)-chk=[0-9]{0,22}/[0-9]{0,22}[)])?") {
            if let Some(progress) = Progress::parse(text.as_bytes()) {
                prop_assert!(progress.percent <= 100 && progress.checked <= progress.total && progress.rate.is_finite());
            }
        }
    }
}
