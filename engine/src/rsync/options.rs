//! Which rsync options a project may use: a closed list, for users who must not gain this server by it.
//!
//! An option that is not in the list is refused, however it is spelled; a known one that is refused says why and what
//! to use instead. Nothing is rewritten: what passes reaches rsync as it was written.

mod check;
mod delete;
mod table;

pub use delete::DeleteMode;

use super::edits::Edits;
use check::Facts;

/// A project's rsync options, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    defaults: Vec<String>,
    basic: Vec<String>,
    delete: Option<DeleteMode>,
    facts: Facts,
    /// How much of the tree is looked at.
    scope: Scope,
    /// What hooks have changed for one attempt.
    edits: Edits,
    /// Whether nothing is deleted whatever else is said.
    keep_all: bool,
    /// Whether rsync only says what it would do.
    rehearsal: bool,
}

/// How much of a tree an attempt looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of it.
    #[default]
    Whole,
    /// The paths in this file, which somebody has chosen.
    Chosen(String),
    /// The paths in this file, which are all that a rehearsal has named.
    Rehearsed(String),
}

/// One option that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct OptionsError {
    /// Where it stands: `options.basic[2]`, `options.delete`, or `options` for all of them together.
    pub field: String,
    /// The option, why it is refused, and what to do instead.
    pub message: String,
}

/// More options than this in one list are a mistake.
const MAX_OPTIONS: usize = 100;

impl Options {
    /// Checks each option; all that is wrong is reported at once. An empty `delete` means that nothing is deleted.
    pub fn new(defaults: &[String], basic: &[String], delete: &str) -> Result<Self, Vec<OptionsError>> {
        let mut facts = Facts::default();
        let mut errors = Vec::new();
        check_list("options.defaults", defaults, &mut facts, &mut errors);
        check_list("options.basic", basic, &mut facts, &mut errors);
        let delete = match delete {
            "" => None,
            text => text.parse().map_err(|error| errors.push(error)).ok(),
        };
        if errors.is_empty() {
            check_together(&facts, delete, &mut errors);
        }
        if errors.is_empty() {
            let (defaults, basic) = (defaults.to_vec(), basic.to_vec());
            Ok(Self { defaults, basic, delete, facts, ..Self::default() })
        } else {
            Err(errors)
        }
    }

    /// The options that a project has unless it says otherwise.
    #[must_use]
    pub fn defaults(&self) -> &[String] {
        &self.defaults
    }

    /// The project's own options.
    #[must_use]
    pub fn basic(&self) -> &[String] {
        &self.basic
    }

    /// How it deletes, if at all.
    #[must_use]
    pub fn delete(&self) -> Option<DeleteMode> {
        self.delete
    }

    /// The same for the paths in this file only, each behind [`Source::to_tree`](crate::Source::to_tree) and `./`, and with a
    /// zero byte at its end. What is not at the source is deleted,
    /// unless these options delete nothing; nothing else is looked at. The file is ours: no project may name one.
    #[must_use]
    pub fn only(self, list: String) -> Self {
        Self { scope: Scope::Chosen(list), ..self }
    }

    /// The same for the paths that a rehearsal with these options has named, in such a file: what is left to do of it. Where
    /// it named no deletions, nothing can be deleted, whatever the upstream shows by now. None where only a look at the
    /// whole tree does what these options say.
    #[must_use]
    pub fn rehearsed(self, list: String, deletions: bool) -> Option<Self> {
        // A folder alone in a list is an empty one; and by a list, neither what excludes match can be deleted, nor all that
        // goes before anything comes.
        let by_list = match self.delete {
            _ if self.facts.prune_empty_dirs => false,
            Some(DeleteMode::Before | DeleteMode::Excluded | DeleteMode::MissingArgs) => !deletions,
            _ => true,
        };
        let keep_all = self.keep_all || !deletions;
        by_list.then_some(Self { scope: Scope::Rehearsed(list), keep_all, ..self })
    }

    /// How much of the tree is looked at.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same for all of the tree.
    pub(super) fn on_all(self) -> Self {
        Self { scope: Scope::Whole, ..self }
    }

    /// The file with the paths to look at; none: everything.
    pub(super) fn list(&self) -> Option<&str> {
        match &self.scope {
            Scope::Whole => None,
            Scope::Chosen(list) | Scope::Rehearsed(list) => Some(list),
        }
    }

    /// How a whole tree is cleared of what the source has not; none: it is not, or by a list.
    pub(super) fn clearing(&self) -> Option<DeleteMode> {
        self.delete.filter(|_| self.deletes() && self.scope == Scope::Whole)
    }

    /// Whether deletions wait for the end.
    pub(super) fn deletes_last(&self) -> bool {
        let last = matches!(self.delete, Some(DeleteMode::After | DeleteMode::Delay));
        self.deletes() && (last || self.edits.delete_after)
    }

    /// The same, but rsync only says what it would do, without a bound on deletions.
    #[must_use]
    pub fn rehearsal(self) -> Self {
        Self { rehearsal: true, ..self }
    }

    /// Whether rsync only says what it would do.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    /// Whether only the paths in a list are looked at.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.scope != Scope::Whole
    }

    /// Whether an attempt with these options can delete anything.
    #[must_use]
    pub fn deletes(&self) -> bool {
        !self.keep_all && self.delete.is_some()
    }

    /// Deletes nothing, in a whole tree or by a list.
    pub(super) fn delete_nothing(&mut self) {
        self.keep_all = true;
    }

    /// What hooks have changed for one attempt.
    pub(super) fn edits(&self) -> &Edits {
        &self.edits
    }

    pub(super) fn edits_mut(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// What the lists say about settings that the engine would otherwise choose.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Default for Options {
    /// `-avH` and `--delete`.
    fn default() -> Self {
        let facts = Facts { recursive: true, ..Facts::default() };
        let defaults = vec!["-avH".to_owned()];
        Self {
            defaults,
            basic: Vec::new(),
            delete: Some(DeleteMode::Delete),
            facts,
            scope: Scope::Whole,
            edits: Edits::default(),
            keep_all: false,
            rehearsal: false,
        }
    }
}

/// Whether a text is a pattern for `--exclude` or `--include` and nothing more; the error is the end of a sentence.
/// Takes the port of the daemon out of a list of options. It is a part of the source: it says whom a password goes to.
pub fn take_port(options: &mut Vec<String>) -> Option<u16> {
    let mut port = None;
    options.retain(|option| {
        let given = option.strip_prefix("--port=").and_then(|digits| digits.parse::<u16>().ok());
        // What is not a port stays, and is refused with the reason.
        let given = given.filter(|port| *port > 0);
        port = given.or(port);
        given.is_none()
    });
    port
}

pub(super) fn is_pattern(text: &str) -> Result<(), &'static str> {
    check::pattern(text)
}

fn check_list(field: &str, list: &[String], facts: &mut Facts, errors: &mut Vec<OptionsError>) {
    if list.len() > MAX_OPTIONS {
        let message = format!("has {} options; {MAX_OPTIONS} are the most", list.len());
        errors.push(OptionsError { field: field.to_owned(), message });
        return;
    }
    for (index, option) in list.iter().enumerate() {
        if let Err(message) = check::option(option, facts) {
            errors.push(OptionsError { field: format!("{field}[{index}]"), message });
        }
    }
}

/// Rules between options that are each fine alone.
fn check_together(facts: &Facts, delete: Option<DeleteMode>, errors: &mut Vec<OptionsError>) {
    let mut refuse = |message: &str| {
        errors.push(OptionsError { field: "options".to_owned(), message: message.to_owned() });
    };
    if !facts.recursive {
        refuse("without -a or -r nothing would be copied: add one of them");
    }
    if facts.incremental && delete.is_some() {
        refuse(
            "--inc-recursive cannot stand beside a delete mode: rsync would delete before it knows that the \
             upstream's list is complete; leave it out",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{DeleteMode, Options, OptionsError};

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn errors(defaults: &[&str], basic: &[&str], delete: &str) -> Vec<OptionsError> {
        Options::new(&strings(defaults), &strings(basic), delete).unwrap_err()
    }

    #[test]
    fn the_default_is_what_checking_it_gives() {
        assert_eq!(Options::new(&strings(&["-avH"]), &[], "--delete"), Ok(Options::default()));
    }

    #[test]
    fn options_are_kept_as_they_were_written() {
        let basic = strings(&["--exclude=*.iso", "-zS"]);
        let options = Options::new(&strings(&["-rlpt"]), &basic, "--delete-after").unwrap();
        assert_eq!(options.defaults(), ["-rlpt"]);
        assert_eq!(options.basic(), basic);
        assert_eq!(options.delete(), Some(DeleteMode::After));
        assert_eq!(Options::new(&strings(&["-a"]), &[], "").unwrap().delete(), None);
    }

    #[test]
    fn everything_wrong_is_reported_with_its_place() {
        let errors = errors(&["-avHe sh"], &["-z", "--rsh=sh", "nothing"], "--delete-now");
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["options.defaults[0]", "options.basic[1]", "options.basic[2]", "options.delete"]);
    }

    #[test]
    fn options_that_copy_nothing_are_refused() {
        assert!(errors(&[], &["-tH"], "")[0].message.contains("-a or -r"));
    }

    #[test]
    fn an_incremental_list_beside_deletions_is_refused() {
        assert!(errors(&["-a"], &["--inc-recursive"], "--delete")[0].message.contains("--inc-recursive"));
        assert!(Options::new(&strings(&["-a"]), &strings(&["--inc-recursive"]), "").is_ok());
    }

    #[test]
    fn a_list_has_a_bound() {
        let list = vec!["-a".to_owned(); 101];
        let errors = Options::new(&list, &[], "").unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].to_string(), "options.defaults: has 101 options; 100 are the most");
    }
}
