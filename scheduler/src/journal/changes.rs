//! Reading a run's change list, page by page.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use engine::{Change, ChangeKind, EntryKind};

/// One path that a run changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeItem {
    /// Created, updated or deleted.
    pub kind: ChangeKind,
    /// What stands there, as far as rsync says.
    pub entry: EntryKind,
    /// Whether data came, and not only attributes.
    pub content: bool,
    /// Its size in bytes.
    pub size: u64,
    /// The path below the destination; bytes that are not UTF-8 stay escaped as rsync writes them (`\#ooo`).
    pub path: String,
}

/// The items that begin at byte `offset` of the list, at most `limit`, and the offset of the next page if there is
/// one. No file is an empty list.
///
/// # Errors
/// When the file cannot be read.
pub fn changes(path: &Path, offset: u64, limit: usize) -> io::Result<(Vec<ChangeItem>, Option<u64>)> {
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
        Err(error) => return Err(error),
    };
    let mut position = file.seek(SeekFrom::Start(offset))?;
    let (mut items, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = file.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok((items, None));
        }
        if items.len() == limit {
            return Ok((items, Some(position)));
        }
        position += read as u64;
        let raw = line.strip_suffix(b"\n").unwrap_or(&line);
        items.extend(Change::parse(raw).map(|change| item(&change)));
    }
}

fn item(change: &Change<'_>) -> ChangeItem {
    let path = String::from_utf8(change.path())
        .ok()
        .filter(|path| !path.chars().any(char::is_control))
        .unwrap_or_else(|| String::from_utf8_lossy(change.name).into_owned());
    ChangeItem { kind: change.kind, entry: change.entry, content: change.content, size: change.size, path }
}
