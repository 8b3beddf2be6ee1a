//! What is wrong with a configuration, where it stands, and how a person is told.
//!
//! Excerpts of the file never show a secret: the reader says which bytes to hide, and after a syntax error, when
//! nobody knows what is a secret, every string is hidden.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use engine::text::is_plain_char;

/// Longest source line that is repeated below a problem, in characters.
const LONGEST_EXCERPT: usize = 200;

/// Everything that is wrong with one configuration. `Display` is [`check_report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file as the user named it.
    pub file: String,
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigErrors {}

impl ConfigErrors {
    /// The file could not be read at all.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let message =
            format!("the configuration cannot be read: {error}; check the path and its permissions");
        let problem = Problem { position: None, key: String::new(), message, excerpt: None };
        Self { file: path.display().to_string(), problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(check_report(self).trim_end())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands; `None` when the file could not be read.
    pub position: Option<Position>,
    /// Dotted path of the key, such as `rsync.bwlimt`; empty for the file as a whole.
    pub key: String,
    /// One sentence: what is wrong and what to do.
    pub message: String,
    /// The source line with secrets hidden, and the number of characters to underline.
    excerpt: Option<(String, usize)>,
}

/// A place in a text; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The report for people: each problem on its line, with the source line and a caret below it.
#[must_use]
pub fn check_report(errors: &ConfigErrors) -> String {
    errors.problems.iter().map(|problem| problem.report(&errors.file)).collect()
}

impl Problem {
    /// A problem at `span` of `text`, with the bytes of `hidden` masked.
    pub(super) fn at(
        text: &str,
        span: Range<usize>,
        key: String,
        message: String,
        hidden: &[Range<usize>],
    ) -> Self {
        let start = floor_char(text, span.start);
        let line_start = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line_end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| start + at);
        let column = 1 + count(text, line_start..start);
        let line = 1 + text.get(..line_start).unwrap_or_default().matches('\n').count();
        let shown = masked(text, line_start..line_end, hidden);
        let width = count(text, start..span.end.clamp(start, line_end)).max(1);
        let excerpt = (shown.chars().count() <= LONGEST_EXCERPT).then_some((shown, width));
        Self { position: Some(Position { line, column }), key, message, excerpt }
    }

    /// The lines that [`check_report`] prints for this problem.
    pub(super) fn report(&self, file: &str) -> String {
        let Some(position) = self.position else { return format!("{file}: {}\n", self.message) };
        let head = format!("{file}:{}:{}: {}\n", position.line, position.column, self.message);
        let Some((line, width)) = &self.excerpt else { return head };
        let padding: String =
            line.chars().take(position.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{head}{:>4} | {line}\n     | {padding}{}\n", position.line, "^".repeat(*width))
    }
}

/// Byte place of a line and column (both from 1), for positions that `ron` reports.
pub(super) fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    before + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// The nearest of `known` to what was written, if it is near enough to be a slip of the fingers.
fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = written.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ..?`, or nothing when nothing is near.
pub(super) fn suggestion(written: &str, known: &[&str]) -> String {
    nearest(written, known).map_or_else(String::new, |candidate| format!("; did you mean `{candidate}`?"))
}

/// [`suggestion`], or the whole list when nothing is near.
pub(super) fn hint(written: &str, known: &[&str]) -> String {
    match suggestion(written, known) {
        nothing if nothing.is_empty() => format!("; known here: {}", known.join(", ")),
        suggestion => suggestion,
    }
}

/// Every quoted part of `text`: what must be hidden when the text could not be understood.
pub(super) fn all_strings(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut opened = None;
    for (at, _) in text.match_indices('"') {
        match opened.take() {
            Some(start) => spans.push(start..at),
            None => opened = Some(at + 1),
        }
    }
    spans.extend(opened.map(|start| start..text.len()));
    spans
}

fn count(text: &str, span: Range<usize>) -> usize {
    text.get(span).map_or(0, |part| part.chars().count())
}

fn floor_char(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One line of the text, with hidden bytes as `*` and control characters made harmless.
fn masked(text: &str, line: Range<usize>, hidden: &[Range<usize>]) -> String {
    let start = line.start;
    text.get(line)
        .unwrap_or_default()
        .trim_end()
        .char_indices()
        .map(|(at, c)| match c {
            _ if hidden.iter().any(|span| span.contains(&(start + at))) => '*',
            '\t' => '\t',
            c if !is_plain_char(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ConfigErrors, Problem, all_strings, check_report, hint, offset};

    #[test]
    fn a_report_points_at_the_place_with_a_caret() {
        let text = "(\n\tä: \"x\", bwlimt: 3,\n)";
        let at = text.find("bwlimt").unwrap();
        let problem = Problem::at(text, at..at + 6, "rsync.bwlimt".into(), "no such key".into(), &[]);
        let errors = ConfigErrors { file: "h.ron".into(), problems: vec![problem] };
        let expected = "h.ron:2:10: no such key\n   2 | \tä: \"x\", bwlimt: 3,\n     | \t        ^^^^^^\n";
        assert_eq!(check_report(&errors), expected);
        assert_eq!(errors.to_string(), expected.trim_end());
    }

    #[test]
    fn hidden_bytes_and_control_characters_are_not_repeated() {
        let text = "password: \"hunter2\", \u{1b}[2J x: 1";
        let at = text.find("x:").unwrap();
        let report = Problem::at(text, at..at + 1, String::new(), "m".into(), &all_strings(text)).report("f");
        assert!(!report.contains("hunter2") && !report.contains('\u{1b}'), "{report}");
        assert!(report.contains("password: \"*******\""), "{report}");
    }

    #[test]
    fn an_open_string_is_hidden_to_the_end() {
        assert_eq!(all_strings("a \"b\" c \"d"), [3..4, 9..10]);
    }

    #[test]
    fn a_slip_of_the_fingers_is_answered_with_the_nearest_key() {
        assert_eq!(hint("bwlimt", &["program", "bwlimit"]), "; did you mean `bwlimit`?");
        assert_eq!(hint("zebra", &["program", "bwlimit"]), "; known here: program, bwlimit");
    }

    #[test]
    fn lines_and_columns_become_offsets_and_stay_inside_the_text() {
        assert_eq!(offset("ab\ncäe", 2, 3), 6);
        assert_eq!(offset("ab\n", 9, 9), 3);
        let problem = Problem::at("ä", 1..99, String::new(), "m".into(), &[]);
        assert_eq!(problem.position.map(|at| (at.line, at.column)), Some((1, 1)));
    }
}
