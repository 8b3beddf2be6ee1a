//! A part of a file system: `"5%"` of it, or `"20GiB"`.

use super::duration::Size;
use super::reader::Reader;
use super::tree::Node;
use super::value::{Shown, Value};
use std::fmt;
use std::str::FromStr;

/// A part of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Hundredths of it, 0 to 100.
    Percent(u8),
    /// So much of it.
    Bytes(Size),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected a share such as \"5%\", or a size such as \"20GiB\"";
        match text.strip_suffix('%') {
            Some(number) => match number.trim().parse() {
                Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
                _ => Err(format!("{expected}: a percentage is a whole number from 0 to 100")),
            },
            None => text.parse().map(Self::Bytes).map_err(|_| expected.to_owned()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}

impl Value for Share {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(bytes) = reader.quiet_scalar(node) {
            return Some(Self::Bytes(Size(bytes)));
        }
        let text: String =
            reader.scalar(node, "a share such as \"5%\", or a size such as \"20GiB\" in double quotes")?;
        text.parse().map_or_else(|message| reader.refuse(node, message), Some)
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, Size};

    #[test]
    fn a_share_is_read_as_it_is_written_and_nothing_else_is_one() {
        for (text, share) in
            [("5%", Share::Percent(5)), ("0%", Share::Percent(0)), ("20GiB", Share::Bytes(Size(20 << 30)))]
        {
            assert_eq!(text.parse(), Ok(share));
            assert_eq!(share.to_string(), text);
        }
        for text in ["101%", "-1%", "5.5%", "five", "%", ""] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
