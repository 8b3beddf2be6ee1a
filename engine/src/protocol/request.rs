//! What a daemon is asked to list, in its words: the arguments of the rsync that it starts for us.

use super::entries::is_plain;
use crate::source::Source;
use crate::text::escaped;

/// The most paths that can be asked for at once; a daemon takes 1,000 arguments.
pub const MAX_PATHS: usize = 500;
/// The longest argument; a daemon reads lines of up to 5 KiB.
const MAX_ARGUMENT: usize = 4096;

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// Everything below the source's path; the entry `.` is the path itself.
    Tree,
    /// What lies directly in this folder below the source's path (empty: in the path itself), and nothing below that.
    /// Names are those in the folder; the entry `.` is the folder itself.
    Folder(&'a [u8]),
    /// These paths below the source's path, and nothing below them. What is not there is missing from the list; the
    /// daemon's words about it are among the errors (and before rsync 3.1 it counts as an I/O error).
    Paths(&'a [&'a [u8]]),
}

/// Why something cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// None, or more than [`MAX_PATHS`].
    #[error("1 to {MAX_PATHS} paths can be asked for at once, not {0}")]
    Count(usize),
    /// Not a relative path, or one that cannot be put into a line, as daemons before rsync 3.0.0 want it.
    #[error("{0:?} cannot be asked for: expected a plain path below the source, without line breaks")]
    Path(String),
    /// Too long.
    #[error("a path of {0} bytes is too long to ask for")]
    Length(usize),
}

/// What we are able to do, for daemons from protocol 30 on, in rsync's letters: `f` reads a list that ends with the
/// sender's I/O errors, `v` reads flags as varints. There is no `i`, with which a list would come folder by folder, and
/// only as fast as we ask for files.
const ABILITIES: &[u8] = b"-e.fv";

/// The arguments that ask for it, with an empty one at the end.
pub(super) fn arguments(source: &Source, what: What<'_>, protocol: u32) -> Result<Vec<u8>, RequestError> {
    let modern = protocol >= 30;
    let mut arguments = Arguments { bytes: Vec::new(), end: if modern { b'\0' } else { b'\n' } };
    arguments.add(b"--server");
    arguments.add(b"--sender");
    if modern {
        arguments.add(ABILITIES);
    }
    match what {
        What::Tree => {
            arguments.add(b"-lptr");
            arguments.add(b".");
            arguments.folder(source, b"")?;
        }
        What::Folder(folder) => {
            arguments.add(b"-lptd");
            arguments.add(b".");
            arguments.folder(source, folder)?;
        }
        What::Paths(paths) => {
            if paths.is_empty() || paths.len() > MAX_PATHS {
                return Err(RequestError::Count(paths.len()));
            }
            // With -R names come back as they were asked for, and the part before /./ does not come back at all.
            arguments.add(b"-lptdR");
            arguments.add(b"--no-implied-dirs");
            arguments.add(b".");
            for path in paths {
                arguments.single(source, path)?;
            }
        }
    }
    arguments.add(b"");
    Ok(arguments.bytes)
}
/// Arguments, each with its end.
struct Arguments {
    bytes: Vec<u8>,
    end: u8,
}

impl Arguments {
    fn add(&mut self, argument: &[u8]) {
        self.bytes.extend_from_slice(argument);
        self.bytes.push(self.end);
    }

    /// A folder; the slash behind it means what is in it.
    fn folder(&mut self, source: &Source, folder: &[u8]) -> Result<(), RequestError> {
        if !folder.is_empty() {
            self.check(folder)?;
        }
        let parts = [source.path().as_bytes(), folder].into_iter().filter(|part| !part.is_empty());
        let path: Vec<u8> = parts.flat_map(|part| [part, b"/"].concat()).collect();
        self.path(source.module(), &path)
    }

    /// A single path, of which only what comes after `/./` is named in the list.
    fn single(&mut self, source: &Source, path: &[u8]) -> Result<(), RequestError> {
        self.check(path)?;
        let path = match (source.path().as_bytes(), path.first()) {
            (b"", Some(b'-')) => [b"././", path].concat(),
            (b"", _) => path.to_vec(),
            (below, _) => [below, b"/./", path].concat(),
        };
        self.path(source.module(), &path)
    }

    fn check(&self, path: &[u8]) -> Result<(), RequestError> {
        let lines = self.end == b'\n';
        if is_plain(path) && !(lines && path.iter().any(|byte| matches!(byte, b'\n' | b'\r'))) {
            return Ok(());
        }
        Err(RequestError::Path(escaped(path)))
    }

    /// Daemons before rsync 3.2.0 take what begins with a dash for an option, wherever it stands.
    fn path(&mut self, module: &str, path: &[u8]) -> Result<(), RequestError> {
        let here: &[u8] = if path.starts_with(b"-") { b"./" } else { b"" };
        let argument = [module.as_bytes(), b"/", here, &quoted(path, module)].concat();
        if argument.len() > MAX_ARGUMENT {
            return Err(RequestError::Length(argument.len()));
        }
        self.add(&argument);
        Ok(())
    }
}

/// The path as a pattern that matches only itself. A daemon takes a part with `*`, `?` or `[` for a pattern, and reads
/// `\` as an escape only in such a part; and it cuts an argument in two before ` MODULE/`.
fn quoted(path: &[u8], module: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(path.len());
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        let before_slash = parts.peek().is_some();
        let blank = part.strip_suffix(module.as_bytes()).filter(|rest| before_slash && rest.ends_with(b" "));
        let blank = blank.map(|rest| rest.len() - 1);
        let pattern = blank.is_some() || part.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        for (at, byte) in part.iter().enumerate() {
            if blank == Some(at) {
                quoted.extend_from_slice(b"[ ]");
                continue;
            }
            if pattern && matches!(byte, b'*' | b'?' | b'[' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(*byte);
        }
        if before_slash {
            quoted.push(b'/');
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, what: What<'_>) -> Result<String, RequestError> {
        asked_in(27, path, what)
    }

    fn asked_in(protocol: u32, path: &str, what: What<'_>) -> Result<String, RequestError> {
        let source = Source::new(None, "host", 873, "mod", path).unwrap();
        arguments(&source, what, protocol).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_tree_is_asked_for_with_a_slash_and_a_path_with_what_comes_back() {
        assert_eq!(asked("", What::Tree).unwrap(), "--server\n--sender\n-lptr\n.\nmod/\n\n");
        assert_eq!(asked("a/b c", What::Tree).unwrap(), "--server\n--sender\n-lptr\n.\nmod/a/b c/\n\n");
        assert_eq!(asked("", What::Folder(b"")).unwrap(), "--server\n--sender\n-lptd\n.\nmod/\n\n");
        assert_eq!(asked("a", What::Folder(b"b/c")).unwrap(), "--server\n--sender\n-lptd\n.\nmod/a/b/c/\n\n");
        assert_eq!(
            asked("dists", What::Paths(&[b"sid/Release", b"-x"])).unwrap(),
            "--server\n--sender\n-lptdR\n--no-implied-dirs\n.\nmod/dists/./sid/Release\nmod/dists/./-x\n\n"
        );
        assert!(asked("", What::Paths(&[b"-x"])).unwrap().ends_with("\n.\nmod/././-x\n\n"));
        assert!(asked("-x", What::Tree).unwrap().ends_with("\n.\nmod/./-x/\n\n"));
        assert!(asked("-x", What::Paths(&[b"y"])).unwrap().ends_with("\n.\nmod/./-x/./y\n\n"));
    }

    #[test]
    fn newer_daemons_are_told_what_we_can_and_take_names_with_line_breaks() {
        assert_eq!(
            asked_in(30, "", What::Paths(&[b"a\nb"])).unwrap(),
            "--server\0--sender\0-e.fv\0-lptdR\0--no-implied-dirs\0.\0mod/a\nb\0\0"
        );
    }

    #[test]
    fn what_a_daemon_would_read_otherwise_is_quoted() {
        for (path, expected) in [
            ("a*b?[c]\\d/e\\f", "a\\*b\\?\\[c]\\\\d/e\\f"),
            ("x mod/y mod", "x[ ]mod/y mod"),
            (" mod/y", "[ ]mod/y"),
            ("* mod/y", "\\*[ ]mod/y"),
            ("xmod/y", "xmod/y"),
        ] {
            assert_eq!(String::from_utf8(quoted(path.as_bytes(), "mod")).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_said_in_a_line_is_refused() {
        for path in ["", "/etc", "../x", "a/../b", "a\nb", "a\rb", "a\0b", "a/", "."] {
            let refused = asked("", What::Paths(&[path.as_bytes()]));
            assert!(matches!(refused, Err(RequestError::Path(_))), "{path:?}: {refused:?}");
            let refused = asked("", What::Folder(path.as_bytes()));
            assert!(
                path.is_empty() || matches!(refused, Err(RequestError::Path(_))),
                "{path:?}: {refused:?}"
            );
        }
        assert_eq!(asked("", What::Paths(&[])), Err(RequestError::Count(0)));
        assert_eq!(asked("", What::Paths(&[&b"x"[..]; 501])), Err(RequestError::Count(501)));
        assert!(matches!(asked("", What::Paths(&[&[b'x'; 5000]])), Err(RequestError::Length(_))));
    }
}
