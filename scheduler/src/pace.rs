//! Rests between looks at the whole site, so that a look's cost does not grow with the number of events.
//!
//! Some questions concern everything: alerts, the file systems, the offer to slaves. They are asked again after each
//! change, and a change of one project must not cost more because there are others. So a look is followed by a rest in
//! proportion to the time that it took, and what happens meanwhile is looked at together.

use std::time::Duration;

/// Time of rest for each unit of time that a look takes: looks take at most one part in fifty of a core.
const REST_PER_WORK: u32 = 49;
/// Longest rest: a busy machine must not put a look off without end.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Returns the rest after a look that took this long, which is at least `least`.
#[must_use]
pub fn rest_after(look: Duration, least: Duration) -> Duration {
    look.saturating_mul(REST_PER_WORK).clamp(least, LONGEST_REST.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_grows_with_the_look_within_its_bounds() {
        let least = Duration::from_millis(100);
        assert_eq!(rest_after(Duration::from_micros(10), least), least);
        assert_eq!(rest_after(Duration::from_millis(10), least), Duration::from_millis(490));
        assert_eq!(rest_after(Duration::from_mins(1), least), LONGEST_REST);
        assert_eq!(rest_after(Duration::MAX, Duration::ZERO), LONGEST_REST);
    }
}
