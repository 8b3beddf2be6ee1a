//! Turns of strangers at working out a hash: few at once, and each network waits behind its own logins.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::strangers::share::{FairTable, ShareLimits};

/// Number of hashes that are worked out at once: 40 MiB and two cores at most, whoever floods us.
const AT_ONCE: usize = 2;
/// Number of logins that wait for their turn, of one network and of all.
const WAITING: ShareLimits = ShareLimits { per_network: 32, in_all: 1024 };

/// So many logins wait for their hash that this one has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueFull;

/// The turns; clones share them.
#[derive(Debug, Clone)]
pub(super) struct HashQueue {
    state: Arc<Mutex<QueueState>>,
}

#[derive(Debug)]
struct QueueState {
    /// Turns that nobody has.
    free: usize,
    waiting: FairTable<u64, oneshot::Sender<HashTurn>>,
    next: u64,
}

/// A turn, which the next one has when it is dropped.
#[derive(Debug)]
pub(super) struct HashTurn {
    queue: HashQueue,
}

/// A place in the queue, which is left when whoever waits goes away.
struct WaitingPlace<'a> {
    queue: &'a HashQueue,
    place: u64,
}

impl HashQueue {
    pub(super) fn new() -> Self {
        let state = QueueState { free: AT_ONCE, waiting: FairTable::new(WAITING), next: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a turn. The network with the fewest logins that wait has the next one.
    pub(super) async fn turn(&self, from: Option<IpAddr>) -> Result<HashTurn, QueueFull> {
        let (place, turn, gone) = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Ok(HashTurn { queue: self.clone() });
            }
            let place = state.next;
            state.next += 1;
            let (sender, turn) = oneshot::channel();
            let from = from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            (place, turn, state.waiting.insert(from, place, 1, sender))
        };
        // Whoever has lost a place hears of it by this.
        drop(gone);

        let _place = WaitingPlace { queue: self, place };
        turn.await.map_err(|_| QueueFull)
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        let left = self.queue.lock().waiting.remove(&self.place);
        drop(left);
    }
}

impl Drop for HashTurn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.queue.lock();
            let next = state.waiting.take_turn();
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        // Where whoever waited has gone away, the turn comes back and is dropped again.
        if let Some(next) = next {
            drop(next.send(Self { queue: self.queue.clone() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type WaitingTurn<'a> = Pin<Box<dyn Future<Output = Result<HashTurn, QueueFull>> + 'a>>;

    fn poll(turn: &mut WaitingTurn<'_>) -> Poll<Result<HashTurn, QueueFull>> {
        turn.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn begin(queue: &HashQueue, last: u8) -> WaitingTurn<'_> {
        let mut turn: WaitingTurn<'_> = Box::pin(queue.turn(Some(IpAddr::from([192, 0, 2, last]))));
        assert!(poll(&mut turn).is_pending());
        turn
    }

    async fn full(queue: &HashQueue) -> Vec<HashTurn> {
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(queue.turn(None).await.unwrap());
        }
        turns
    }

    #[tokio::test]
    async fn a_network_that_floods_waits_behind_its_own_logins() {
        let queue = HashQueue::new();
        let mut turns = full(&queue).await;
        let mut flood: Vec<_> = (0..WAITING.per_network).map(|_| begin(&queue, 1)).collect();
        let mut honest = begin(&queue, 2);
        let _more = begin(&queue, 1);
        assert!(matches!(poll(&mut flood[0]), Poll::Ready(Err(QueueFull))), "its own oldest goes");

        turns.pop();
        let Poll::Ready(Ok(turn)) = poll(&mut honest) else { panic!("the honest login is next") };
        drop(turn);
        assert!(matches!(poll(&mut flood[1]), Poll::Ready(Ok(_))));
    }

    #[tokio::test]
    async fn turns_of_those_who_went_away_are_not_lost() {
        let queue = HashQueue::new();
        let turns = full(&queue).await;
        let (gone, mut kept) = (begin(&queue, 1), begin(&queue, 2));
        let mut given = begin(&queue, 3);
        drop(gone);
        drop(turns);
        assert!(matches!(poll(&mut kept), Poll::Ready(Ok(_))));
        assert!(matches!(poll(&mut given), Poll::Ready(Ok(_))));
        // One was given a turn, and went away before it took it.
        let turns = full(&queue).await;
        let given = begin(&queue, 4);
        drop(turns);
        drop(given);
        let state = queue.lock();
        assert_eq!((state.free, state.waiting.len()), (AT_ONCE, 0));
    }
}
