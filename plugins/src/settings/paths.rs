//! Which paths below a destination a plugin may reach.

use std::fmt;
use std::str::FromStr;

use glob::{MatchOptions, Pattern};

/// A pattern of relative paths: `*` stays within one folder, `**` goes through folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathGrant(Pattern);

/// A pattern that cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{pattern}` {why}: give a path below the destination, such as `project/trace/*` or `dists/**/Release`"
)]
pub struct PathGrantError {
    /// What was given.
    pub pattern: String,
    /// Why it cannot be.
    pub why: String,
}

impl PathGrant {
    /// Whether it covers this path, which has no `.` and no `..`.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        self.0.matches_with(path, options)
    }

    /// Whether anything in this folder can be covered; the empty path is the destination itself.
    #[must_use]
    pub fn reaches_into(&self, folder: &str) -> bool {
        let mut parts = self.0.as_str().split('/');
        for name in folder.split('/').filter(|name| !name.is_empty()) {
            match parts.next() {
                Some("**") => return true,
                Some(part) if Pattern::new(part).is_ok_and(|part| part.matches(name)) => {}
                _ => return false,
            }
        }
        parts.next().is_some()
    }
}

impl FromStr for PathGrant {
    type Err = PathGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| PathGrantError { pattern: text.to_owned(), why };
        if text.starts_with('/') {
            return Err(wrong("begins with `/`".to_owned()));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(wrong("has an empty part, `.` or `..`".to_owned()));
        }
        let pattern = Pattern::new(text).map_err(|error| wrong(format!("is no pattern ({})", error.msg)))?;
        Ok(Self(pattern))
    }
}

impl fmt::Display for PathGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_its_folder() {
        let covers = |grant: &str, path: &str| grant.parse::<PathGrant>().unwrap().covers(path);
        assert!(covers("project/trace/*", "project/trace/ftp.example.org"));
        assert!(!covers("project/trace/*", "project/trace/a/b"));
        assert!(covers("project/**", "project/trace/a/b"));
        assert!(covers("dists/**/Release", "dists/sid/Release"));
        assert!(!covers("dists/**/Release", "dists/sid/Release.gpg"));
        assert!(covers("Release", "Release") && !covers("Release", "dists/Release"));
    }

    #[test]
    fn a_folder_is_open_when_something_in_it_is() {
        let reaches = |grant: &str, folder: &str| grant.parse::<PathGrant>().unwrap().reaches_into(folder);
        assert!(reaches("project/trace/*", "project/trace") && reaches("project/trace/*", ""));
        assert!(
            !reaches("project/trace/*", "project/other") && !reaches("project/trace/*", "project/trace/a")
        );
        assert!(reaches("dists/**/Release", "dists/sid/main") && reaches("d*/x", "dists"));
    }

    #[test]
    fn paths_that_could_lead_out_are_refused() {
        for text in ["/etc/*", "../x", "a/../b", "a//b", "", "a/[", "a/***"] {
            assert!(text.parse::<PathGrant>().is_err(), "{text} was taken");
        }
    }
}
