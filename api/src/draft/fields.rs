//! Taking a JSON object apart field by field, and noting everything that is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::text::{self, LONGEST_TEXT};
use serde_json::{Map, Value};

use crate::problem::FieldError;

/// The shortest and the longest duration that a field takes.
const SECONDS: std::ops::RangeInclusive<f64> = 1.0..=31_536_000.0;

/// One object, and what was found wrong in it so far.
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    prefix: String,
    asked: BTreeSet<String>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// The outermost object.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self::new(value, String::new())
    }

    fn new(value: &'a Value, prefix: String) -> Self {
        let mut fields =
            Self { object: value.as_object(), prefix, asked: BTreeSet::new(), errors: Vec::new() };
        if fields.object.is_none() {
            let field = fields.prefix.trim_end_matches('.').to_owned();
            fields.errors.push(FieldError::new(field, "must be an object"));
        }
        fields
    }

    /// The object inside a field; give it back with [`Fields::leave`].
    pub(crate) fn inside(&self, key: &str, value: &'a Value) -> Self {
        Self::new(value, format!("{}{key}.", self.prefix))
    }

    /// Takes over what was found in an inner object.
    pub(crate) fn leave(&mut self, inner: Self) {
        self.errors.extend(inner.finish());
    }

    /// Notes that something is wrong with a field of this object.
    pub(crate) fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(format!("{}{key}", self.prefix), message));
    }

    /// A field as it stands.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a Value> {
        self.asked.insert(key.to_owned());
        self.object?.get(key)
    }

    fn given(&mut self, key: &str) -> Option<&'a Value> {
        self.take(key).filter(|value| !value.is_null())
    }

    /// A text that may be missing.
    pub(crate) fn text(&mut self, key: &str, longest: usize) -> Option<String> {
        let value = self.given(key)?;
        match value.as_str() {
            Some(text) => match text::check(text, longest) {
                Ok(()) => return Some(text.to_owned()),
                Err(error) => self.error(key, error.to_string()),
            },
            None => self.error(key, format!("must be a text, not {}", kind(value))),
        }
        None
    }

    /// A text that is looked at, and read later.
    pub(crate) fn peek_text(&self, key: &str) -> Option<String> {
        self.object?.get(key)?.as_str().map(str::to_owned)
    }

    /// Whether a field is there at all.
    pub(crate) fn given_text(&self, key: &str) -> bool {
        self.object.is_some_and(|object| object.get(key).is_some_and(|value| !value.is_null()))
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, key: &str) -> Option<String> {
        if self.given(key).is_none() || self.peek_text(key).is_some_and(|text| text.is_empty()) {
            self.error(key, "is missing");
            return None;
        }
        self.text(key, 4096)
    }

    /// A list of texts that may be missing.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.given(key)?;
        let texts = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        let Some(texts) = texts else {
            self.error(key, "must be a list of texts");
            return None;
        };
        for (number, text) in texts.iter().enumerate() {
            if let Err(error) = text::check(text, LONGEST_TEXT) {
                self.error(&format!("{key}[{number}]"), error.to_string());
            }
        }
        Some(texts)
    }

    /// A truth value that may be missing.
    pub(crate) fn bool(&mut self, key: &str) -> Option<bool> {
        let value = self.given(key)?;
        if !value.is_boolean() {
            self.error(key, format!("must be true or false, not {}", kind(value)));
        }
        value.as_bool()
    }

    /// A whole number within bounds that may be missing.
    pub(crate) fn integer(&mut self, key: &str, least: i64, most: i64) -> Option<i64> {
        let value = self.given(key)?;
        match value.as_i64() {
            Some(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.error(key, format!("must be a whole number from {least} to {most}, not {value}"));
                None
            }
        }
    }

    /// A duration that may be missing: seconds as a number, or a text such as `30m`.
    pub(crate) fn duration(&mut self, key: &str) -> Option<Duration> {
        let value = self.given(key)?;
        let duration = duration(value).filter(|duration| SECONDS.contains(&duration.as_secs_f64()));
        if duration.is_none() {
            self.error(
                key,
                "must be seconds, or a text with its unit such as \"30m\", from one second to a year",
            );
        }
        duration
    }

    /// An object that may be missing.
    pub(crate) fn object(&mut self, key: &str) -> Option<&'a Map<String, Value>> {
        let value = self.given(key)?;
        if !value.is_object() {
            self.error(key, format!("must be an object, not {}", kind(value)));
        }
        value.as_object()
    }

    /// Fields that may be there and mean nothing here.
    pub(crate) fn pass_over(&mut self, keys: &[&str]) {
        self.asked.extend(keys.iter().map(|key| (*key).to_owned()));
    }

    /// Everything that is wrong, unknown fields included.
    pub(crate) fn finish(mut self) -> Vec<FieldError> {
        let unknown = self.object.into_iter().flat_map(Map::keys).filter(|key| !self.asked.contains(*key));
        let unknown: Vec<_> = unknown.map(|key| (key.clone(), nearest(key, &self.asked))).collect();
        for (key, near) in unknown {
            let hint = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            self.error(&key, format!("is not known{hint}"));
        }
        self.errors
    }
}

/// Seconds as a number, or a text such as `30m`.
pub(crate) fn duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(number) => Duration::try_from_secs_f64(number.as_f64()?).ok(),
        Value::String(text) => humantime::parse_duration(text).ok(),
        _ => None,
    }
}

fn nearest(key: &str, known: &BTreeSet<String>) -> Option<String> {
    let distance = |other: &&String| strsim::damerau_levenshtein(key, other);
    known.iter().min_by_key(distance).filter(|near| distance(near) <= 2).cloned()
}

/// A value's kind in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
