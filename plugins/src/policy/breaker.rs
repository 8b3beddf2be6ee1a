//! After a policy has failed some times in a row, it is left alone for a while: first for a second, then for twice as
//! long each time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many failures in a row are borne.
const FAILURES: u32 = 5;
/// The first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// The state of one policy.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Breaker {
    /// Whether the policy may be asked now.
    pub(crate) fn is_closed(&self, now: Instant) -> bool {
        self.lock().until.is_none_or(|until| now >= until)
    }

    /// Notes an answer. A success after a pause ends it all.
    pub(crate) fn note(&self, good: bool, now: Instant) {
        let mut failures = self.lock();
        if good {
            *failures = Failures::default();
            return;
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        if let Some(more) = failures.in_a_row.checked_sub(FAILURES) {
            let (first, longest) = PAUSE;
            let pause = first.saturating_mul(1_u32.checked_shl(more).unwrap_or(u32::MAX));
            failures.until = now.checked_add(pause.min(longest));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_each_more_doubles_the_pause() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..4 {
            breaker.note(false, start);
            assert!(breaker.is_closed(start));
        }
        let mut now = start;
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            breaker.note(false, now);
            now += Duration::from_secs(pause - 1);
            assert!(!breaker.is_closed(now), "closed before {pause} s");
            now += Duration::from_secs(1);
            assert!(breaker.is_closed(now), "still open after {pause} s");
        }
        breaker.note(true, now);
        breaker.note(false, now);
        assert!(breaker.is_closed(now));
    }
}
