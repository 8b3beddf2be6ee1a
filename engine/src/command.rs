//! A program of the site that brings a tree in rsync's place: what is started, and what its end means.
//!
//! It runs under the same supervision as rsync: behind the destination's lock, in a group of its own, with the same
//! time-outs and the same end. What it changes is not known; so nothing here counts paths.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use bytesize::ByteSize;
use regex::bytes::Regex;

use crate::rsync::args::shown;
use crate::rsync::exit::{Class, Exit, Judgement, explain_end, is_over};
use crate::rsync::messages::Findings;
use crate::rsync::stats::Stats;
use crate::secret::Secret;
use crate::text::escaped;

/// A program with all that it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program, by its whole path.
    pub program: PathBuf,
    /// Its arguments. They are seen by every user of the machine.
    pub arguments: Vec<String>,
    /// What is added to its environment, secrets among it.
    pub environment: Vec<(String, Secret)>,
    /// The exit codes that mean that all is well.
    pub success: Vec<i32>,
    /// A line of its output that matches means that it failed, whatever its exit code.
    pub fail_on: Option<Pattern>,
    /// The line that tells the size of the tree: the first group, else the whole match, is read as a size.
    pub size: Option<Pattern>,
}

impl Command {
    /// As a person would type it; its environment, where secrets may be, is left out.
    #[must_use]
    pub fn shown(&self) -> String {
        let arguments: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        shown(&self.program, &arguments)
    }
}

/// A regular expression that is compared by its text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|error| error.to_string())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads what a command prints.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    command: &'a Command,
    failure: Option<String>,
    /// Whether it said, as the C library does, that the disk or a quota is full.
    full: bool,
    size: Option<u64>,
}

/// How `strerror` tells of `ENOSPC` and `EDQUOT`.
const FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

impl<'a> Scan<'a> {
    pub(crate) fn new(command: &'a Command) -> Self {
        Self { command, failure: None, full: false, size: None }
    }

    /// Takes a line of either stream.
    pub(crate) fn line(&mut self, line: &[u8]) {
        self.full |= FULL.iter().any(|text| memchr::memmem::find(line, text.as_bytes()).is_some());
        if self.failure.is_none() && self.command.fail_on.as_ref().is_some_and(|it| it.0.is_match(line)) {
            self.failure = Some(escaped(line));
        }
        if let Some(found) = self.command.size.as_ref().and_then(|pattern| pattern.0.captures(line)) {
            let text = found.get(1).or_else(|| found.get(0)).map_or(&[][..], |found| found.as_bytes());
            // The newest counts: what is printed before is on its way.
            self.size = size(&String::from_utf8_lossy(text)).or(self.size);
        }
    }

    /// What is known of the tree; nothing, where it did not say.
    pub(crate) fn stats(&self) -> Option<Stats> {
        self.size.map(|total_size| Stats { total_size, ..Stats::default() })
    }

    /// Judges the end.
    pub(crate) fn judge(&self, exit: &Exit, findings: &Findings) -> Judgement {
        let Exit::Code(code) = exit else { return is_over(exit) };
        let said = findings.telling().map(|said| format!(" (it said: {said})")).unwrap_or_default();
        let (class, reason) = match &self.failure {
            Some(line) => (Class::Command, format!("the command printed what `fail_on` looks for: {line}")),
            None if self.command.success.contains(code) => (Class::Done, explain_end(Class::Done)),
            None if self.full => (Class::NoSpace, format!("{}{said}", explain_end(Class::NoSpace))),
            None => (Class::Command, format!("{} [exit {code}]{said}", explain_end(Class::Command))),
        };
        Judgement { class, verdict: class.verdict(), reason }
    }
}

/// `596G`, `1.2 TiB`, `1234`.
fn size(text: &str) -> Option<u64> {
    text.trim().replace(',', "").parse::<ByteSize>().ok().map(|size| size.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rsync::exit::Verdict;

    fn command() -> Command {
        Command {
            program: "/bin/x".into(),
            arguments: vec!["a b".to_owned()],
            environment: vec![("TOKEN".to_owned(), Secret::new("hunter2"))],
            success: vec![0, 3],
            fail_on: Some(Pattern::new("(?i)giving up").unwrap()),
            size: Some(Pattern::new(r"Total size: (\S+ ?[KMGT]?i?B?)").unwrap()),
        }
    }

    fn end(exit: &Exit, lines: &[&str]) -> (Judgement, Option<u64>) {
        let command = command();
        let (mut scan, mut findings) = (Scan::new(&command), Findings::default());
        for line in lines {
            scan.line(line.as_bytes());
            findings.line(line.as_bytes());
        }
        (scan.judge(exit, &findings), scan.stats().map(|stats| stats.total_size))
    }

    #[test]
    fn the_codes_and_patterns_of_the_configuration_decide() {
        for (exit, lines, verdict) in [
            (Exit::Code(0), &[][..], Verdict::Done),
            (Exit::Code(3), &[][..], Verdict::Done),
            (Exit::Code(1), &["fatal: x"][..], Verdict::RetrySoon),
            (Exit::Code(0), &["Giving up"][..], Verdict::RetrySoon),
            (Exit::Code(128), &["x: No space left on device"][..], Verdict::GiveUp),
            (Exit::Signal(9), &[][..], Verdict::RetrySoon),
            (Exit::TimedOut, &[][..], Verdict::RetrySoon),
            (Exit::Cancelled, &[][..], Verdict::Cancelled),
        ] {
            assert_eq!(end(&exit, lines).0.verdict, verdict, "{exit:?} {lines:?}");
        }
        assert!(end(&Exit::Code(1), &["fatal: x"]).0.reason.contains("[exit 1] (it said: fatal: x)"));
    }

    #[test]
    fn the_size_is_the_newest_that_was_printed() {
        for (line, bytes) in [
            ("Total size: 1234", Some(1234)),
            ("Total size: 1.5 KiB", Some(1536)),
            ("Total size: 2G", Some(2_000_000_000)),
            ("Total size: much", None),
            ("something else", None),
        ] {
            assert_eq!(end(&Exit::Code(0), &[line]).1, bytes, "{line}");
        }
        assert_eq!(end(&Exit::Code(0), &["Total size: 1", "Total size: 2", "Total size: ?"]).1, Some(2));
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        assert_eq!(command().shown(), "/bin/x 'a b'");
        assert!(!format!("{:?}", command()).contains("hunter2"));
    }
}
