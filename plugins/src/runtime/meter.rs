//! What a call costs: processor time, as the system counts it for the thread, between the moments in which the call is
//! polled.
//!
//! So a guest pays for what it computes and for what the host computes for it, and neither for an answer that it waits
//! for nor for a machine on which others are busy.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The account of one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    /// Nanoseconds of the polls that are over.
    spent: AtomicU64,
    /// What the thread's clock said when the present poll began.
    since: AtomicU64,
}

/// A call whose polls are counted.
pub(crate) struct Metered<F> {
    call: Pin<Box<F>>,
    meter: Meter,
}

impl Meter {
    /// What was spent before this poll and in it; asked from within a poll.
    pub(crate) fn spent_so_far(&self) -> Duration {
        let now = thread_time().saturating_sub(self.0.since.load(Ordering::Relaxed));
        self.spent() + Duration::from_nanos(now)
    }

    /// What was spent in polls that are over.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.0.spent.load(Ordering::Relaxed))
    }
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(meter: Meter, call: F) -> Self {
        Self { call: Box::pin(call), meter }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let account = Arc::clone(&self.meter.0);
        let since = thread_time();
        account.since.store(since, Ordering::Relaxed);
        let answer = self.call.as_mut().poll(context);
        account.spent.fetch_add(thread_time().saturating_sub(since), Ordering::Relaxed);
        answer
    }
}

fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    part(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_costs_nothing_and_computing_does() {
        let meter = Meter::default();
        Metered::new(meter.clone(), tokio::time::sleep(Duration::from_millis(50))).await;
        let waited = meter.spent();
        assert!(waited < Duration::from_millis(40), "{waited:?} for a sleep");
        let inside = meter.clone();
        let busy = async move { while inside.spent_so_far() < Duration::from_millis(50) {} };
        Metered::new(meter.clone(), busy).await;
        assert!(meter.spent() >= Duration::from_millis(50));
    }
}
