//! Places of which each user has a number, so that nobody takes all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places that are taken, by user.
#[derive(Debug)]
pub struct UserSlots {
    per_user: usize,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// One place of a user, until it is dropped.
#[derive(Debug)]
pub struct UserSlot {
    name: String,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

impl UserSlots {
    /// So many places for each user.
    #[must_use]
    pub fn new(per_user: usize) -> Self {
        Self { per_user, taken: Arc::default() }
    }

    /// Takes a place of this user; none: all of theirs are taken.
    #[must_use]
    pub fn take(&self, name: &str) -> Option<UserSlot> {
        let mut taken = lock(&self.taken);
        let count = taken.entry(name.to_owned()).or_default();
        if *count >= self.per_user {
            return None;
        }
        *count += 1;
        Some(UserSlot { name: name.to_owned(), taken: Arc::clone(&self.taken) })
    }
}

impl Drop for UserSlot {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let Some(count) = taken.get_mut(&self.name) else { return };
        *count -= 1;
        if *count == 0 {
            taken.remove(&self.name);
        }
    }
}

fn lock(taken: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_places_and_takes_none_of_others() {
        let slots = UserSlots::new(2);
        let (one, two) = (slots.take("jane"), slots.take("jane"));
        assert!(one.is_some() && two.is_some() && slots.take("jane").is_none());
        assert!(slots.take("bob").is_some());
        drop(one);
        assert!(slots.take("jane").is_some());
        drop(two);
        assert!(lock(&slots.taken).is_empty());
    }
}
