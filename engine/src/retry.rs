//! When an attempt that failed is worth another one, and after how long.
//!
//! Only arithmetic lives here: nothing sleeps, and chance comes in as a number, so that a test can say it.

use std::time::Duration;

use crate::rsync::exit::Verdict;

/// How often and how patiently a run is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included. 0 counts as 1.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub base: Duration,
    /// No wait is longer than this.
    pub cap: Duration,
}

/// How much later a busy upstream is asked again than a broken connection is tried again.
const LATER: u32 = 10;

/// The part of each wait that chance cannot take away, so that a retry never follows at once.
const FLOOR: f64 = 0.5;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3, base: Duration::from_secs(30), cap: Duration::from_mins(30) }
    }
}

impl RetryPolicy {
    /// The wait before the next attempt, or `None` where there is no next one: the attempts are used up, or the
    /// verdict says that trying again is of no use.
    ///
    /// `failed_attempts` counts from 1. `jitter`, between 0 and 1, is where in its range the wait falls: the upper
    /// half of the doubled time is left to chance, so that mirrors that failed together do not come back together.
    #[must_use]
    pub fn delay(&self, failed_attempts: u32, verdict: Verdict, jitter: f64) -> Option<Duration> {
        let first = match verdict {
            Verdict::RetrySoon => self.base,
            Verdict::RetryLater => self.base.saturating_mul(LATER),
            Verdict::Done
            | Verdict::Partial
            | Verdict::ConfigError
            | Verdict::GiveUp
            | Verdict::Cancelled => {
                return None;
            }
        };
        if failed_attempts >= self.attempts.max(1) {
            return None;
        }
        let doublings = failed_attempts.saturating_sub(1).min(31);
        let full = first.saturating_mul(1 << doublings).min(self.cap);
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        Some(full.mul_f64(FLOOR + (1.0 - FLOOR) * jitter))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RetryPolicy;
    use crate::rsync::exit::Verdict;
    use std::time::Duration;

    #[test]
    fn waits_double_up_to_the_cap() {
        let policy =
            RetryPolicy { attempts: 9, base: Duration::from_secs(30), cap: Duration::from_secs(100) };
        let waits: Vec<_> = (1..=4).map(|n| policy.delay(n, Verdict::RetrySoon, 1.0)).collect();
        assert_eq!(waits, [30, 60, 100, 100].map(|s| Some(Duration::from_secs(s))));
    }

    #[test]
    fn a_busy_upstream_is_asked_ten_times_later() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(1, Verdict::RetryLater, 1.0), Some(Duration::from_mins(5)));
    }

    #[test]
    fn attempts_end() {
        let waits =
            (1..=4).map(|failed| RetryPolicy::default().delay(failed, Verdict::RetrySoon, 0.0).is_some());
        assert!(waits.eq([true, true, false, false]));
        let none = RetryPolicy { attempts: 0, ..RetryPolicy::default() };
        assert_eq!(none.delay(1, Verdict::RetrySoon, 0.0), None);
    }

    #[test]
    fn nothing_else_is_tried_again() {
        for verdict in
            [Verdict::Done, Verdict::Partial, Verdict::ConfigError, Verdict::GiveUp, Verdict::Cancelled]
        {
            assert_eq!(RetryPolicy::default().delay(1, verdict, 0.5), None, "{verdict:?}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_half_of_its_time_and_the_cap(
            failed in 1_u32..1000, base in 1_u64..100_000, cap in 1_u64..100_000, jitter in proptest::num::f64::ANY,
        ) {
            let policy = RetryPolicy {
                attempts: u32::MAX, base: Duration::from_millis(base), cap: Duration::from_millis(cap),
            };
            let wait = policy.delay(failed, Verdict::RetrySoon, jitter).unwrap();
            prop_assert!(wait <= policy.cap);
            prop_assert!(wait + Duration::from_nanos(1) >= policy.base.min(policy.cap) / 2);
        }
    }
}
