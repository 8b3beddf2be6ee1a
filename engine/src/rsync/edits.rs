//! Changes to one attempt that hooks may ask for: a closed set of typed edits, never raw arguments.
//!
//! Each is checked here, whoever made it, and can only narrow what the project has set: the lower bandwidth, time-out
//! and number of deletions hold, and a path comes only if the project's rules and those of the edits let it.

use super::args::{Limits, whole_seconds};
use super::options::{DeleteMode, Options, is_pattern};
use crate::text;

/// One change to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Leave out what matches this pattern, as `--exclude` does, and never delete it.
    Exclude(String),
    /// Take what matches this pattern, as `--include` does, though a later edit excludes it. What the project's own rules
    /// leave out stays out.
    Include(String),
    /// At most so many KiB per second.
    BwlimitKib(u32),
    /// The connection may be silent for so many seconds, and no longer than the project lets it.
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
    /// The engine's own filter rules as rsync takes them, in their order; they go before all others.
    pub(super) rules: Vec<String>,
    /// The filter rules of hooks, likewise.
    pub(super) hook_rules: Vec<String>,
    /// Whether the hooks' rules go behind the project's, which then are exclusions alone.
    pub(super) is_behind: bool,
    /// The connection's time limit, in seconds.
    pub(super) timeout: Option<u64>,
    /// Whether deletions wait for the end.
    pub(super) delete_after: bool,
}

/// Makes one edit.
pub(crate) fn apply(edit: &Edit, options: &mut Options, limits: &mut Limits) -> Result<(), EditError> {
    match edit {
        Edit::Exclude(pattern) => exclude(options, pattern)?,
        Edit::Include(pattern) => include(options, pattern)?,
        Edit::BwlimitKib(0) => return Err(wrong("bwlimit-kib", "0 would be no bound: give 1 or more")),
        Edit::BwlimitKib(kib) => {
            let kib = u64::from(*kib);
            limits.bwlimit_kib =
                Some(limits.bwlimit_kib.filter(|ours| *ours > 0).map_or(kib, |ours| ours.min(kib)));
        }
        Edit::TimeoutSecs(seconds @ 1..=86_400) => {
            let bound = options.facts().timeout.unwrap_or_else(|| whole_seconds(limits.io_timeout));
            let edits = options.edits_mut();
            edits.timeout = Some(edits.timeout.unwrap_or(bound).min(u64::from(*seconds)));
        }
        Edit::TimeoutSecs(_) => return Err(wrong("timeout-secs", "give 1 to 86400 seconds")),
        Edit::MaxDelete(count) => limits.max_delete = limits.max_delete.min(u64::from(*count)),
        Edit::NoDelete => options.delete_nothing(),
        Edit::DeleteAfter => options.edits_mut().delete_after = true,
    }
    Ok(())
}

/// Leaves out what matches.
fn exclude(options: &mut Options, pattern: &str) -> Result<(), EditError> {
    check_rule(options, "add-exclude", pattern)?;

    // An exclusion alone would have `--delete-excluded` delete what matches.
    let deletes_excluded = options.delete() == Some(DeleteMode::Excluded);
    let protection = deletes_excluded.then(|| format!("--filter=P {pattern}"));
    let rules = &mut options.edits_mut().hook_rules;
    rules.extend(protection.into_iter().chain([format!("--exclude={pattern}")]));
    Ok(())
}

/// Takes what matches, though a later rule of hooks excludes it.
///
/// The first rule that matches decides, so where both sides only exclude, the order is all the same. Behind exclusions of
/// the project, any list of hooks narrows; behind inclusions it would not count, and before them it would widen.
fn include(options: &mut Options, pattern: &str) -> Result<(), EditError> {
    let edit = "add-include";
    check_rule(options, edit, pattern)?;
    if options.facts().includes {
        let why = "the project's own --include goes before it: exclude what is not to come instead";
        return Err(wrong(edit, why));
    }

    let edits = options.edits_mut();
    edits.is_behind = true;
    edits.hook_rules.push(format!("--include={pattern}"));
    Ok(())
}

/// Checks that a pattern is one, and that there is room for its rule.
fn check_rule(options: &Options, edit: &'static str, pattern: &str) -> Result<(), EditError> {
    if pattern.len() > MAX_PATTERN {
        return Err(wrong(edit, &format!("the pattern is longer than {MAX_PATTERN} bytes")));
    }
    if !text::is_plain(pattern) {
        return Err(wrong(edit, "the pattern contains a control character"));
    }
    is_pattern(pattern).map_err(|why| wrong(edit, why))?;
    if options.edits().hook_rules.len() >= MAX_RULES {
        return Err(wrong(edit, &format!("{MAX_RULES} rules are the most")));
    }
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
mod tests;
