//! `freshness`: what tells that an upstream has moved, and how old it may be.

use scheduler::freshness::{Compare, Freshness, MarkerRule};
use serde_json::Value;

use super::fields::Fields;

/// The longest path of a marker.
const LONGEST: usize = 512;

/// Reads it; what is not given has the default.
pub(super) fn read(fields: &mut Fields<'_>) -> Freshness {
    let default = Freshness::default();
    let Some(value) = fields.take("freshness").filter(|value| !value.is_null()) else { return default };
    let mut parts = fields.inside("freshness", value);
    let marker = parts.text("marker", LONGEST).map(|text| MarkerRule::read(&text));
    let marker = match marker {
        Some(Ok(marker)) => marker,
        Some(Err(why)) => {
            parts.error("marker", why);
            default.marker
        }
        None => default.marker,
    };
    let compare = match parts.text("compare", LONGEST).map(|text| Compare::read(&text)) {
        Some(None) => {
            parts.error("compare", "must be \"marker\" or \"list\"");
            default.compare
        }
        Some(Some(compare)) => compare,
        None => default.compare,
    };
    let verify_every = parts.duration("verify_every").unwrap_or(default.verify_every);
    let target = match parts.take("target") {
        Some(Value::Null) | None => None,
        Some(_) => parts.duration("target"),
    };
    fields.leave(parts);
    Freshness { marker, compare, verify_every, target }
}
