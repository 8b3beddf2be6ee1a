//! Contact with the master as the slave sees it: people and monitoring learn from it that nobody answers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

/// The contact of this process with its master.
#[derive(Debug)]
pub(crate) struct MasterContact {
    master: String,
    state: Mutex<ContactState>,
}

/// The contact at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContactState {
    /// The newest question was answered; none: none has ended yet.
    pub(crate) connected: Option<bool>,
    /// Begin of this state.
    pub(crate) since: DateTime<Utc>,
    /// Time of the newest answer; none: there was none since the start.
    pub(crate) last: Option<DateTime<Utc>>,
    /// Reason why there is no contact.
    pub(crate) reason: Option<String>,
}

impl MasterContact {
    /// No contact yet with this master.
    pub(super) fn new(master: &str) -> Self {
        let state = ContactState { connected: None, since: Utc::now(), last: None, reason: None };
        Self { master: master.to_owned(), state: Mutex::new(state) }
    }

    /// The master's address.
    pub(crate) fn master(&self) -> &str {
        &self.master
    }

    /// The state as of now.
    pub(crate) fn state(&self) -> ContactState {
        self.lock().clone()
    }

    /// Notes an answer; gives whether contact began with it.
    pub(super) fn heard(&self) -> bool {
        let (mut state, now) = (self.lock(), Utc::now());
        let began = state.connected != Some(true);
        if began {
            state.since = now;
        }
        (state.connected, state.last, state.reason) = (Some(true), Some(now), None);
        began
    }

    /// Notes a question without an answer; gives whether the reason is another one than before.
    pub(super) fn lost(&self, reason: String) -> bool {
        let mut state = self.lock();
        if state.connected == Some(true) {
            state.since = Utc::now();
        }
        state.connected = Some(false);
        let is_new = state.reason.as_ref() != Some(&reason);
        state.reason = Some(reason);
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, ContactState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_knows_since_when_and_why_it_is_lost() {
        let contact = MasterContact::new("http://master:5000/");
        let start = contact.state();
        assert_eq!((start.connected, start.last), (None, None));

        assert!(contact.lost("refused".to_owned()) && !contact.lost("refused".to_owned()));
        let lost = contact.state();
        assert_eq!(
            (lost.connected, lost.since, lost.reason.as_deref()),
            (Some(false), start.since, Some("refused"))
        );

        assert!(contact.heard() && !contact.heard());
        let heard = contact.state();
        assert_eq!((heard.connected, heard.reason), (Some(true), None));
        assert!(heard.last >= Some(heard.since));

        assert!(contact.lost("timed out".to_owned()));
        let lost = contact.state();
        assert!(lost.since >= heard.since && lost.last == heard.last && lost.connected == Some(false));
    }
}
