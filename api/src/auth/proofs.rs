//! Proofs that are being worked out: the same login, sent many times at once, is proved and counted once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::{Power, Refused};

type ProofResult = Result<Power, Refused>;

/// The proofs of now, by the digest of their login.
#[derive(Debug, Default)]
pub(super) struct RunningProofs {
    running: Mutex<HashMap<[u8; 32], Arc<OnceCell<ProofResult>>>>,
}

impl RunningProofs {
    /// The result of this proof, or of the one of the same login that is under way.
    pub(super) async fn share(
        &self,
        login: [u8; 32],
        proof: impl Future<Output = ProofResult>,
    ) -> ProofResult {
        let cell = Arc::clone(self.lock().entry(login).or_default());
        let running = RunningProof { proofs: self, login, cell };
        running.cell.get_or_init(|| proof).await.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<OnceCell<ProofResult>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part that one request has in a proof. The last one to leave, with or without a result, forgets the proof.
struct RunningProof<'a> {
    proofs: &'a RunningProofs,
    login: [u8; 32],
    cell: Arc<OnceCell<ProofResult>>,
}

impl Drop for RunningProof<'_> {
    fn drop(&mut self) {
        let mut running = self.proofs.lock();
        // The table and this part.
        if Arc::strong_count(&self.cell) <= 2 {
            running.remove(&self.login);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use scheduler::account::Role;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_login_that_comes_many_times_at_once_is_proved_once_and_forgotten() {
        let (proofs, counted, go) = (RunningProofs::default(), AtomicUsize::new(0), Notify::new());
        let ask = || {
            proofs.share([1; 32], async {
                counted.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                Ok(Power::Role(Role::Viewer))
            })
        };
        let (mut first, mut second, mut third) = (Box::pin(ask()), Box::pin(ask()), Box::pin(ask()));
        let mut context = Context::from_waker(Waker::noop());
        for request in [&mut first, &mut second, &mut third] {
            assert!(request.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(counted.load(Ordering::Relaxed), 1);

        // The client that asked first goes away: another one takes the proof over.
        drop(first);
        go.notify_one();
        assert_eq!(second.await, Ok(Power::Role(Role::Viewer)));
        assert_eq!(third.await, Ok(Power::Role(Role::Viewer)));
        assert_eq!(counted.load(Ordering::Relaxed), 2);
        assert!(proofs.lock().is_empty());
    }
}
