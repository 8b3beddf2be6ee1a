//! Other programs' configurations as a projects file for `heliostat project apply`.
//!
//! Nothing is sent to a server and nothing is changed here: files are read, and a text comes out. What has no
//! counterpart is never dropped without a word: it becomes a [`Note`] that names the option and says what to do. Each
//! project is read by the server's own reader ([`crate::draft`]) before it is printed; one that the server would
//! refuse is left out, as a comment with the reason.

mod check;
pub mod mirror_sync_api;
mod options;
mod pickle;
mod print;
mod project;
mod source;
pub mod tunasync;

use std::path::{Path, PathBuf};

use project::Project;

/// What was found, ready to be printed with [`Import::ron`] or [`Import::json`].
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Whose configuration it is, and where it lay.
    origin: String,
    entries: Vec<Entry>,
    notes: Vec<Note>,
    /// What is to be created with other commands: users, nodes.
    by_hand: Vec<ByHand>,
}

/// One mirror of the old system.
#[derive(Debug, Clone)]
struct Entry {
    /// Its name there.
    name: String,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Taken(Box<Project>),
    /// The server would refuse it: why.
    Refused(Box<Project>, Vec<String>),
    /// It is nothing that can be a project: why, and its settings as they stood.
    Unmapped(String, Vec<String>),
}

/// One option that does not simply become a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub weight: Weight,
    /// The mirror; none when it is about the whole site.
    pub mirror: Option<String>,
    /// The option's name there, such as `memory_limit` or `[cgroup] enable`.
    pub option: String,
    /// What it was set to, unless that could be a secret or says nothing.
    pub value: Option<String>,
    /// What becomes of it, and what to do.
    pub advice: String,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It could not be carried over.
    Unmapped,
    /// Heliostat has its own way; there is nothing to do.
    Otherwise,
}

/// Something that a projects file cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ByHand {
    /// `user` or `node`.
    kind: &'static str,
    /// Its name there.
    name: String,
    /// A user's role, a node's port.
    detail: String,
}

/// Why nothing could be imported: a file that cannot be read, or is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ImportError {
    path: PathBuf,
    why: String,
}

impl ImportError {
    fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), why: why.into() }
    }
}

impl Import {
    /// The notes, in the order in which they were made.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// How many projects the file holds, and how many mirrors are left out of it.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let taken = self.entries.iter().filter(|entry| matches!(entry.content, Content::Taken(_))).count();
        (taken, self.entries.len() - taken)
    }

    fn note(
        &mut self,
        weight: Weight,
        option: impl Into<String>,
        value: Option<String>,
        advice: impl Into<String>,
    ) {
        self.notes.push(Note { weight, mirror: None, option: option.into(), value, advice: advice.into() });
    }
}

/// Reads a file that a person wrote; one that is larger than any such file is refused.
fn read_text(path: &Path) -> Result<String, ImportError> {
    use std::io::Read;

    const MOST: u64 = 4 * 1024 * 1024;
    let file = std::fs::File::open(path).map_err(|error| ImportError::new(path, error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| ImportError::new(path, error.to_string()))?;
    if bytes.len() as u64 > MOST {
        return Err(ImportError::new(path, format!("is larger than {MOST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| ImportError::new(path, "is not a text in UTF-8"))
}
