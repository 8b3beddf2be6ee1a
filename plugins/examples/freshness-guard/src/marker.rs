//! The time in a marker file, in the spellings that archives use.

use chrono::{DateTime, NaiveDateTime};
use heliostat_plugin::{Error, Result};

use crate::dest;

/// More of a marker is not read.
const BYTES: u32 = 16 * 1024;

/// The time in the file, in milliseconds since 1970; its time of change when it holds none. `None` when it is not there.
pub fn read(path: &str) -> Result<Option<u64>> {
    let failed = |error: dest::Error| Error::from(error).while_doing(format_args!("reading {path}"));
    match dest::read_text(path, BYTES) {
        Err(dest::Error::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(text) => match parse(&text) {
            Some(time) => Ok(Some(time)),
            None => Ok(u64::try_from(dest::stat(path).map_err(failed)?.mtime_ms).ok()),
        },
    }
}

/// The first line that is a time: seconds since 1970, RFC 3339, RFC 2822, or as `date` prints it; behind `Date:` or
/// `date=` where that stands in front.
pub fn parse(text: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let line = line.trim();
        let bare = ["Date:", "date="].iter().find_map(|key| line.strip_prefix(key)).unwrap_or(line).trim();
        time(bare)
    })
}

fn time(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        // Ten digits are a time; a day or a version is something else.
        return (1_000_000_000..10_000_000_000).contains(&seconds).then_some(seconds * 1_000);
    }
    let moment = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .map(|moment| moment.timestamp_millis())
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text, "%a %b %e %H:%M:%S UTC %Y")
                .map(|moment| moment.and_utc().timestamp_millis())
        })
        .ok()?;
    u64::try_from(moment).ok()
}

#[cfg(test)]
mod tests {
    use heliostat_plugin::testing::NOW_MS;

    use super::*;

    #[test]
    fn archives_spell_a_time_in_many_ways() {
        for text in [
            "1795634204\n",
            "Wed Nov 25 19:16:44 UTC 2026\nDate: Wed, 25 Nov 2026 19:16:44 +0000\n",
            "Archive serial: 2026112501\nDate: Wed, 25 Nov 2026 20:16:44 +0100\n",
            "state=3\ndate=2026-11-25T19:16:44Z\n",
        ] {
            assert_eq!(parse(text), Some(NOW_MS), "{text}");
        }
        for text in ["", "20261125", "12.4", "soon"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
