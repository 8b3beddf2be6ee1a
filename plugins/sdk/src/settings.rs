//! What the operator set for this plugin, and for this project.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::host::config;
use crate::{Error, Result};

/// The plugin's settings: the configuration's, with the project's own over them. Never secrets.
///
/// Every reading method names the setting in its error, so that the operator knows what to change.
///
/// ```
/// use std::time::Duration;
/// use heliostat_plugin::Settings;
///
/// let settings = Settings::from_iter([("max_age", "1d 12h"), ("mode", "veto")]);
/// assert_eq!(settings.duration("max_age").unwrap(), Some(Duration::from_secs(36 * 3600)));
/// assert_eq!(settings.one_of("mode", &[("skip", 1), ("veto", 2)]).unwrap(), Some(2));
/// assert_eq!(settings.get("missing"), None);
/// let error = settings.only(&["max_age", "modes"]).unwrap_err();
/// assert_eq!(error.to_string(), "there is no setting `mode` (there are `max_age`, `modes`)");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What the operator set, for the call that is going on.
    #[must_use]
    pub fn load() -> Self {
        config::keys().into_iter().filter_map(|key| config::get(&key).map(|value| (key, value))).collect()
    }

    /// The setting as it was written; an empty one counts as not there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The setting as it was written, or an error that names it.
    pub fn required(&self, key: &str) -> Result<&str> {
        self.get(key).ok_or_else(|| Error::new(format_args!("the setting `{key}` is missing")))
    }

    /// A number, a truth value, or anything else that can be read from text.
    pub fn parse<T>(&self, key: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let read = |value: &str| {
            value
                .parse()
                .map_err(|error| Error::new(format_args!("the setting `{key}` is `{value}`: {error}")))
        };
        self.get(key).map(read).transpose()
    }

    /// A length of time, written as everywhere in Heliostat: `90s`, `10m`, `6h`, `1d 12h`.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>> {
        let read = |value: &str| {
            humantime::parse_duration(value).map_err(|error| {
                Error::new(format_args!(
                    "the setting `{key}` is `{value}`: {error}; write a time such as `90s`, `10m` or `6h`"
                ))
            })
        };
        self.get(key).map(read).transpose()
    }

    /// One of some words, each with what it means.
    pub fn one_of<T: Clone>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value) {
            return Ok(Some(meaning.clone()));
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(Error::new(format_args!(
            "the setting `{key}` is `{value}`: it must be one of {}",
            quoted(&words)
        )))
    }

    /// The parts of a list that was written with commas between them.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<&str> {
        let parts = self.get(key).unwrap_or_default().split(',');
        parts.map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// Refuses settings that the plugin does not know: a misspelt one should not pass in silence.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(Error::new(format_args!("there is no setting `{key}` (there are {})", quoted(known))))
            }
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Self(values.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named_with_what_would_be_right() {
        let settings = Settings::from_iter([("age", "soon"), ("count", "-1"), ("mode", "x"), ("empty", " ")]);
        let age = settings.duration("age").unwrap_err().to_string();
        assert!(
            age.starts_with("the setting `age` is `soon`: ") && age.ends_with("`90s`, `10m` or `6h`"),
            "{age}"
        );
        let count = settings.parse::<u32>("count").unwrap_err().to_string();
        assert_eq!(count, "the setting `count` is `-1`: invalid digit found in string");
        let mode = settings.one_of("mode", &[("skip", 1), ("veto", 2)]).unwrap_err().to_string();
        assert_eq!(mode, "the setting `mode` is `x`: it must be one of `skip`, `veto`");
        assert_eq!(settings.required("empty").unwrap_err().to_string(), "the setting `empty` is missing");
    }

    #[test]
    fn lists_have_commas_and_no_empty_parts() {
        let settings = Settings::from_iter([("hosts", "a, b,,c ,")]);
        assert_eq!(settings.list("hosts"), ["a", "b", "c"]);
        assert!(settings.list("none").is_empty());
    }
}
