//! Who is asking. There is one user, `root`, by HTTP Basic; everything that is not marked open asks for it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use engine::Secret;
use subtle::ConstantTimeEq;

/// The environment variable that sets root's password.
pub const PASSWORD_VARIABLE: &str = "HELIOSTAT_ROOT_PASSWORD";

/// Knows the users.
#[derive(Debug)]
pub struct Users {
    root: Secret,
}

/// A user who has proved to be who they say.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Their name, for records.
    pub name: String,
}

/// Where root's password came from, for the first start to tell.
#[derive(Debug)]
pub enum PasswordFrom {
    /// The environment.
    Environment,
    /// The file of an earlier start.
    File(PathBuf),
    /// It was made just now, and is in this file too.
    Made(Secret, PathBuf),
}

impl Users {
    /// Takes root's password from the environment, from the file of an earlier start, or makes one.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn load(data_dir: &Path) -> io::Result<(Self, PasswordFrom)> {
        if let Some(password) = std::env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty()) {
            return Ok((Self { root: Secret::new(password) }, PasswordFrom::Environment));
        }
        let path = data_dir.join("root-password");
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => {
                Ok((Self { root: Secret::new(text.trim()) }, PasswordFrom::File(path)))
            }
            Ok(_) => Self::make(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(error),
        }
    }

    fn make(path: PathBuf) -> io::Result<(Self, PasswordFrom)> {
        let password = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>());
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        writeln!(file, "{password}")?;
        file.sync_all()?;
        let root = Secret::new(password);
        Ok((Self { root: root.clone() }, PasswordFrom::Made(root, path)))
    }

    /// The user whom a request's `Authorization` proves.
    #[must_use]
    pub fn authenticate(&self, headers: &HeaderMap) -> Option<Actor> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        let right = password.as_bytes().ct_eq(self.root.expose().as_bytes());
        (name == "root" && bool::from(right)).then(|| Actor { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users { root: Secret::new("s3cret:with colon") }
    }

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn only_the_right_password_of_root_is_let_in() {
        let good = format!("Basic {}", STANDARD.encode("root:s3cret:with colon"));
        assert_eq!(users().authenticate(&with(&good)).unwrap().name, "root");
        for bad in ["root:s3cret", "root:", "admin:s3cret:with colon", "root", ""] {
            let header = format!("Basic {}", STANDARD.encode(bad));
            assert!(users().authenticate(&with(&header)).is_none(), "{bad:?} was let in");
        }
        for bad in ["Basic", "Basic !!!", "Bearer abc", ""] {
            assert!(users().authenticate(&with(bad)).is_none(), "{bad:?} was let in");
        }
        assert!(users().authenticate(&HeaderMap::new()).is_none());
    }

    #[test]
    fn the_first_start_makes_a_password_and_the_second_finds_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (_, from) = Users::load(folder.path()).unwrap();
        let PasswordFrom::Made(made, path) = from else { panic!("no password was made") };
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (second, from) = Users::load(folder.path()).unwrap();
        assert!(matches!(from, PasswordFrom::File(_)));
        assert_eq!(second.root, made);
    }
}
