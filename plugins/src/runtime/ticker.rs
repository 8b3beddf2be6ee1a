//! The clock of all guests: a thread that moves the engine's epoch on while any of them runs, and sleeps otherwise.
//!
//! It is a thread of its own, since a guest that does not yield would also hold up a timer of the runtime it runs on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How often a guest is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Ends its thread when it goes.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// One guest is running.
#[derive(Debug)]
pub(crate) struct Ticking(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    ended: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: EngineWeak) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || {
            while !theirs.ended.load(Ordering::Acquire) {
                if theirs.running.load(Ordering::Acquire) == 0 {
                    thread::park();
                    continue;
                }
                thread::park_timeout(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    pub(crate) fn ticking(&self) -> Ticking {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
