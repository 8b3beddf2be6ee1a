//! Finding the file, reading it, and putting the steps together: syntax, keys and values, then the checks.
//!
//! `ron` judges the syntax and decodes scalars; the walk over the keys is ours, because `ron` stops at its first
//! error. So a syntax error is reported alone, and everything else together.

use super::check;
use super::problems::{self, ConfigErrors, Problem};
use super::reader::Reader;
use super::tree::{Lost, Node};
use super::types::{Config, Role, slave_listen};
use super::value::Value;
use ron::extensions::Extensions;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Variable that names the configuration file.
pub const ENVIRONMENT: &str = "HELIOSTAT_CONFIG";

/// Where the file is looked for when nobody names one.
const PLACES: [&str; 2] = ["./heliostat.ron", "/etc/heliostat/heliostat.ron"];

/// Largest configuration file, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A configuration that was found and is right.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// The file; `None` for the embedded default.
    pub path: Option<PathBuf>,
    /// Doubtful but allowed, one report each with its place, to be logged.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads `explicit`, else the file that `$HELIOSTAT_CONFIG` names, else the first of `./heliostat.ron` and
    /// `/etc/heliostat/heliostat.ron` that exists, else gives the embedded default.
    pub fn load(explicit: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        let named = std::env::var_os(ENVIRONMENT).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::load_from(explicit.map(Path::to_owned).or(named), &PLACES.map(Path::new))
    }

    fn load_from(named: Option<PathBuf>, places: &[&Path]) -> Result<Loaded, ConfigErrors> {
        // A place that exists but cannot be read is an error: the next place would be another configuration.
        let found = named.or_else(|| {
            places.iter().find(|place| place.symlink_metadata().is_ok()).map(|place| (*place).to_owned())
        });
        let Some(path) = found else {
            return Ok(Loaded { config: Self::default(), path: None, warnings: Vec::new() });
        };
        let text = read_file(&path).map_err(|error| ConfigErrors::unreadable(&path, &error))?;
        let loaded = Self::parse(&path.display().to_string(), &text)?;
        Ok(Loaded { path: Some(path), ..loaded })
    }

    /// Reads and checks a text; `file` is its name in reports.
    pub fn parse(file: &str, text: &str) -> Result<Loaded, ConfigErrors> {
        let errors = |problems| ConfigErrors { file: file.to_owned(), problems };
        let tree = syntax(text).map_err(|problem| errors(vec![problem]))?;
        let mut reader = Reader::new(text);
        let config = Self::read(&tree, &mut reader).map(|mut config| {
            if matches!(config.role, Role::Slave(_)) && tree.find("listen").is_none() {
                config.listen = slave_listen();
            }
            check::check(&config, &tree, &mut reader);
            config
        });
        let warnings = reader.take_warnings().iter().map(|problem| problem.report(file)).collect();
        match (config, reader.into_problems()) {
            (Some(config), problems) if problems.is_empty() => Ok(Loaded { config, path: None, warnings }),
            (_, problems) => Err(errors(problems)),
        }
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

/// RON with the extensions that the configuration has.
pub(super) fn ron() -> ron::Options {
    let extensions =
        Extensions::IMPLICIT_SOME | Extensions::UNWRAP_NEWTYPES | Extensions::UNWRAP_VARIANT_NEWTYPES;
    ron::Options::default().with_default_extension(extensions)
}

/// The text as a tree, or its one syntax error.
fn syntax(text: &str) -> Result<Node, Problem> {
    let hidden = problems::all_strings(text);
    let problem = |at: usize, message: String| {
        let end = text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8());
        Problem::at(text, at..end, String::new(), message, &hidden)
    };
    let judged = ron().from_str::<IgnoredAny>(text).map_err(|error| {
        let place = problems::offset(text, error.span.end.line, error.span.end.col);
        problem(place, format!("this is not RON: {}", error.code))
    });
    judged?;
    Node::parse(text).map_err(|Lost(at)| problem(at, "this is not RON: expected a value here".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Config, LARGEST};
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_first_place_that_exists_is_read_and_a_named_file_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first.ron"), folder.path().join("second.ron"));
        let places: [&Path; 2] = [&first, &second];
        let embedded = Config::load_from(None, &places).unwrap();
        assert_eq!((embedded.config, embedded.path), (Config::default(), None));
        fs::write(&second, "(insecure: true, role: Master())").unwrap();
        let loaded = Config::load_from(None, &places).unwrap();
        assert_eq!((loaded.path.as_ref(), loaded.config.insecure), (Some(&second), true));
        fs::write(&first, "(role: Master())").unwrap();
        assert_eq!(Config::load_from(None, &places).unwrap().path.as_ref(), Some(&first));
        assert_eq!(Config::load_from(Some(second.clone()), &places).unwrap().path.as_ref(), Some(&second));
        let missing =
            Config::load_from(Some(folder.path().join("none.ron")), &places).unwrap_err().to_string();
        assert!(missing.contains("none.ron: the configuration cannot be read"), "{missing}");
    }

    #[test]
    fn a_place_that_cannot_be_read_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Config::load_from(None, &[folder.path()]).is_err(), "a folder");
        let broken = folder.path().join("broken.ron");
        std::os::unix::fs::symlink("/nonexistent/file", &broken).unwrap();
        assert!(Config::load_from(None, &[&broken]).is_err(), "a broken link");
        let huge = folder.path().join("huge.ron");
        fs::write(&huge, vec![b' '; usize::try_from(LARGEST).unwrap() + 1]).unwrap();
        assert!(Config::load_from(None, &[&huge]).unwrap_err().to_string().contains("larger than 1 MiB"));
    }
}
