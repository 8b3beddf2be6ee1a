//! What a hook can answer, as functions that read like sentences.

use std::time::Duration;

use crate::{Decision, RsyncEdit, Verdict};

impl Decision {
    /// The attempt goes on with these changes to rsync's options; with none, as it is.
    #[must_use]
    pub fn with(edits: impl IntoIterator<Item = RsyncEdit>) -> Self {
        let edits: Vec<RsyncEdit> = edits.into_iter().collect();
        if edits.is_empty() { Self::Proceed } else { Self::ProceedWith(edits) }
    }

    /// The run ends as `skipped`, which is no failure; the schedule goes on.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(reason.into())
    }

    /// The run waits, and is asked again. The host keeps waits between a second and a day, and does not wait for ever.
    pub fn delay(time: Duration, reason: impl Into<String>) -> Self {
        Self::Delay((milliseconds(time), reason.into()))
    }

    /// The run ends as `failed`, and is not tried again.
    pub fn veto(reason: impl Into<String>) -> Self {
        Self::Veto(reason.into())
    }
}

impl RsyncEdit {
    /// Leaves out what matches a pattern as for `--exclude`; what is there already is kept, not deleted.
    pub fn exclude(pattern: impl Into<String>) -> Self {
        Self::AddExclude(pattern.into())
    }

    /// Takes what matches a pattern as for `--include`, though a later pattern excludes it.
    pub fn include(pattern: impl Into<String>) -> Self {
        Self::AddInclude(pattern.into())
    }
}

impl Verdict {
    /// A good end counts as `partial`.
    pub fn degrade(reason: impl Into<String>) -> Self {
        Self::Degrade(reason.into())
    }

    /// A good end counts as `failed`.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// Another attempt follows after this time, as far as the project's retries go.
    pub fn retry_after(time: Duration, reason: impl Into<String>) -> Self {
        Self::RetryAfter((milliseconds(time), reason.into()))
    }
}

/// It, in milliseconds, or the most that can be said.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_edit_is_to_proceed() {
        assert_eq!(Decision::with([]), Decision::Proceed);
        assert_eq!(
            Decision::with([RsyncEdit::exclude("/a")]),
            Decision::ProceedWith(vec![RsyncEdit::AddExclude("/a".to_owned())])
        );
    }

    #[test]
    fn times_become_milliseconds() {
        let Decision::Delay((ms, reason)) = Decision::delay(Duration::from_secs(90), "later") else {
            panic!()
        };
        assert_eq!((ms, reason.as_str()), (90_000, "later"));
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
