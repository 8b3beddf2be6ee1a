//! Pages that were made already, for as long as nothing has changed: many watchers ask for the same list.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// How many different pages are kept.
const KEPT: usize = 16;

/// Pages by what was asked for.
#[derive(Debug, Default)]
pub struct Pages {
    kept: Mutex<HashMap<String, (u64, Bytes)>>,
}

impl Pages {
    /// The page for `asked`, made at this version of what it shows.
    #[must_use]
    pub fn get(&self, asked: &str, version: u64) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(asked).filter(|(made, _)| *made == version).map(|(_, page)| page.clone())
    }

    /// Keeps a page that was made of `version`.
    pub fn keep(&self, asked: String, version: u64, page: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(asked, (version, page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_good_for_its_version_alone() {
        let pages = Pages::default();
        pages.keep("a".into(), 1, Bytes::from_static(b"x"));
        assert_eq!(pages.get("a", 1), Some(Bytes::from_static(b"x")));
        assert_eq!((pages.get("a", 2), pages.get("b", 1)), (None, None));
        for number in 0..100 {
            pages.keep(number.to_string(), 1, Bytes::new());
        }
        assert!(pages.kept.lock().unwrap().len() <= KEPT);
    }
}
