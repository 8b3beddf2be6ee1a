//! A new journal in the place of those whose content the tables hold.
//!
//! fjall (3.1) begins another journal only behind one of more than 64 MB, and has no call for it; each opening reads
//! every journal from its beginning, whatever the tables have of it. So an orderly close does what fjall does itself
//! behind 64 MB: it makes the next journal, and then removes those before it, the oldest first. A close that is cut off
//! in between leaves journals as fjall's own rotation leaves them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use engine::durable::sync_folder;

use super::inspection::{JOURNAL, entries, journals};

/// Replaces the journals of a closed store by an empty one. All that they hold must be in the tables, and on the disk.
///
/// # Errors
/// When the system refuses; the journals that are there then are whole, and the next opening reads them.
pub(super) fn renew_journal(folder: &Path) -> io::Result<()> {
    let old = journals(&entries(folder)?.unwrap_or_default());
    let Some((newest, path)) = old.last_key_value() else { return Ok(()) };
    if old.len() == 1 && fs::metadata(path)?.len() == 0 {
        return Ok(());
    }

    // The number of commits is taken from the tables where a journal is there, and only then.
    File::create_new(folder.join(format!("{}.{JOURNAL}", newest + 1)))?.sync_all()?;
    sync_folder(folder)?;

    // In this order, so that no number is missing between others.
    for path in old.values() {
        fs::remove_file(path)?;
    }
    sync_folder(folder)
}
