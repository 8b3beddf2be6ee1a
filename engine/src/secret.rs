//! A value that must not be seen: rsync passwords, and whatever else opens a door.
//!
//! The one way to read it is [`Secret::expose`], so that a search for that word finds every place where a secret
//! leaves this type.

use std::fmt;

/// Length of the longest password, in bytes.
pub const LONGEST_PASSWORD: usize = 1024;

/// Reason why a text is not taken as a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too long.
    #[error("is longer than {LONGEST_PASSWORD} bytes: give a shorter password")]
    TooLong,
    /// It holds what no line of a text holds.
    #[error("contains a line break or another control character: a password is one line of text")]
    ControlCharacter,
}

/// A secret text. Its `Debug` and `Display` are `***`; it does not implement `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes ownership of a text that somebody gives as a password.
    ///
    /// # Errors
    /// When it breaks the rule of [`Secret::check_password`].
    pub fn password(text: impl Into<String>) -> Result<Self, PasswordError> {
        let password = Self::new(text);
        password.check_password()?;
        Ok(password)
    }

    /// Checks the one rule for passwords: rsync reads a single line, and whatever is longer is no password.
    ///
    /// # Errors
    /// When the text is too long or holds a control character.
    pub fn check_password(&self) -> Result<(), PasswordError> {
        if self.0.len() > LONGEST_PASSWORD {
            return Err(PasswordError::TooLong);
        }
        if self.0.chars().any(char::is_control) {
            return Err(PasswordError::ControlCharacter);
        }
        Ok(())
    }

    /// The text itself. Call it only where the secret is handed over: to rsync's pipe, to a hash, to the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PASSWORD, PasswordError, Secret};

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_password_is_one_line_of_bounded_length() {
        for good in ["", "hunter2", "p\u{e4}ssw\u{f6}rt \u{1f511}", &"x".repeat(LONGEST_PASSWORD)] {
            assert!(Secret::password(good).is_ok());
        }
        for bad in ["a\nb", "a\0b", "\u{1b}", "\u{9b}", "\u{7f}", "a\r", "\t"] {
            assert_eq!(Secret::password(bad), Err(PasswordError::ControlCharacter), "{bad:?}");
        }
        assert_eq!(Secret::password("x".repeat(LONGEST_PASSWORD + 1)), Err(PasswordError::TooLong));
    }
}
