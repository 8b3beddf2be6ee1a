//! What a hook is told: questions that many of them ask.

use std::fmt;
use std::time::Duration;

use crate::time::LocalTime;
use crate::{Candidate, Finished, PastRun, Project, RunContext, RunOutcome, Status, Trigger};

impl Project {
    /// The value of a label, if the project has it.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }
}

impl RunContext {
    /// The time at the project, now.
    #[must_use]
    pub fn local_time(&self) -> LocalTime {
        LocalTime::new(self.now_ms, self.utc_offset_minutes)
    }

    /// How long ago the project was last brought up to date.
    #[must_use]
    pub fn since_success(&self) -> Option<Duration> {
        self.last_success_ms.map(|time| self.age(time))
    }

    /// How old the upstream is, by its freshness marker.
    #[must_use]
    pub fn upstream_age(&self) -> Option<Duration> {
        self.upstream_marker_ms.map(|time| self.age(time))
    }

    /// How old our copy is, by its freshness marker.
    #[must_use]
    pub fn local_age(&self) -> Option<Duration> {
        self.local_marker_ms.map(|time| self.age(time))
    }

    /// How long ago a moment was; nothing for one that is still to come.
    #[must_use]
    pub fn age(&self, ms: u64) -> Duration {
        Duration::from_millis(self.now_ms.saturating_sub(ms))
    }
}

impl RunOutcome {
    /// How long the attempt took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.finished_at_ms.saturating_sub(self.started_at_ms))
    }

    /// Whether the destination is now what the upstream was.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.status.is_good()
    }
}

impl PastRun {
    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.ended_at_ms.saturating_sub(self.started_at_ms))
    }
}

impl Candidate {
    /// The time at the project. `now_ms` is the view's.
    #[must_use]
    pub fn local_time(&self, now_ms: u64) -> LocalTime {
        LocalTime::new(now_ms, self.utc_offset_minutes)
    }

    /// The value of a label, if the project has it.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }
}

impl Finished {
    /// The time at the project, now.
    #[must_use]
    pub fn local_time(&self) -> LocalTime {
        LocalTime::new(self.now_ms, self.utc_offset_minutes)
    }

    /// The wait that the project's own schedule says.
    #[must_use]
    pub fn default_delay(&self) -> Duration {
        Duration::from_millis(self.default_delay_ms)
    }
}

impl Status {
    /// Whether the destination is now what the upstream was: `succeeded` and `unchanged`.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Unchanged)
    }

    /// Whether somebody decided that it should not be: `cancelled` and `skipped`. Neither good nor a failure.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Skipped)
    }

    /// It in a word, as in the API: `succeeded`, `timed-out`…
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Unchanged => "unchanged",
            Self::Partial(_) => "partial",
            Self::Failed(_) => "failed",
            Self::Signalled(_) => "signalled",
            Self::TimedOut => "timed-out",
            Self::Stalled => "stalled",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Held => "held",
            Self::Skipped => "skipped",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for Status {
    /// The word, and rsync's code or the signal where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Partial(code) | Self::Failed(code) => write!(f, " (rsync code {code})"),
            Self::Signalled(signal) => write!(f, " (signal {signal})"),
            _ => Ok(()),
        }
    }
}

impl Trigger {
    /// It in a word, as in the API: `schedule`, `manual`, `catch-up`, `recovery`, `push`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::CatchUp => "catch-up",
            Self::Recovery => "recovery",
            Self::Push => "push",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn ages_are_counted_from_the_runs_now() {
        let run = RunContext { upstream_marker_ms: Some(testing::NOW_MS - 90_000), ..testing::run_context() };
        assert_eq!(run.upstream_age(), Some(Duration::from_secs(90)));
        assert_eq!(run.local_age(), None);
        assert_eq!(run.age(run.now_ms + 5), Duration::ZERO);
    }

    #[test]
    fn a_status_is_told_with_its_code() {
        assert_eq!(Status::Failed(10).to_string(), "failed (rsync code 10)");
        assert_eq!(Status::Other("not-started".to_owned()).to_string(), "not-started");
        assert!(Status::Unchanged.is_good() && !Status::Partial(23).is_good() && Status::Skipped.is_wanted());
    }
}
