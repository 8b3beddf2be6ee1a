//! Where a secret of the configuration comes from, and how it is fetched.
//!
//! A secret is fetched when it is needed, not when the configuration is read, so that `config check` works on a
//! machine that does not hold it. Neither `Debug` nor `config show` prints an inline secret.

use engine::{PasswordError, Secret};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longest secret file, in bytes: more than that is the wrong file.
const LONGEST: u64 = 64 * 1024;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `File("path")`: the file's content without the line end.
    File(PathBuf),
    /// `Env("NAME")`: an environment variable.
    Env(String),
    /// `"text"`: in the configuration itself.
    Inline(Secret),
}

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("secret file {path} cannot be read; check the path and its owner")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("secret file {0} is not a regular file")]
    NotAFile(PathBuf),
    /// Everybody on this machine may read or change the file.
    #[error("secret file {path} is open to every user (mode {mode:04o}); run: chmod o= {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is too long or not UTF-8.
    #[error("secret file {0} does not hold a secret: it must be UTF-8 text of at most 64 KiB")]
    NotText(PathBuf),
    /// The file or variable is there and holds nothing.
    #[error("the secret in {0} is empty; write one into it")]
    Empty(String),
    /// It is no password.
    #[error("the password in {origin} {source}")]
    Password {
        /// The file, the variable, or the configuration.
        origin: String,
        /// What is wrong with it.
        source: PasswordError,
    },
    /// The variable is not set, or not UTF-8.
    #[error("environment variable {0} is not set; set it or use File(\"path\")")]
    NotSet(String),
}

impl SecretSource {
    /// Fetches the secret.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        self.fetch().map(|(secret, _)| secret)
    }

    /// Fetches the secret where it is a password, which is one line of bounded length.
    pub fn resolve_password(&self) -> Result<Secret, SecretError> {
        let (password, origin) = self.fetch()?;
        password.check_password().map_err(|source| SecretError::Password { origin, source })?;
        Ok(password)
    }

    /// The secret, and where it comes from in words.
    fn fetch(&self) -> Result<(Secret, String), SecretError> {
        let (text, origin) = match self {
            Self::File(path) => (read(path)?, path.display().to_string()),
            Self::Env(name) => {
                (std::env::var(name).map_err(|_| SecretError::NotSet(name.clone()))?, format!("${name}"))
            }
            Self::Inline(secret) => (secret.expose().to_owned(), "the configuration".to_owned()),
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(SecretError::Empty(origin)) } else { Ok((Secret::new(text), origin)) }
    }
}

/// Reads a file that holds a secret or a private key. It must be a regular file that only its owner
/// and group can read or change.
pub fn read_private(path: &Path) -> Result<Vec<u8>, SecretError> {
    let file = open_private(path)?;
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(SecretError::NotText(path.to_owned()));
    }
    Ok(bytes)
}

/// Returns the reason why a file that is there may not hold a secret. A missing file has none: the
/// configuration can be checked on a machine that does not hold its secrets.
pub(super) fn exposed(path: &Path) -> Option<SecretError> {
    open_private(path).err().filter(|error| matches!(error, SecretError::Exposed { .. }))
}

fn open_private(path: &Path) -> Result<File, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o006 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    Ok(file)
}

fn read(path: &Path) -> Result<String, SecretError> {
    String::from_utf8(read_private(path)?).map_err(|_| SecretError::NotText(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{SecretError, SecretSource};
    use engine::Secret;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn resolve(content: &[u8], mode: u32) -> Result<Secret, SecretError> {
        let (_folder, path) = file(content, mode);
        SecretSource::File(path).resolve()
    }

    #[test]
    fn a_private_file_gives_its_text_without_the_line_end() {
        assert_eq!(resolve(b"open sesame \r\n", 0o640).unwrap().expose(), "open sesame ");
    }

    #[test]
    fn a_file_open_to_everybody_is_refused_with_the_command_to_run() {
        let (_folder, path) = file(b"x", 0o604);
        let error = SecretSource::File(path.clone()).resolve().unwrap_err().to_string();
        assert!(
            error.contains("0604") && error.ends_with(&format!("chmod o= {}", path.display())),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_a_secret_is_refused_with_a_reason() {
        assert!(matches!(resolve(b"\n", 0o600), Err(SecretError::Empty(_))));
        assert!(matches!(resolve(b"\xff", 0o600), Err(SecretError::NotText(_))));
        assert!(matches!(resolve("x".repeat(65 * 1024).as_bytes(), 0o600), Err(SecretError::NotText(_))));
        let missing = SecretSource::File("/nonexistent/secret".into());
        assert!(matches!(missing.resolve(), Err(SecretError::Unreadable { .. })));
        assert!(matches!(SecretSource::File("/".into()).resolve(), Err(SecretError::NotAFile(_))));
        let unset = SecretSource::Env("HELIOSTAT_TEST_NEVER_SET".into()).resolve().unwrap_err().to_string();
        assert!(unset.contains("HELIOSTAT_TEST_NEVER_SET is not set"), "{unset}");
    }

    #[test]
    fn a_password_is_one_line_and_a_secret_may_be_more() {
        let (_folder, path) = file(b"one\ntwo\n", 0o600);
        let source = SecretSource::File(path.clone());
        assert_eq!(source.resolve().unwrap().expose(), "one\ntwo");
        let error = source.resolve_password().unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("line break"), "{error}");
        assert!(SecretSource::Inline(Secret::new("x".repeat(1025))).resolve_password().is_err());
        assert_eq!(SecretSource::Inline(Secret::new("x")).resolve_password().unwrap().expose(), "x");
    }

    #[test]
    fn the_environment_and_the_configuration_can_hold_a_secret() {
        let path = std::env::var("PATH").unwrap();
        assert_eq!(SecretSource::Env("PATH".into()).resolve().unwrap().expose(), path);
        let inline = SecretSource::Inline(Secret::new("hunter2"));
        assert_eq!(inline.resolve().unwrap().expose(), "hunter2");
        assert_eq!(format!("{inline:?}"), "Inline(***)");
    }
}
