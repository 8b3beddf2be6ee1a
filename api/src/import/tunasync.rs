//! The worker.conf of tunasync (TOML), with the files that it includes and mirrors that inherit from others.
//!
//! It is read as tunasync 0.10 reads it, so that what is written nowhere counts as it does there. Options of the
//! provider `rsync` become projects; a mirror that runs a command is listed, since commands are the configuration's.

mod mirror;
mod site;
mod table;

use std::path::{Path, PathBuf};

use toml::Table;
use toml::Value;

use super::{Import, ImportError, Note, Weight, below, read_text};
use table::Reader;

/// The most files that are included.
const MAX_FILES: usize = 2000;

/// Reads a worker.conf.
///
/// # Errors
/// When it, or a file that it includes, is no TOML, or an option has a value that tunasync would not take either.
pub fn read(path: &Path) -> Result<Import, ImportError> {
    let config = parse(path)?;
    if ["global", "mirrors", "include"].iter().all(|section| !config.contains_key(*section)) {
        return Err(ImportError::new(
            path,
            "has neither [global] nor [[mirrors]]: it is no worker.conf of tunasync",
        ));
    }
    let mut import = Import { origin: format!("tunasync's {}", path.display()), ..Import::default() };
    let site = site::read(path, &config, &mut import)?;
    let mut mirrors = Vec::new();
    gather(&Reader::new(path, &config, "the file"), &Table::new(), &mut import, &mut mirrors)?;
    for file in included(path, site.include.as_deref(), &mut import)? {
        let more = parse(&file)?;
        gather(&Reader::new(&file, &more, "the file"), &Table::new(), &mut import, &mut mirrors)?;
    }
    for (file, mirror) in &mirrors {
        mirror::add(file, mirror, &site, &mut import)?;
        import.check_size(file)?;
    }
    import.check();
    Ok(import)
}

fn parse(path: &Path) -> Result<Table, ImportError> {
    let text = read_text(path)?;
    text.parse()
        .map_err(|error: toml::de::Error| ImportError::new(path, format!("is no TOML: {}", error.message())))
}

/// The folder of a file, from which everything else is read that it names.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Every mirror without mirrors of its own, with what it inherits filled in.
fn gather(
    holder: &Reader<'_>,
    parent: &Table,
    import: &mut Import,
    found: &mut Vec<(PathBuf, Table)>,
) -> Result<(), ImportError> {
    for given in holder.tables("mirrors")? {
        // Each mirror has all that it inherits, so a short file can grow without a bound.
        import.charge(holder.file, table::size_of(parent) + table::size_of(given))?;
        let mut mirror = parent.clone();
        inherit(&mut mirror, given);
        let inner = Reader::new(holder.file, given, &table::name_of(given));
        if given.contains_key("mirrors") {
            gather(&inner, &mirror, import, found)?;
        } else {
            found.push((holder.file.to_owned(), mirror));
        }
    }
    Ok(())
}

/// Lays `given` over what is inherited. As in tunasync, a value that says nothing (0, false, an empty text or list)
/// replaces nothing, and tables are laid over each other.
fn inherit(mirror: &mut Table, given: &Table) {
    for (key, value) in given.iter().filter(|(key, _)| *key != "mirrors") {
        match (mirror.get_mut(key), value) {
            (Some(Value::Table(known)), Value::Table(value)) => inherit(known, value),
            (Some(_), value) if table::says_nothing(value) => {}
            _ => {
                mirror.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The files of `include_mirrors`, in order.
fn included(path: &Path, pattern: Option<&str>, import: &mut Import) -> Result<Vec<PathBuf>, ImportError> {
    let Some(pattern) = pattern else { return Ok(Vec::new()) };
    let folder = folder_of(path);
    let whole = folder.join(pattern);
    // The folder's own name is no pattern.
    let whole = match whole.strip_prefix(folder) {
        Ok(rest) if !pattern.starts_with('/') => {
            Path::new(&glob::Pattern::escape(&folder.to_string_lossy())).join(rest)
        }
        _ => whole,
    };
    let files = glob::glob(&whole.to_string_lossy())
        .map_err(|error| ImportError::new(path, format!("include_mirrors: {error}")))?;
    let found: Vec<_> = files.flatten().filter(|file| file.is_file()).take(MAX_FILES).collect();
    let files: Vec<_> = found.iter().filter_map(|file| below(folder, file).ok()).collect();
    if files.len() < found.len() {
        let advice =
            "names files outside of the folder of worker.conf, and they are not read: copy them there";
        import.note(Weight::Unmapped, "[include] include_mirrors", Some(format!("{pattern:?}")), advice);
        return Ok(files);
    }
    let advice = match files.len() {
        0 => "matches no file here: tunasync reads it from the folder in which the worker was started",
        _ => "is read, counted from the folder of worker.conf",
    };
    let weight = if files.is_empty() { Weight::Unmapped } else { Weight::Otherwise };
    import.note(weight, "[include] include_mirrors", Some(format!("{pattern:?}")), advice);
    Ok(files)
}

/// A note about one option of one mirror, or of a section.
fn note(weight: Weight, mirror: Option<&str>, option: &str, value: Option<String>, advice: &str) -> Note {
    Note {
        weight,
        mirror: mirror.map(str::to_owned),
        option: option.to_owned(),
        value,
        advice: advice.to_owned(),
    }
}

#[cfg(test)]
mod tests;
