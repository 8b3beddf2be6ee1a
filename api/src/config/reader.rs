//! The walk over the tree: it knows the path of the key being read, and notes every problem without stopping.

use super::problems::{Problem, hint, suggestion};
use super::read::ron;
use super::tree::{Field, Kind, Node};
use super::value::Value;
use serde::de::DeserializeOwned;
use std::ops::Range;

/// The walk over the tree: where it stands, and what was noted so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    path: Vec<String>,
    noted: Vec<Note>,
    warned: Vec<Note>,
    hidden: Vec<Range<usize>>,
}

/// A problem before its line and column are known.
#[derive(Debug, Clone)]
struct Note {
    span: Range<usize>,
    key: String,
    message: String,
    /// The key's value was not taken over, so that nothing more can be said about it.
    unread: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, path: Vec::new(), noted: Vec::new(), warned: Vec::new(), hidden: Vec::new() }
    }

    /// Notes a problem with the key that is being read.
    pub(super) fn note(&mut self, span: Range<usize>, message: String) {
        let key = self.key();
        let message = if key.is_empty() { message } else { format!("{key}: {message}") };
        self.noted.push(Note { span, key, message, unread: true });
    }

    /// Notes a problem with a value, as the end of its reading.
    pub(super) fn refuse<T>(&mut self, node: &Node, message: String) -> Option<T> {
        self.note(node.span.clone(), message);
        None
    }

    /// Notes that a value is of the wrong kind.
    pub(super) fn wrong<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        let found = self.describe(node);
        self.refuse(node, format!("expected {expected}, found {found}"))
    }

    /// Notes a problem between values at the first of `paths` that the text names, unless one of them is already
    /// known to be wrong.
    pub(super) fn note_at(&mut self, tree: &Node, paths: &[&str], message: String) {
        if !paths.iter().any(|path| self.is_noted(path)) {
            let (span, key) = place(tree, paths);
            self.noted.push(Note { span, key, message, unread: false });
        }
    }

    /// Notes what is doubtful about the value that is being read, and allowed.
    pub(super) fn warn(&mut self, node: &Node, message: &str) {
        let key = self.key();
        let message = format!("warning: {key}: {message}");
        self.warned.push(Note { span: node.span.clone(), key, message, unread: false });
    }

    /// Like [`Self::note_at`], for what is doubtful but allowed.
    pub(super) fn warn_at(&mut self, tree: &Node, paths: &[&str], message: &str) {
        let (span, key) = place(tree, paths);
        self.warned.push(Note { span, key, message: format!("warning: {message}"), unread: false });
    }

    fn is_noted(&self, path: &str) -> bool {
        self.noted.iter().filter(|note| note.unread).any(|note| {
            note.key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Never repeats this value in a report.
    pub(super) fn hide(&mut self, node: &Node) {
        let span = node.span.clone();
        let quoted = self.text.get(span.clone()).is_some_and(|text| text.starts_with('"'));
        self.hidden.push(if quoted { span.start + 1..span.end - 1 } else { span });
    }

    /// Reads with one more step in the path; a step that is an index begins with `[`.
    pub(super) fn within<T>(&mut self, step: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let value = read(self);
        self.path.pop();
        value
    }

    fn key(&self) -> String {
        self.path.iter().fold(String::new(), |mut key, step| {
            if !key.is_empty() && !step.starts_with('[') {
                key.push('.');
            }
            key + step
        })
    }

    /// Decodes a scalar, and notes a problem if it is not `expected`.
    pub(super) fn scalar<T: DeserializeOwned>(&mut self, node: &Node, expected: &str) -> Option<T> {
        self.quiet_scalar(node).or_else(|| self.wrong(node, expected))
    }

    /// Decodes a scalar if it is one of this type.
    pub(super) fn quiet_scalar<T: DeserializeOwned>(&self, node: &Node) -> Option<T> {
        let text = self.text.get(node.span.clone()).filter(|_| matches!(node.kind, Kind::Scalar))?;
        ron().from_str(text).ok()
    }

    /// One of the `known` words.
    pub(super) fn word(&mut self, node: &Node, known: &[&'static str]) -> Option<&'static str> {
        let expected = known.join(" or ");
        let Kind::Word(word) = &node.kind else { return self.wrong(node, &expected) };
        known.iter().copied().find(|candidate| candidate == word).or_else(|| {
            let hint = suggestion(word, known);
            self.refuse(node, format!("expected {expected}, found `{word}`{hint}"))
        })
    }

    /// One of the `known` variants, with the group inside it.
    pub(super) fn variant(&mut self, node: &Node, known: &[&'static str]) -> Option<(&'static str, Node)> {
        let expected = known.iter().map(|name| format!("{name}(..)")).collect::<Vec<_>>().join(" or ");
        let written = match &node.kind {
            Kind::Word(word) if known.contains(&word.as_str()) => {
                return self
                    .refuse(node, format!("`{word}` needs parentheses: `{word}(..)` with its keys inside"));
            }
            Kind::Word(word) => Some(word.as_str()),
            _ => node.name(),
        };
        let Some(written) = written else { return self.wrong(node, &expected) };
        let Some(name) = known.iter().copied().find(|name| *name == written) else {
            let hint = suggestion(written, known);
            return self.refuse(node, format!("expected {expected}, found `{written}`{hint}"));
        };
        let kind = match &node.unwrapped().kind {
            Kind::Group { fields, .. } => Kind::Group { name: None, fields: fields.clone() },
            other => other.clone(),
        };
        Some((name, Node { span: node.span.clone(), kind }))
    }

    /// The fields of a group, each once; unknown and repeated keys are noted.
    pub(super) fn group(&mut self, node: &Node, name: &str, known: &[&str]) -> Option<Vec<Field>> {
        let Kind::Group { name: written, fields } = &node.kind else {
            return self.wrong(node, &format!("keys in parentheses ({})", known.join(", ")));
        };
        if let Some(written) = written.as_deref().filter(|written| *written != name) {
            return self.refuse(node, format!("expected keys in parentheses, found `{written}(..)`"));
        }
        let mut seen: Vec<Field> = Vec::new();
        for field in fields {
            let first =
                seen.iter().find(|earlier| earlier.key == field.key).map(|first| first.key_span.start);
            if !known.contains(&field.key.as_str()) {
                self.unknown(field, known);
            } else if let Some(first) = first {
                let line = 1 + self.text.get(..first).unwrap_or_default().matches('\n').count();
                self.key_problem(field, format!("key `{}` is given twice, first in line {line}", field.key));
            } else {
                seen.push(field.clone());
            }
        }
        Some(seen)
    }

    fn unknown(&mut self, field: &Field, known: &[&str]) {
        // It may be a secret under a misspelt key.
        self.hide(&field.value);
        let place = match self.key() {
            path if path.is_empty() => "at the top level".to_owned(),
            path => format!("in {path}"),
        };
        let hint = hint(&field.key, known);
        self.key_problem(field, format!("unknown key `{}` {place}{hint}", field.key));
    }

    fn key_problem(&mut self, field: &Field, message: String) {
        let key = self.within(field.key.clone(), |reader| reader.key());
        self.noted.push(Note { span: field.key_span.clone(), key, message, unread: false });
    }

    /// The value of a key, if it is given and right.
    pub(super) fn field<T: Value>(&mut self, fields: &[Field], key: &str) -> Option<T> {
        let field = fields.iter().find(|field| field.key == key)?;
        self.within(key.to_owned(), |reader| T::read(&field.value, reader))
    }

    /// Like [`Self::field`], and notes a missing key at the group's start.
    pub(super) fn required<T: Value>(&mut self, group: &Node, fields: &[Field], key: &str) -> Option<T> {
        if fields.iter().all(|field| field.key != key) {
            let missing = self.within(key.to_owned(), |reader| reader.key());
            let message = format!("missing key `{missing}`; it has no default");
            let span = group.span.start..group.span.start + 1;
            self.noted.push(Note { span, key: missing, message, unread: true });
        }
        self.field(fields, key)
    }

    fn describe(&self, node: &Node) -> String {
        match &node.kind {
            Kind::Group { name: None, .. } => "keys in parentheses".to_owned(),
            Kind::Tuple { name: None, .. } => "values in parentheses".to_owned(),
            Kind::Group { name: Some(name), .. } | Kind::Tuple { name: Some(name), .. } => {
                format!("`{name}(..)`")
            }
            Kind::Map(_) => "a map".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Word(word) => format!("`{word}`"),
            Kind::Scalar => match self.text.get(node.span.clone()).unwrap_or_default() {
                text if text.contains('"') => "a string".to_owned(),
                text if text.contains('\'') => "a character".to_owned(),
                text => format!("the number {text}"),
            },
        }
    }

    /// What is doubtful, in the order of the text.
    pub(super) fn take_warnings(&mut self) -> Vec<Problem> {
        let warned = std::mem::take(&mut self.warned);
        self.in_order(warned)
    }

    /// What is wrong, in the order of the text.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.in_order(self.noted.clone())
    }

    fn in_order(&self, mut notes: Vec<Note>) -> Vec<Problem> {
        notes.sort_by_key(|note| note.span.start);
        notes
            .into_iter()
            .map(|note| Problem::at(self.text, note.span, note.key, note.message, &self.hidden))
            .collect()
    }
}

/// Where a problem between values is shown: the first path that stands in the text, else what encloses the first.
fn place(tree: &Node, paths: &[&str]) -> (Range<usize>, String) {
    if let Some((node, path)) = paths.iter().find_map(|path| Some((tree.find(path)?, *path))) {
        return (node.span.clone(), path.to_owned());
    }
    let path = paths.first().copied().unwrap_or_default();
    let mut enclosing = path;
    while let Some((parent, _)) = enclosing.rsplit_once(['.', '[']) {
        enclosing = parent;
        if let Some(node) = tree.find(parent) {
            return (node.span.start..node.span.start + 1, path.to_owned());
        }
    }
    (tree.span.start..tree.span.start + 1, path.to_owned())
}
