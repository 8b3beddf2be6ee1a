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

use super::accounts::AccountStamp;

/// The name of the cookie.
pub const COOKIE: &str = "heliostat_session";
/// The header that a page must send with everything that changes something: no other site can make a browser send it.
pub const HEADER: &str = "x-heliostat";
/// How long a session lasts without a request.
const IDLE: Duration = Duration::from_hours(12);
/// Number of sessions of one user; the one that was idle longest makes room for the next.
const PER_USER: usize = 20;

/// The sessions, by the digest of their cookie.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

#[derive(Debug, Clone)]
struct Session {
    name: String,
    stamp: AccountStamp,
    seen: Instant,
}

impl Sessions {
    /// Begins a session, and gives the cookie's value.
    pub(super) fn open(&self, name: &str, stamp: AccountStamp) -> Secret {
        let text = Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let mut open = self.lock();
        open.retain(|_, session| session.seen.elapsed() < IDLE);

        // Nobody's sessions push out anybody else's.
        let own = open.iter().filter(|(_, session)| session.name == name);
        let mut own: Vec<(Instant, [u8; 32])> =
            own.map(|(digest, session)| (session.seen, *digest)).collect();
        own.sort_unstable();
        for (_, oldest) in own.iter().take((own.len() + 1).saturating_sub(PER_USER)) {
            open.remove(oldest);
        }

        open.insert(digest(text.expose()), Session { name: name.to_owned(), stamp, seen: Instant::now() });
        text
    }

    /// Whose session that is, with the stamp that their account had when it began.
    pub(super) fn find(&self, text: &str) -> Option<(String, AccountStamp)> {
        let mut open = self.lock();
        let session = open.get_mut(&digest(text)).filter(|session| session.seen.elapsed() < IDLE)?;
        session.seen = Instant::now();
        Some((session.name.clone(), session.stamp))
    }

    /// Time that a session lasts without another request; none: it has ended.
    pub(super) fn left(&self, digest: &[u8; 32]) -> Option<Duration> {
        let open = self.lock();
        IDLE.checked_sub(open.get(digest)?.seen.elapsed()).filter(|left| !left.is_zero())
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

/// Digest by which a session is known.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_is_closed() {
        let (sessions, stamp) = (Sessions::default(), AccountStamp::of_tests(1));
        let (one, two) = (sessions.open("jane", stamp), sessions.open("jane", stamp));
        assert_ne!(one.expose(), two.expose());
        assert_eq!(sessions.find(one.expose()), Some(("jane".to_owned(), stamp)));
        assert!(sessions.left(&digest(one.expose())).is_some_and(|left| left <= IDLE));
        sessions.close(one.expose());
        assert_eq!(sessions.find(one.expose()), None);
        assert_eq!(sessions.left(&digest(one.expose())), None);
        assert!(sessions.find(two.expose()).is_some() && sessions.find("").is_none());
    }

    #[test]
    fn a_user_has_a_bounded_number_of_sessions_and_pushes_out_nobody_else() {
        let (sessions, stamp) = (Sessions::default(), AccountStamp::of_tests(1));
        let root = sessions.open("root", stamp);
        let own: Vec<Secret> = (0..PER_USER).map(|_| sessions.open("jane", stamp)).collect();
        // The first was used since: the second is the one that was idle longest.
        assert!(sessions.find(own[0].expose()).is_some());
        sessions.open("jane", stamp);
        assert_eq!(sessions.lock().len(), PER_USER + 1);
        assert!(sessions.find(own[1].expose()).is_none());
        for text in own.iter().skip(2).chain([&own[0], &root]) {
            assert!(sessions.find(text.expose()).is_some());
        }
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
