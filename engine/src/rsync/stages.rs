//! Two rsyncs instead of one, for trees whose index must not run ahead of its files.
//!
//! The first brings everything but the index, and deletes nothing but a folder where a file or a link has to stand. Only
//! when it ended well, the second brings the whole tree, puts what is new in place together (`--delay-updates`), and
//! deletes at the end. So an index never names a file that is not there yet, or not there any more. One guardian runs both
//! and holds the destination's lock all the time.

use std::ffi::OsString;

use super::args::arguments;
use super::options::{Options, Scope, is_pattern};
use crate::attempt::Attempt;

/// What the two stages need to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stages {
    /// Patterns, as for `--exclude`, of what the first stage leaves out.
    index: Vec<String>,
    /// Paths in the destination that are written here: the upstream's are not taken, and these are not deleted.
    ours: Vec<String>,
}

/// The most patterns.
const MAX_PATTERNS: usize = 100;

impl Stages {
    /// Checks and keeps the patterns.
    ///
    /// # Errors
    /// The number of a pattern that is none, and why.
    pub fn new(index: Vec<String>) -> Result<Self, (usize, String)> {
        if index.is_empty() || index.len() > MAX_PATTERNS {
            return Err((0, format!("needs 1 to {MAX_PATTERNS} patterns of what belongs to the index")));
        }
        for (number, pattern) in index.iter().enumerate() {
            let plain = !pattern.is_empty() && !pattern.chars().any(char::is_control);
            is_pattern(pattern).map_err(|why| (number, why.to_owned()))?;
            if !plain {
                return Err((number, "must be a pattern as for --exclude".to_owned()));
            }
        }
        Ok(Self { index, ours: Vec::new() })
    }

    /// The patterns of what the first stage leaves out.
    #[must_use]
    pub fn index(&self) -> &[String] {
        &self.index
    }

    /// The same, with a path from the root of the destination that is written here.
    #[must_use]
    pub fn with_ours(mut self, path: String) -> Self {
        self.ours.push(path);
        self
    }

    /// What stands before all other rules: excluded on the way, and protected even from `--delete-excluded`.
    fn rules(&self) -> impl Iterator<Item = String> {
        self.ours.iter().flat_map(|path| [format!("--filter=P {path}"), format!("--exclude={path}")])
    }
}

/// The arguments of the first of two rsyncs; none: there is one only. A rehearsal is that of the last one, which is all that
/// deletes. A list that somebody has chosen is looked at in one go; one that a rehearsal has named takes two where its
/// deletions are to come last, since rsync deletes by a list on the way.
pub(crate) fn first(attempt: &Attempt) -> Option<Vec<OsString>> {
    if attempt.options.is_rehearsal() {
        return None;
    }
    let mut options = attempt.options.clone();
    // What stands in the way of a new file or link goes now, or this rsync, and so the other one, would never end well.
    let make_way = options.deletes().then(|| "--force".to_owned());
    let deletes_last = options.deletes_last();
    options.delete_nothing();
    match (options.scope(), &attempt.stages) {
        (Scope::Whole | Scope::Rehearsed(_), Some(stages)) => {
            // Hidden, and not excluded: an exclusion would also keep the index of a folder that has to make way.
            let index = stages.index.iter().map(|pattern| format!("--filter=H {pattern}"));
            options.edits_mut().rules.splice(0..0, stages.rules().chain(index).chain(make_way));
        }
        (Scope::Rehearsed(_), None) if deletes_last => options.edits_mut().rules.extend(make_way),
        _ => return None,
    }
    Some(line(attempt, &options))
}

/// The arguments of the last rsync, or of the only one. Of two stages, the last looks at the whole tree: only then is all
/// that is new put in place together, and what is gone deleted behind it.
pub(crate) fn last(attempt: &Attempt) -> Vec<OsString> {
    let stages = attempt.stages.as_ref();
    let Some(stages) = stages.filter(|_| !matches!(attempt.options.scope(), Scope::Chosen(_))) else {
        return line(attempt, &attempt.options);
    };
    let mut options = attempt.options.clone().on_all();
    let edits = options.edits_mut();
    edits.delete_after = true;
    edits.rules.splice(0..0, stages.rules().chain(["--delay-updates".to_owned()]));
    line(attempt, &options)
}

fn line(attempt: &Attempt, options: &Options) -> Vec<OsString> {
    arguments(&attempt.source, &attempt.dest, options, &attempt.limits, attempt.password.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt::trial(std::path::Path::new("/d"))
    }

    #[test]
    fn only_the_last_stage_has_the_index_and_deletes_what_is_not_in_the_way() {
        let stages = Stages::new(vec!["Release".to_owned()]).unwrap().with_ours("/mine".to_owned());
        let attempt = Attempt { stages: Some(stages), ..attempt() };
        let has = |line: &[OsString], word: &str| line.iter().any(|argument| argument == word);
        let (first, last) = (first(&attempt).unwrap(), last(&attempt));
        for (word, in_first, in_last) in [
            ("--filter=H Release", true, false),
            ("--force", true, false),
            ("--delay-updates", false, true),
            ("--delete-after", false, true),
            ("--delete", false, false),
            ("--exclude=/mine", true, true),
            ("--filter=P /mine", true, true),
        ] {
            assert_eq!((has(&first, word), has(&last, word)), (in_first, in_last), "{word}");
        }
        let mut keeps = attempt.clone();
        keeps.options.delete_nothing();
        assert!(!has(&super::first(&keeps).unwrap(), "--force"), "who deletes nothing makes no way");
        let narrow = Attempt { options: attempt.options.clone().only("/list".to_owned()), ..attempt };
        assert!(super::first(&narrow).is_none() && !has(&super::last(&narrow), "--delay-updates"));
    }

    /// What both rsyncs of an attempt at a list say.
    fn listed(delete: &str, deletions: bool, stages: Option<Stages>) -> Option<(Option<String>, String)> {
        let options = Options::new(&["-rlt".to_owned()], &[], delete).unwrap();
        let attempt =
            Attempt { options: options.rehearsed("/list".to_owned(), deletions)?, stages, ..attempt() };
        let text = |line: Vec<OsString>| line.join(&OsString::from(" ")).into_string().unwrap();
        Some((first(&attempt).map(text), text(last(&attempt))))
    }

    #[test]
    fn what_a_rehearsal_named_is_done_in_the_order_that_the_options_ask_for() {
        let (by_list, gone) = ("--files-from=/list --from0 --no-recursive", "--delete-missing-args");
        for mode in ["--delete", "--delete-during"] {
            let (first, only) = listed(mode, true, None).unwrap();
            assert!(first.is_none() && only.contains(by_list) && only.contains(gone), "{mode}: {only}");
        }
        for mode in ["--delete-after", "--delete-delay"] {
            let (first, last) = listed(mode, true, None).unwrap();
            let first = first.unwrap();
            assert!(first.contains(by_list) && !first.contains(gone) && first.contains("--force"), "{first}");
            assert!(last.contains(by_list) && last.contains(gone) && !last.contains(mode), "{last}");
        }
        for mode in ["--delete-before", "--delete-excluded", "--delete-missing-args"] {
            assert!(listed(mode, true, None).is_none(), "{mode} cannot be done by a list");
        }
        for mode in ["", "--delete", "--delete-before", "--delete-excluded", "--delete-after"] {
            let (first, only) = listed(mode, false, None).unwrap();
            assert!(first.is_none() && only.contains("--ignore-missing-args"), "{mode}: {only}");
            assert!(!only.contains(" --delete") && !only.contains("--force"), "{mode}: {only}");
        }
    }

    #[test]
    fn of_two_stages_only_the_first_goes_by_the_list() {
        let stages = Stages::new(vec!["Release".to_owned()]).unwrap();
        let (first, last) = listed("--delete", true, Some(stages)).unwrap();
        let first = first.unwrap();
        assert!(first.contains("--files-from=/list") && first.contains("--filter=H Release"), "{first}");
        assert!(first.contains("--ignore-missing-args") && !first.contains("--delete"), "{first}");
        assert!(last.contains("--delete-after") && !last.contains("--files-from"), "{last}");
    }

    #[test]
    fn what_is_no_pattern_is_refused_by_its_number() {
        let wrong = |patterns: &[&str]| Stages::new(patterns.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(wrong(&[]).unwrap_err().0, 0);
        assert_eq!(wrong(&["a", ""]).unwrap_err().0, 1);
        assert_eq!(wrong(&["a", "b\nc"]).unwrap_err().0, 1);
    }
}
