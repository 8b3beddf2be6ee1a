//! Writing for people: to a terminal or a pipe, never with somebody else's control characters.

use std::io::{ErrorKind, IsTerminal, Write};

use super::failure::Failure;

/// A text without control characters: those that stood in it are shown as `\u{1b}`.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Prints lines that are already fit to be shown.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let mut bytes = text.as_bytes().to_vec();
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    write(&bytes)
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
        Colour::Good => format!("\u{1b}[32m{word}\u{1b}[0m"),
        Colour::Middling => format!("\u{1b}[33m{word}\u{1b}[0m"),
        Colour::Bad => format!("\u{1b}[31m{word}\u{1b}[0m"),
    }
}

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
