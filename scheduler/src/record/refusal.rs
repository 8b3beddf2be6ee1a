//! The stored form of an upstream's refusal to rehearse.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::refusal::RehearsalRefusal;

#[derive(Serialize, Deserialize)]
pub(super) struct RefusalRecord {
    upstream: String,
    greeting: Option<String>,
    at: DateTime<Utc>,
}

impl From<&RehearsalRefusal> for RefusalRecord {
    fn from(refusal: &RehearsalRefusal) -> Self {
        let RehearsalRefusal { upstream, greeting, at } = refusal.clone();
        Self { upstream, greeting, at }
    }
}

impl From<RefusalRecord> for RehearsalRefusal {
    fn from(RefusalRecord { upstream, greeting, at }: RefusalRecord) -> Self {
        Self { upstream, greeting, at }
    }
}
