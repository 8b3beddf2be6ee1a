//! The upstream's whole list, read without an rsync and kept as a fingerprint.

use std::time::{Duration, Instant};

use engine::protocol::{End, Fingerprint, ListLimits, Timeouts, fingerprint};
use tokio::time::timeout;

use super::super::{Next, Work};

/// The longest that the list is read, however long the project's runs may take.
const LONGEST: Duration = Duration::from_hours(1);
/// What no mirror has: memory does not grow with the list, so this bounds the time of an upstream that never ends.
const LIMITS: ListLimits = ListLimits { entries: 100_000_000, bytes: 32 << 30 };

/// The fingerprint of all that the upstream has; none: it could not be read, or not wholly.
pub(super) async fn look(work: &Work<'_>) -> Next<Option<Fingerprint>> {
    let attempt = &work.start.attempt;
    let longest = attempt.time_limit.map_or(LONGEST, |limit| limit.min(LONGEST));
    let timeouts = Timeouts { silence: attempt.limits.io_timeout, list: longest, ..Timeouts::default() };
    let began = Instant::now();
    let reading =
        timeout(longest, fingerprint(&attempt.source, attempt.password.as_ref(), &LIMITS, &timeouts));
    let why = match work.unless_cancelled(reading).await? {
        Ok(Ok((found, End::Complete(errors)))) if errors.none() => {
            let (entries, took) = (found.entries, began.elapsed().as_secs_f64());
            work.journal.say(&format!("the upstream's list has {entries} entries (read in {took:.1} s)"));
            return Ok(Some(found));
        }
        Ok(Ok((_, End::Complete(_)))) => "it could not be read wholly".to_owned(),
        Ok(Ok((_, End::MoreEntries | End::MoreBytes))) => "it is too long".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it was not read within {} seconds", longest.as_secs()),
    };
    work.journal.say(&format!("the upstream's list cannot be compared: {why}"));
    Ok(None)
}
