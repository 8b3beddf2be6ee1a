//! Which projects a plugin is asked about: a name, a pattern of names, or a label.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use glob::Pattern;
use scheduler::ProjectId;

/// `debian`, `debian*`, `label:tier=1` or `label:tier`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectPattern {
    /// Projects whose id matches.
    Name(Pattern),
    /// Projects with this label, and this value of it where one is given.
    Label(String, Option<String>),
}

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` {why}: give a project's id, a pattern such as `debian*`, or `label:tier=1`")]
pub struct ProjectPatternError {
    /// What was given.
    pub pattern: String,
    /// Why it cannot be.
    pub why: String,
}

impl ProjectPattern {
    /// Whether it means this project.
    #[must_use]
    pub fn matches(&self, id: &ProjectId, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Name(pattern) => pattern.matches(id.as_str()),
            Self::Label(key, None) => labels.contains_key(key),
            Self::Label(key, Some(value)) => labels.get(key) == Some(value),
        }
    }
}

impl FromStr for ProjectPattern {
    type Err = ProjectPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| ProjectPatternError { pattern: text.to_owned(), why: why.to_owned() };
        if let Some(label) = text.strip_prefix("label:") {
            let (key, value) = label.split_once('=').map_or((label, None), |(key, value)| (key, Some(value)));
            if key.is_empty() {
                return Err(wrong("names no label"));
            }
            return Ok(Self::Label(key.to_owned(), value.map(str::to_owned)));
        }
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        let of_a_name = |c: char| c.is_ascii_alphanumeric() || "._+-*?[]!".contains(c);
        if let Some(c) = text.chars().find(|c| !of_a_name(*c)) {
            return Err(wrong(&format!("holds `{c}`, which no project's id has")));
        }
        let pattern = Pattern::new(text).map_err(|error| wrong(&format!("is no pattern ({})", error.msg)))?;
        Ok(Self::Name(pattern))
    }
}

impl fmt::Display for ProjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => f.write_str(pattern.as_str()),
            Self::Label(key, None) => write!(f, "label:{key}"),
            Self::Label(key, Some(value)) => write!(f, "label:{key}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_patterns_and_labels_find_their_projects() {
        let labels = BTreeMap::from([("tier".to_owned(), "1".to_owned())]);
        let id: ProjectId = "debian-security".parse().unwrap();
        let matches = |text: &str| text.parse::<ProjectPattern>().unwrap().matches(&id, &labels);
        for yes in ["debian-security", "debian*", "*", "debian-[rs]ecurity", "label:tier", "label:tier=1"] {
            assert!(matches(yes), "{yes} missed");
        }
        for no in ["debian", "ubuntu*", "label:tier=2", "label:site"] {
            assert!(!matches(no), "{no} matched");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for text in ["", "label:", "label:=1", "tag:x", "debian/*", "[a", "***"] {
            let error = text.parse::<ProjectPattern>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` ")), "{error}");
        }
    }

    #[test]
    fn a_pattern_prints_as_it_was_written() {
        for text in ["debian*", "label:tier", "label:tier=1"] {
            assert_eq!(text.parse::<ProjectPattern>().unwrap().to_string(), text);
        }
    }
}
