//! rsync's mutually exclusive ways to delete.

use std::fmt;
use std::str::FromStr;

use super::OptionsError;

/// When, and by which rule, rsync deletes what upstream no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeleteMode {
    /// `--delete`: rsync chooses the time.
    Delete,
    /// `--delete-before`: before anything is transferred.
    Before,
    /// `--delete-during`, also written `--del`: directory by directory.
    During,
    /// `--delete-delay`: found during the transfer, deleted behind it.
    Delay,
    /// `--delete-after`: found and deleted behind the transfer.
    After,
    /// `--delete-excluded`: what the excludes match is deleted too.
    Excluded,
    /// `--delete-missing-args`: only the tree itself, if upstream no longer has it.
    MissingArgs,
}

impl DeleteMode {
    /// All modes, in the order in which the manual names them.
    pub const ALL: [Self; 7] = [
        Self::Delete,
        Self::Before,
        Self::During,
        Self::Delay,
        Self::After,
        Self::Excluded,
        Self::MissingArgs,
    ];

    /// rsync's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "--delete",
            Self::Before => "--delete-before",
            Self::During => "--delete-during",
            Self::Delay => "--delete-delay",
            Self::After => "--delete-after",
            Self::Excluded => "--delete-excluded",
            Self::MissingArgs => "--delete-missing-args",
        }
    }
}

impl fmt::Display for DeleteMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeleteMode {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        if text == "--del" {
            return Ok(Self::During);
        }
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| OptionsError {
            field: "options.delete".to_owned(),
            message: format!(
                "{:?} is no way to delete: use one of {}, or an empty text to delete nothing",
                text.chars().take(60).collect::<String>(),
                Self::ALL.map(Self::as_str).join(", "),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DeleteMode;

    #[test]
    fn each_mode_is_read_as_it_is_written() {
        for mode in DeleteMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("--del".parse(), Ok(DeleteMode::During));
    }

    #[test]
    fn nothing_else_is_a_mode() {
        for text in
            ["", "delete", "--delete ", "--delete --rsh=sh", "--DELETE", "--delete=1", "-d", "--delete-"]
        {
            let error = text.parse::<DeleteMode>().unwrap_err();
            assert_eq!(error.field, "options.delete");
            assert!(error.message.contains("--delete-after"), "{}", error.message);
        }
    }
}
