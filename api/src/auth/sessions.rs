//! Who is signed in at the page: a cookie that holds nothing but chance, remembered here in memory alone.
//!
//! A session ends after twelve hours without a request, at sign-out, with the process, and as soon as its user is
//! removed or has another password: each use is held against the account's stamp.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Secret;
use sha2::{Digest, Sha256};

/// The name of the cookie.
pub const COOKIE: &str = "heliostat_session";
/// The header that a page must send with everything that changes something: no other site can make a browser send it.
pub const HEADER: &str = "x-heliostat";
/// How long a session lasts without a request.
const IDLE: Duration = Duration::from_hours(12);
/// The most sessions; then the one that was idle longest ends.
const MOST: usize = 10_000;

/// The sessions, by the digest of their cookie.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

#[derive(Debug, Clone)]
struct Session {
    name: String,
    stamp: [u8; 32],
    seen: Instant,
}

impl Sessions {
    /// Begins a session, and gives the cookie's value.
    pub(super) fn open(&self, name: &str, stamp: [u8; 32]) -> Secret {
        let text = Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let mut open = self.lock();
        if open.len() >= MOST {
            open.retain(|_, session| session.seen.elapsed() < IDLE);
        }
        if open.len() >= MOST {
            let oldest = open.iter().min_by_key(|(_, session)| session.seen).map(|(digest, _)| *digest);
            oldest.and_then(|digest| open.remove(&digest));
        }
        open.insert(digest(text.expose()), Session { name: name.to_owned(), stamp, seen: Instant::now() });
        text
    }

    /// Whose session that is, with the stamp that their account had when it began.
    pub(super) fn find(&self, text: &str) -> Option<(String, [u8; 32])> {
        let mut open = self.lock();
        let session = open.get_mut(&digest(text)).filter(|session| session.seen.elapsed() < IDLE)?;
        session.seen = Instant::now();
        Some((session.name.clone(), session.stamp))
    }

    /// Ends a session.
    pub(super) fn close(&self, text: &str) {
        self.lock().remove(&digest(text));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of our cookie in a request.
#[must_use]
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whether a request says that it comes from our own page.
#[must_use]
pub fn is_from_page(headers: &HeaderMap) -> bool {
    headers.contains_key(HEADER)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_is_closed() {
        let sessions = Sessions::default();
        let (one, two) = (sessions.open("jane", [1; 32]), sessions.open("jane", [1; 32]));
        assert_ne!(one.expose(), two.expose());
        assert_eq!(sessions.find(one.expose()), Some(("jane".to_owned(), [1; 32])));
        sessions.close(one.expose());
        assert_eq!(sessions.find(one.expose()), None);
        assert!(sessions.find(two.expose()).is_some() && sessions.find("").is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_idle_go_first() {
        let sessions = Sessions::default();
        let first = sessions.open("first", [0; 32]);
        for _ in 0..MOST {
            sessions.open("jane", [0; 32]);
        }
        assert_eq!(sessions.lock().len(), MOST);
        assert!(sessions.find(first.expose()).is_none());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; heliostat_session=xyz; c=d".parse().unwrap());
        assert_eq!(cookie(&headers), Some("xyz"));
        headers.insert(header::COOKIE, "not_heliostat_session=xyz".parse().unwrap());
        assert_eq!(cookie(&headers), None);
    }
}
