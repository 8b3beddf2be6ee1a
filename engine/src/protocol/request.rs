//! What a daemon is asked to list, in its words: the arguments of the rsync that it starts for us.

use super::entries::is_plain;
use crate::rsync::messages::escaped;
use crate::source::Source;

/// The most paths that can be asked for at once; a daemon takes 1,000 arguments.
pub const MAX_PATHS: usize = 500;
/// The longest argument; a daemon reads lines of up to 5 KiB.
const MAX_ARGUMENT: usize = 4096;

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// Everything below the source's path; the entry `.` is the path itself.
    Tree,
    /// These paths below the source's path, and nothing below them. What is not there is missing from the list; the
    /// daemon's words about it are among the errors.
    Paths(&'a [&'a [u8]]),
}

/// Why something cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// None, or more than [`MAX_PATHS`].
    #[error("1 to {MAX_PATHS} paths can be asked for at once, not {0}")]
    Count(usize),
    /// Not a relative path, or one that cannot be put into a line.
    #[error("{0:?} cannot be asked for: expected a plain path below the source, without line breaks")]
    Path(String),
    /// Too long.
    #[error("a path of {0} bytes is too long to ask for")]
    Length(usize),
}

/// The lines that ask for it, with an empty one at the end.
pub(super) fn arguments(source: &Source, what: What<'_>) -> Result<Vec<u8>, RequestError> {
    let mut lines = b"--server\n--sender\n".to_vec();
    match what {
        What::Tree => {
            lines.extend_from_slice(b"-lptr\n.\n");
            let path = if source.path().is_empty() { String::new() } else { format!("{}/", source.path()) };
            add(&mut lines, source.module(), path.as_bytes())?;
        }
        What::Paths(paths) => {
            if paths.is_empty() || paths.len() > MAX_PATHS {
                return Err(RequestError::Count(paths.len()));
            }
            // With -R names come back as they were asked for, and the part before /./ does not come back at all.
            lines.extend_from_slice(b"-lptdR\n--no-implied-dirs\n.\n");
            let before =
                if source.path().is_empty() { String::new() } else { format!("{}/./", source.path()) };
            for path in paths {
                if !is_plain(path) || path.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                    return Err(RequestError::Path(escaped(path)));
                }
                add(&mut lines, source.module(), &[before.as_bytes(), path].concat())?;
            }
        }
    }
    lines.push(b'\n');
    Ok(lines)
}

fn add(lines: &mut Vec<u8>, module: &str, path: &[u8]) -> Result<(), RequestError> {
    let argument = [module.as_bytes(), b"/", &quoted(path, module)].concat();
    if argument.len() > MAX_ARGUMENT {
        return Err(RequestError::Length(argument.len()));
    }
    lines.extend_from_slice(&argument);
    lines.push(b'\n');
    Ok(())
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
        let source = Source::new(None, "host", 873, "mod", path).unwrap();
        arguments(&source, what).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_tree_is_asked_for_with_a_slash_and_a_path_with_what_comes_back() {
        assert_eq!(asked("", What::Tree).unwrap(), "--server\n--sender\n-lptr\n.\nmod/\n\n");
        assert_eq!(asked("a/b c", What::Tree).unwrap(), "--server\n--sender\n-lptr\n.\nmod/a/b c/\n\n");
        assert_eq!(
            asked("dists", What::Paths(&[b"sid/Release", b"-x"])).unwrap(),
            "--server\n--sender\n-lptdR\n--no-implied-dirs\n.\nmod/dists/./sid/Release\nmod/dists/./-x\n\n"
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
        }
        assert_eq!(asked("", What::Paths(&[])), Err(RequestError::Count(0)));
        assert_eq!(asked("", What::Paths(&[&b"x"[..]; 501])), Err(RequestError::Count(501)));
        assert!(matches!(asked("", What::Paths(&[&[b'x'; 5000]])), Err(RequestError::Length(_))));
    }
}
