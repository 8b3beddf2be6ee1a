//! Two rsyncs instead of one, for trees whose index must not run ahead of its files.
//!
//! The first brings everything but the index, and deletes nothing but a folder where a file or a link has to stand. Only
//! when it ended well, the second brings the whole tree, puts what is new in place together (`--delay-updates`), and
//! deletes at the end. So an index never names a file that is not there yet, or not there any more. One guardian runs both
//! and holds the destination's lock all the time.

use std::ffi::OsString;

use super::args::arguments;
use super::options::{Options, is_pattern};
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

/// The arguments of the first stage; none: there is one rsync only. A list of paths is looked at in one go, and a rehearsal
/// is that of the last stage, which is all that deletes.
pub(crate) fn first(attempt: &Attempt) -> Option<Vec<OsString>> {
    let stages = attempt.stages.as_ref().filter(|_| attempt.options.list().is_none())?;
    if attempt.options.is_rehearsal() {
        return None;
    }
    let mut options = attempt.options.clone();
    // What stands in the way of a new file or link goes now, or this stage, and so the other one, would never end well.
    let make_way = options.deletes().then(|| "--force".to_owned());
    options.delete_nothing();
    // Hidden, and not excluded: an exclusion would also keep the index of a folder that has to make way.
    let index = stages.index.iter().map(|pattern| format!("--filter=H {pattern}"));
    options.edits_mut().rules.splice(0..0, stages.rules().chain(index).chain(make_way));
    Some(line(attempt, &options))
}

/// The arguments of the last stage, or of the only rsync.
pub(crate) fn last(attempt: &Attempt) -> Vec<OsString> {
    let Some(stages) = attempt.stages.as_ref().filter(|_| attempt.options.list().is_none()) else {
        return line(attempt, &attempt.options);
    };
    let mut options = attempt.options.clone();
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

    #[test]
    fn only_the_last_stage_has_the_index_and_deletes_what_is_not_in_the_way() {
        let stages = Stages::new(vec!["Release".to_owned()]).unwrap().with_ours("/mine".to_owned());
        let attempt = Attempt {
            source: "rsync://h/m".parse().unwrap(),
            command: None,
            password: None,
            dest: "/d".into(),
            options: Options::default(),
            limits: crate::Limits::default(),
            time_limit: None,
            stall: None,
            unclean_since: None,
            stages: Some(stages),
        };
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

    #[test]
    fn what_is_no_pattern_is_refused_by_its_number() {
        let wrong = |patterns: &[&str]| Stages::new(patterns.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(wrong(&[]).unwrap_err().0, 0);
        assert_eq!(wrong(&["a", ""]).unwrap_err().0, 1);
        assert_eq!(wrong(&["a", "b\nc"]).unwrap_err().0, 1);
    }
}
