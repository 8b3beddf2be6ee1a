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
    /// Bytes that it takes so far, about; see [`Import::charge`].
    size: usize,
    /// Entries and notes that are counted in `size`.
    counted: (usize, usize),
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

/// Most bytes of an import. The largest site that was seen takes less than one of these megabytes.
const LARGEST: usize = 16 << 20;

impl Import {
    /// Counts memory that is about to be taken, so that a small file cannot ask for all there is.
    ///
    /// # Errors
    /// When this import is larger than any mirror site.
    fn charge(&mut self, file: &Path, bytes: usize) -> Result<(), ImportError> {
        self.size = self.size.saturating_add(bytes);
        if self.size > LARGEST {
            let most = LARGEST >> 20;
            let why = format!(
                "makes more than {most} MiB of projects, with all that they inherit or include: import it in parts"
            );
            return Err(ImportError::new(file, why));
        }
        Ok(())
    }

    /// Counts the entries and notes that were added since the last call.
    fn check_size(&mut self, file: &Path) -> Result<(), ImportError> {
        let (entries, notes) = self.counted;
        let entries = self.entries.iter().skip(entries).map(Entry::size);
        let notes = self.notes.iter().skip(notes).map(Note::size);
        let bytes = entries.chain(notes).sum();
        self.counted = (self.entries.len(), self.notes.len());
        self.charge(file, bytes)
    }
}

impl Entry {
    fn size(&self) -> usize {
        let content = match &self.content {
            Content::Taken(project) | Content::Refused(project, _) => project.document().to_string().len(),
            Content::Unmapped(why, settings) => why.len() + settings.iter().map(String::len).sum::<usize>(),
        };
        self.name.len() + content
    }
}

impl Note {
    fn size(&self) -> usize {
        let texts = [self.mirror.as_ref(), self.value.as_ref(), Some(&self.option), Some(&self.advice)];
        texts.into_iter().flatten().map(String::len).sum()
    }
}

/// Finds a file that a configuration names, relative to `folder` unless its path is absolute. Only
/// what lies below the folder is read for somebody who wrote a configuration.
fn below(folder: &Path, file: &Path) -> Result<PathBuf, ImportError> {
    let real = |path: &Path| path.canonicalize().map_err(|error| ImportError::new(path, error.to_string()));
    let (root, found) = (real(folder)?, real(&folder.join(file))?);
    if !found.starts_with(&root) {
        let why =
            format!("lies outside of {}, and only files below it are read; copy it there", root.display());
        return Err(ImportError::new(file, why));
    }
    Ok(found)
}

/// Reads a file that a person wrote; one that is larger than any such file is refused.
fn read_text(path: &Path) -> Result<String, ImportError> {
    use std::io::Read;

    const MOST: u64 = 4 * 1024 * 1024;
    // Asked before opening: opening a pipe would wait for its writer.
    let about = path.metadata().map_err(|error| ImportError::new(path, error.to_string()))?;
    if !about.is_file() {
        return Err(ImportError::new(path, "is not a regular file"));
    }
    let file = std::fs::File::open(path).map_err(|error| ImportError::new(path, error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| ImportError::new(path, error.to_string()))?;
    if bytes.len() as u64 > MOST {
        return Err(ImportError::new(path, format!("is larger than {MOST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| ImportError::new(path, "is not a text in UTF-8"))
}
