//! Greetings of slaves that want to join, kept between the master's proof and theirs.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use scheduler::member::MemberName;

use super::proof::Nonce;
use crate::strangers::share::{FairTable, ShareLimits};

/// How long a slave may take from the greeting to its proof.
const GREETED_FOR: Duration = Duration::from_mins(1);
/// Number of greetings that are open at once, of one network and of all.
const GREETINGS: ShareLimits = ShareLimits { per_network: 4096, in_all: 16_384 };

/// The greetings, by what the master threw.
pub(super) struct OpenGreetings {
    table: Mutex<FairTable<Nonce, Greeting>>,
}

/// What a slave said.
pub(super) struct Greeting {
    pub(super) name: MemberName,
    pub(super) slave: Nonce,
    since: Instant,
}

impl Greeting {
    fn is_over(&self) -> bool {
        self.since.elapsed() >= GREETED_FOR
    }
}

impl OpenGreetings {
    pub(super) fn new() -> Self {
        Self { table: Mutex::new(FairTable::new(GREETINGS)) }
    }

    /// Keeps a greeting that was answered with this nonce.
    pub(super) fn add(&self, from: IpAddr, master: Nonce, name: MemberName, slave: Nonce) {
        let mut table = self.table();
        while table.remove_oldest_if(Greeting::is_over).is_some() {}
        table.insert(from, master, 1, Greeting { name, slave, since: Instant::now() });
    }

    /// Takes a greeting out: it is good for one answer, whatever comes of that.
    pub(super) fn take(&self, master: &Nonce) -> Option<Greeting> {
        self.table().remove(master).filter(|greeting| !greeting.is_over())
    }

    fn table(&self) -> MutexGuard<'_, FairTable<Nonce, Greeting>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
