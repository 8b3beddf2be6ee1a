//! Writing for people: to a terminal or a pipe, never with somebody else's control characters.
//!
//! Every command prints through this module, so whatever a server or a file says is escaped here. The only sequences that
//! reach a terminal are [`CLEAR`] and those of [`painted`].

use std::io::{ErrorKind, IsTerminal, Write};

use engine::text;
use serde_json::Value;

use super::failure::Failure;

/// How much of a line that has no end yet is kept.
const LONGEST_LINE: usize = 64 << 10;

/// A text as one line that can be shown.
pub(super) fn plain(text: &str) -> String {
    text::escaped(text.as_bytes())
}

/// Prints lines; what is not plain in them is escaped.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let shown = if is_watched() { colourful(text) } else { text::lines(text.as_bytes()) };
    write(format!("{}\n", shown.strip_suffix('\n').unwrap_or(&shown)).as_bytes())
}

/// Prints a document as JSON, which can spell every character.
pub(super) fn document(value: &Value) -> Result<(), Failure> {
    let mut document = text::json(format!("{value:#}").as_bytes()).into_owned();
    document.push(b'\n');
    write(&document)
}

/// Tells a person what went wrong, beside the output.
pub(super) fn warn(text: &str) {
    eprintln!("{}", text::lines(text.as_bytes()));
}

/// A log that arrives in pieces, and is printed as far as its lines are whole: a piece may end within a character.
#[derive(Debug, Default)]
pub(super) struct LineStream {
    waiting: Vec<u8>,
}

impl LineStream {
    /// Prints the lines that a further piece completes.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.waiting.extend_from_slice(piece);
        let whole = match self.waiting.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.waiting.len() > LONGEST_LINE => self.waiting.len(),
            None => 0,
        };
        let rest = self.waiting.split_off(whole);
        let whole = std::mem::replace(&mut self.waiting, rest);
        write(text::lines(&whole).as_bytes())
    }

    /// Prints what is left.
    pub(super) fn finish(self) -> Result<(), Failure> {
        write(text::lines(&self.waiting).as_bytes())
    }
}

/// A text that keeps our own sequences and no other.
fn colourful(text: &str) -> String {
    let mut shown = String::new();
    let mut parts = text.split('\u{1b}');
    shown.push_str(&text::lines(parts.next().unwrap_or_default().as_bytes()));

    for part in parts {
        let is_ours = SEQUENCES.iter().any(|sequence| part.starts_with(sequence));
        shown.push_str(if is_ours { "\u{1b}" } else { "\\u{1b}" });
        shown.push_str(&text::lines(part.as_bytes()));
    }
    shown
}

/// Prints bytes as they are.
pub(super) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::Failed(format!("cannot print: {error}")),
    })
}

/// Whether a person watches the output.
pub(super) fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}

/// Paints a word for a person at a terminal; <https://no-color.org> is honoured.
pub(super) fn painted(word: &str, colour: Colour) -> String {
    let wanted = is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match colour {
        _ if !wanted => word.to_owned(),
        Colour::Good => coloured(GREEN, word),
        Colour::Middling => coloured(YELLOW, word),
        Colour::Bad => coloured(RED, word),
    }
}

fn coloured(colour: &str, word: &str) -> String {
    format!("\u{1b}{colour}{word}\u{1b}{PLAIN}")
}

const GREEN: &str = "[32m";
const YELLOW: &str = "[33m";
const RED: &str = "[31m";
const PLAIN: &str = "[0m";
/// What begins our own sequences, behind the character that all of them begin with.
const SEQUENCES: [&str; 6] = [GREEN, YELLOW, RED, PLAIN, "[2J", "[H"];
/// Clears the screen.
pub(super) const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// What a word means for its reader.
#[derive(Debug, Clone, Copy)]
pub(super) enum Colour {
    /// All is well.
    Good,
    /// Look when there is time.
    Middling,
    /// Look now.
    Bad,
}

/// A state of a run in its colour.
pub(super) fn state(name: &str) -> String {
    match name {
        "succeeded" | "unchanged" | "running" => painted(name, Colour::Good),
        "failed" => painted(name, Colour::Bad),
        "partial" | "interrupted" | "cancelled" | "backing-off" | "held" => painted(name, Colour::Middling),
        _ => plain(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_sequences_reach_a_terminal() {
        let ours = format!("{CLEAR}{} {}", coloured(GREEN, "good"), coloured(RED, "bad"));
        assert_eq!(colourful(&ours), ours);
        let others = "\u{1b}]0;title\u{7}\u{1b}[?25l\u{9b}31m\u{1b}c\u{202e}";
        let shown = colourful(&format!("{ours}{others}\n\u{1b}"));
        assert!(!shown[ours.len()..].contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.starts_with(&ours) && shown.contains("\\u{202e}"), "{shown:?}");
    }
}
