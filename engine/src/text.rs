//! Text from outside: its alphabet and length where it comes in, and the one way to show it.
//!
//! What a person types is refused where it does not fit ([`check`]). What a machine says (an upstream, another server, a
//! plugin) is escaped where it enters our records ([`escaped`], [`clipped`]). Whatever writes to a terminal, a log or a
//! document escapes once more ([`lines`], [`json`]), so that no way around the first two leads to a reader.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

/// Longest text that a person may give anywhere, in bytes; most fields take less.
pub const LONGEST_TEXT: usize = 16 << 10;

/// A text that does not fit its field; each is the end of a sentence that begins with the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has more than this many bytes.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// It holds a character that steers a terminal, ends a line, or turns the direction of reading.
    #[error("contains a control character ({}); leave it out", escaped_char(*.0))]
    ControlCharacter(char),
}

/// Returns true if a character only shows itself: it is no control character (C0, DEL, C1), turns no direction of reading,
/// and ends no line.
#[must_use]
pub fn is_plain_char(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
    !c.is_control() && !turns && !ends_line
}

/// Returns true if a text is one line of plain characters.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    text.chars().all(is_plain_char)
}

/// Checks a text of one line.
///
/// # Errors
/// When it is too long, or holds a character that is not plain.
pub fn check(text: &str, longest: usize) -> Result<(), TextError> {
    check_chars(text, longest, is_plain_char)
}

/// Checks a text that may have several lines, and tabs in them.
///
/// # Errors
/// When it is too long, or holds another character that is not plain.
pub fn check_lines(text: &str, longest: usize) -> Result<(), TextError> {
    check_chars(text, longest, |c| is_plain_char(c) || matches!(c, '\n' | '\t'))
}

fn check_chars(text: &str, longest: usize, is_good: impl Fn(char) -> bool) -> Result<(), TextError> {
    if text.len() > longest {
        return Err(TextError::TooLong(longest));
    }
    match text.chars().find(|&c| !is_good(c)) {
        Some(c) => Err(TextError::ControlCharacter(c)),
        None => Ok(()),
    }
}

/// One line as it can be shown anywhere. What is not plain becomes an escape: `\u{9b}`, and `\xff` for a byte that is not
/// UTF-8. Tabs stay.
#[must_use]
pub fn escaped(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());

    for chunk in line.utf8_chunks() {
        push_escaped(&mut text, chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// The same for a text of several lines.
#[must_use]
pub fn lines(text: &[u8]) -> String {
    let lines: Vec<String> = text.split(|byte| *byte == b'\n').map(escaped).collect();
    lines.join("\n")
}

/// What a machine says, as one line of at most `longest` bytes.
#[must_use]
pub fn clipped(text: &str, longest: usize) -> String {
    let mut line = escaped(&text.as_bytes()[..text.floor_char_boundary(longest)]);
    line.truncate(line.floor_char_boundary(longest));
    line
}

/// The same JSON document with every character that is not plain spelt as JSON spells it (`\u009b`), so that a terminal
/// can show it. Its values do not change.
#[must_use]
pub fn json(document: &[u8]) -> Cow<'_, [u8]> {
    // The bytes with which such a character begins; JSON holds no other control character inside of a text.
    let suspect = memchr3(0x7f, 0xc2, 0xe2, document).or_else(|| memchr(0xd8, document));
    let Some(text) = suspect.and_then(|_| std::str::from_utf8(document).ok()) else {
        return Cow::Borrowed(document);
    };

    let is_good = |c: char| is_plain_char(c) || matches!(c, '\n' | '\r' | '\t');
    if text.chars().all(is_good) {
        return Cow::Borrowed(document);
    }
    let mut spelt = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_good(c) { spelt.push(c) } else { spelt.push_str(&format!("\\u{:04x}", u32::from(c))) }
    }
    Cow::Owned(spelt.into_bytes())
}

fn push_escaped(shown: &mut String, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        shown.push_str(text);
        return;
    }
    for c in text.chars() {
        if is_plain_char(c) || c == '\t' { shown.push(c) } else { shown.push_str(&escaped_char(c)) }
    }
}

/// `\n`, `\u{9b}`
fn escaped_char(c: char) -> String {
    match c {
        '\n' | '\r' => c.escape_default().to_string(),
        c => c.escape_unicode().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_plain_is_spelt_out() {
        assert_eq!(escaped(b"a\x1b[31m\tb\xff\xc2\x9b\r\n"), "a\\u{1b}[31m\tb\\xff\\u{9b}\\r\\n");
        assert_eq!(escaped("\u{7f}\u{202e}gnp\u{2028}ä".as_bytes()), "\\u{7f}\\u{202e}gnp\\u{2028}ä");
        assert_eq!(lines(b"a\n\x1bb\n"), "a\n\\u{1b}b\n");
    }

    #[test]
    fn a_text_of_a_machine_is_one_line_of_bounded_length() {
        assert_eq!(clipped("a\nb", 100), "a\\nb");
        assert_eq!(clipped("a\u{e4}\u{f6}", 4), "a\u{e4}");
        assert_eq!(clipped(&"\u{1b}".repeat(100), 10), "\\u{1b}\\u{1");
    }

    #[test]
    fn a_text_of_a_person_is_refused_with_what_is_wrong() {
        assert_eq!(check("grüße 中文", 20), Ok(()));
        assert_eq!(check("12345", 4), Err(TextError::TooLong(4)));
        assert_eq!(check("a\nb", 4), Err(TextError::ControlCharacter('\n')));
        assert_eq!(check_lines("a\n\tb", 4), Ok(()));
        let error = check_lines("\u{202e}", 4).unwrap_err().to_string();
        assert_eq!(error, "contains a control character (\\u{202e}); leave it out");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_plain_once_it_is_shown(bytes: Vec<u8>, text: String) {
            for shown in [escaped(&bytes), escaped(text.as_bytes()), clipped(&text, 50)] {
                prop_assert!(check_lines(&shown, usize::MAX).is_ok(), "{:?}", shown);
            }
        }

        #[test]
        fn a_document_stays_what_it_is(text: String, ends in "[\u{7f}-\u{9f}\u{200e}\u{202e}\u{2069}\u{61c}]{0,3}") {
            let value = serde_json::json!({ "a": text + &ends });
            let document = serde_json::to_vec(&value).unwrap();
            let shown = json(&document);
            prop_assert!(check_lines(std::str::from_utf8(&shown).unwrap(), usize::MAX).is_ok());
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
