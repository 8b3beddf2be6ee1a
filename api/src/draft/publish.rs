//! `publish`: when slaves put a new generation in place.

use scheduler::publish::{NotAQuorum, Publish, Quorum, Together};
use serde_json::Value;

use super::fields::Fields;

/// Reads it; what is not given is each for itself.
pub(super) fn read(fields: &mut Fields<'_>) -> Publish {
    let default = Together::default();
    match fields.take("publish") {
        None | Some(Value::Null) => Publish::Each,
        Some(Value::String(word)) if word == "each" => Publish::Each,
        Some(Value::String(word)) if word == "together" => Publish::Together(default),
        Some(value @ Value::Object(_)) => {
            let mut parts = fields.inside("publish", value);
            let quorum = match parts.take("quorum") {
                None | Some(Value::Null) => Some(default.quorum),
                Some(Value::String(text)) => text.parse::<Quorum>().ok(),
                Some(Value::Number(number)) => number.to_string().parse().ok(),
                Some(_) => None,
            };
            if quorum.is_none() {
                parts.error("quorum", NotAQuorum.to_string());
            }
            let deadline = parts.duration("deadline").unwrap_or(default.deadline);
            fields.leave(parts);
            Publish::Together(Together { quorum: quorum.unwrap_or(default.quorum), deadline })
        }
        Some(_) => {
            let expected = "must be \"each\", \"together\", or an object with `quorum` and `deadline`";
            fields.error("publish", expected);
            Publish::Each
        }
    }
}
