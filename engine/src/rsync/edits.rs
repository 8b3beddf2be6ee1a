//! Changes to one attempt that hooks may ask for: a closed set of typed edits, never raw arguments.
//!
//! Each is checked here, whoever made it, and bounds can only be tightened: the lower bandwidth and the lower number
//! of deletions hold.

use super::args::Limits;
use super::options::{DeleteMode, Options, is_pattern};

/// One change to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Leave out what matches this pattern, as `--exclude` does; it goes before the project's own rules.
    Exclude(String),
    /// Take what matches this pattern, as `--include` does; it goes before the project's own rules.
    Include(String),
    /// At most so many KiB per second.
    BwlimitKib(u32),
    /// The connection may be silent for so many seconds.
    TimeoutSecs(u32),
    /// At most so many deletions.
    MaxDelete(u32),
    /// Delete nothing.
    NoDelete,
    /// Delete only when everything has come.
    DeleteAfter,
}

/// An edit that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{edit}: {why}")]
pub struct EditError {
    /// Which one, in the words of the contract.
    pub edit: &'static str,
    /// Why not.
    pub why: String,
}

/// The most filter rules that edits may add to one attempt.
const MAX_RULES: usize = 1000;
/// The longest pattern.
const MAX_PATTERN: usize = 1024;

/// What edits have made of an attempt's options: see [`Options::edits`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edits {
    /// Filter rules as rsync takes them, in their order.
    pub(super) rules: Vec<String>,
    /// The connection's time limit, in seconds.
    pub(super) timeout: Option<u32>,
    /// Whether deletions wait for the end.
    pub(super) delete_after: bool,
}

/// Makes one edit.
pub(crate) fn apply(edit: &Edit, options: &mut Options, limits: &mut Limits) -> Result<(), EditError> {
    match edit {
        Edit::Exclude(pattern) => rule(options, "add-exclude", "--exclude=", pattern)?,
        Edit::Include(pattern) => rule(options, "add-include", "--include=", pattern)?,
        Edit::BwlimitKib(0) => return Err(wrong("bwlimit-kib", "0 would be no bound: give 1 or more")),
        Edit::BwlimitKib(kib) => {
            let kib = u64::from(*kib);
            limits.bwlimit_kib =
                Some(limits.bwlimit_kib.filter(|ours| *ours > 0).map_or(kib, |ours| ours.min(kib)));
        }
        Edit::TimeoutSecs(seconds @ 1..=86_400) => options.edits_mut().timeout = Some(*seconds),
        Edit::TimeoutSecs(_) => return Err(wrong("timeout-secs", "give 1 to 86400 seconds")),
        Edit::MaxDelete(count) => limits.max_delete = limits.max_delete.min(u64::from(*count)),
        Edit::NoDelete => options.delete_nothing(),
        Edit::DeleteAfter => options.edits_mut().delete_after = true,
    }
    Ok(())
}

fn rule(options: &mut Options, edit: &'static str, option: &str, pattern: &str) -> Result<(), EditError> {
    if pattern.len() > MAX_PATTERN {
        return Err(wrong(edit, &format!("the pattern is longer than {MAX_PATTERN} bytes")));
    }
    if pattern.chars().any(char::is_control) {
        return Err(wrong(edit, "the pattern holds a control character"));
    }
    is_pattern(pattern).map_err(|why| wrong(edit, why))?;
    let rules = &mut options.edits_mut().rules;
    if rules.len() == MAX_RULES {
        return Err(wrong(edit, &format!("{MAX_RULES} rules are the most")));
    }
    rules.push(format!("{option}{pattern}"));
    Ok(())
}

fn wrong(edit: &'static str, why: &str) -> EditError {
    EditError { edit, why: why.to_owned() }
}

/// How an attempt deletes when its deletions are to wait for the end. rsync takes one time to delete only, and
/// `--delete-excluded` is none.
pub(super) fn deleting(mode: DeleteMode, after: bool) -> Vec<String> {
    let after_all = DeleteMode::After.to_string();
    match mode {
        _ if !after => vec![mode.to_string()],
        DeleteMode::Excluded => vec![mode.to_string(), after_all],
        DeleteMode::MissingArgs => vec![mode.to_string()],
        _ => vec![after_all],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(edits: &[Edit]) -> Result<(Options, Limits), EditError> {
        let (mut options, mut limits) = (Options::default(), Limits::default());
        for edit in edits {
            apply(edit, &mut options, &mut limits)?;
        }
        Ok((options, limits))
    }

    #[test]
    fn bounds_are_only_ever_tightened() {
        let (_, limits) = made(&[
            Edit::MaxDelete(7),
            Edit::MaxDelete(u32::MAX),
            Edit::BwlimitKib(50),
            Edit::BwlimitKib(500),
        ])
        .unwrap();
        assert_eq!((limits.max_delete, limits.bwlimit_kib), (7, Some(50)));
    }

    #[test]
    fn what_could_be_more_than_a_pattern_or_no_bound_is_refused() {
        let bad = [
            Edit::Exclude("a\nb".to_owned()),
            Edit::Exclude(String::new()),
            Edit::Include("- x".to_owned()),
            Edit::Include("!".to_owned()),
            Edit::Exclude("x".repeat(2000)),
            Edit::BwlimitKib(0),
            Edit::TimeoutSecs(0),
            Edit::TimeoutSecs(90_000),
        ];
        for edit in bad {
            assert!(made(std::slice::from_ref(&edit)).is_err(), "{edit:?} was taken");
        }
        assert!(made(&vec![Edit::Exclude("x".to_owned()); MAX_RULES + 1]).is_err());
    }

    #[test]
    fn deletions_that_are_to_wait_keep_their_rule() {
        assert_eq!(deleting(DeleteMode::During, true), ["--delete-after"]);
        assert_eq!(deleting(DeleteMode::Excluded, true), ["--delete-excluded", "--delete-after"]);
        assert_eq!(deleting(DeleteMode::During, false), ["--delete-during"]);
    }
}
