//! One element of an option list, taken apart the way rsync's own parser would.

use super::table::{ALLOWED, Allowed, REFUSED};

/// The result of a check: what is wrong, as the end of a sentence that begins with the option.
pub(super) type Checked = Result<(), &'static str>;

/// What the lists say about settings that the engine would otherwise choose itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one option is in the list; they do not depend on each other"
)]
pub(in crate::rsync) struct Facts {
    /// The tree below the top is copied at all.
    pub(in crate::rsync) recursive: bool,
    /// A file list that grows while files are sent is wished.
    pub(in crate::rsync) incremental: bool,
    /// Links are made harmless by renaming their targets.
    pub(in crate::rsync) munge_links: bool,
    /// Extended attributes are copied.
    pub(in crate::rsync) xattrs: bool,
    /// Directories in which nothing is are left out.
    pub(in crate::rsync) prune_empty_dirs: bool,
    /// The list's own `--timeout`, in seconds.
    pub(in crate::rsync) timeout: Option<u64>,
    /// Whether the list has an `--include`.
    pub(in crate::rsync) includes: bool,
    /// The list has its own `--contimeout`.
    pub(in crate::rsync) contimeout: bool,
    /// The list's own bandwidth in KiB per second.
    pub(in crate::rsync) bwlimit_kib: Option<u64>,
}

/// An option's longest text.
const MAX_LENGTH: usize = 1024;

/// Checks one element and notes what it says. The error is a whole sentence.
pub(super) fn option(text: &str, facts: &mut Facts) -> Result<(), String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("{} is longer than {MAX_LENGTH} bytes", shortened(text)));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} contains a control character", shortened(text)));
    }
    match text.strip_prefix('-') {
        None => Err(format!(
            "{} is not an option: a value belongs to its option with =, as in --bwlimit=5",
            shortened(text)
        )),
        Some("" | "-") => Err(format!("{text} alone is not an option")),
        Some(rest) => match rest.strip_prefix('-') {
            Some(long) => long_option(long, facts),
            None => cluster(rest, facts),
        },
    }
}

/// `name` or `name=value`; only whole names count.
fn long_option(text: &str, facts: &mut Facts) -> Result<(), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let option = ALLOWED.iter().find(|option| option.long == name).ok_or_else(|| refusal_of_name(name))?;
    let shown = format!("--{name}");
    match (option.value, value) {
        (None, None) => {}
        (None, Some(_)) => return Err(format!("{shown} takes no value")),
        (Some(_), None) => return Err(format!("{shown} needs a value behind =, in the same list element")),
        (Some(check), Some(value)) => check(value).map_err(|why| format!("{shown} {why}"))?,
    }
    facts.note(option, value);
    Ok(())
}

/// `avH` or `HSB8192`: letters, the last of which may take the rest as its value.
fn cluster(letters: &str, facts: &mut Facts) -> Result<(), String> {
    for (index, letter) in letters.char_indices() {
        let option = ALLOWED
            .iter()
            .find(|option| option.short == Some(letter))
            .ok_or_else(|| refusal_of_letter(letter, letters))?;
        let Some(check) = option.value else {
            facts.note(option, None);
            continue;
        };
        let value = letters.get(index + letter.len_utf8()..).unwrap_or_default();
        check(value).map_err(|why| format!("-{letter} {why}"))?;
        facts.note(option, Some(value));
        break;
    }
    Ok(())
}

fn refusal_of_name(name: &str) -> String {
    let plain = name.strip_prefix("no-").unwrap_or(name);
    let reason = REFUSED.iter().find(|refused| refused.long.contains(&name) || refused.long.contains(&plain));
    refusal(&format!("--{name}"), reason.map(|refused| refused.why))
}

fn refusal_of_letter(letter: char, letters: &str) -> String {
    if letter == ' ' {
        return format!("{} holds a blank: write each option as its own list element", shortened(letters));
    }
    let reason = REFUSED.iter().find(|refused| refused.short.contains(letter));
    refusal(&format!("-{letter}"), reason.map(|refused| refused.why))
}

fn refusal(option: &str, why: Option<&str>) -> String {
    let why = why.unwrap_or("it is not in the list of options that projects may use; leave it out");
    format!("{} is refused: {why}", shortened(option))
}

/// The text, quoted, and not all of it if it is long.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start:?}...") } else { format!("{start:?}") }
}

impl Facts {
    fn note(&mut self, option: &Allowed, value: Option<&str>) {
        match option.long {
            "archive" | "recursive" => self.recursive = true,
            "inc-recursive" | "i-r" => self.incremental = true,
            "no-inc-recursive" | "no-i-r" => self.incremental = false,
            "munge-links" => self.munge_links = true,
            "xattrs" => self.xattrs = true,
            "prune-empty-dirs" => self.prune_empty_dirs = true,
            "no-prune-empty-dirs" | "no-m" => self.prune_empty_dirs = false,
            "timeout" => self.timeout = value.and_then(|value| value.parse().ok()),
            "include" => self.includes = true,
            "contimeout" => self.contimeout = true,
            "bwlimit" => self.bwlimit_kib = value.and_then(kib),
            _ => {}
        }
    }
}

fn whole(value: &str, range: std::ops::RangeInclusive<u64>) -> bool {
    // A sign, which parse() would take, is not for us.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits && value.parse().is_ok_and(|number| range.contains(&number))
}

/// Seconds that are a bound: not 0, which means none.
pub(super) fn timeout(value: &str) -> Checked {
    if whole(value, 1..=86_400) { Ok(()) } else { Err("takes seconds, 1 to 86400") }
}

pub(super) fn port(value: &str) -> Checked {
    if whole(value, 1..=65_535) { Ok(()) } else { Err("takes a port, 1 to 65535") }
}

pub(super) fn level(value: &str) -> Checked {
    if whole(value, 0..=22) { Ok(()) } else { Err("takes a level, 0 to 22") }
}

/// Seconds between two times that still count as the same; -1 compares nanoseconds.
pub(super) fn window(value: &str) -> Checked {
    if value == "-1" || whole(value, 0..=86_400) { Ok(()) } else { Err("takes seconds, -1 to 86400") }
}

pub(super) fn block_size(value: &str) -> Checked {
    if whole(value, 64..=131_072) {
        Ok(())
    } else {
        Err("takes bytes, 64 to 131072, written directly behind it: -B8192 or --block-size=8192")
    }
}

pub(super) fn rate(value: &str) -> Checked {
    if kib(value).is_some() {
        Ok(())
    } else {
        Err("takes KiB per second, a whole number of 1 to 1000000000, or one with K, M or G behind it")
    }
}

/// A bandwidth in KiB per second.
fn kib(value: &str) -> Option<u64> {
    let (digits, factor) = match value.as_bytes().last()? {
        b'K' | b'k' => (value.get(..value.len() - 1)?, 1),
        b'M' | b'm' => (value.get(..value.len() - 1)?, 1024),
        b'G' | b'g' => (value.get(..value.len() - 1)?, 1024 * 1024),
        _ => (value, 1),
    };
    let number = if whole(digits, 1..=1_000_000_000) { digits.parse::<u64>().ok()? } else { return None };
    number.checked_mul(factor).filter(|kib| *kib <= 1_000_000_000)
}

/// `500`, `1.5G`, `100KiB`.
pub(super) fn size(value: &str) -> Checked {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = value.get(..value.len() - unit.len()).unwrap_or_default();
    let numeric = number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok();
    let known =
        matches!(unit.to_ascii_lowercase().as_str(), "" | "b" | "k" | "kb" | "kib" | "m" | "mb" | "mib")
            || matches!(unit.to_ascii_lowercase().as_str(), "g" | "gb" | "gib" | "t" | "tb" | "tib");
    if numeric && known && number.len() <= 20 {
        Ok(())
    } else {
        Err("takes a size, such as 500, 1.5G or 100KiB")
    }
}

/// The name of an algorithm, or several.
pub(super) fn word(value: &str) -> Checked {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b',';
    let named = value.starts_with(|c: char| c.is_ascii_lowercase());
    if named && value.len() <= 60 && value.bytes().all(plain) {
        Ok(())
    } else {
        Err("takes the name of an algorithm, such as zstd or xxh128")
    }
}

/// `gz/jpg/mp[34]`
pub(super) fn suffixes(value: &str) -> Checked {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'[' | b']' | b'_' | b'-' | b'+');
    if value.bytes().all(plain) { Ok(()) } else { Err("takes suffixes, such as gz/jpg/mp[34]") }
}

/// A pattern that is nothing but a pattern: rsync reads `!`, `+ ` and `- ` at the start as commands.
pub(super) fn pattern(value: &str) -> Checked {
    if value.is_empty() {
        return Err("needs a pattern behind =");
    }
    if value.starts_with(['!', ' ']) || value.starts_with("+ ") || value.starts_with("- ") {
        return Err("takes only a pattern, without !, + or - before it: use --include or --exclude for each");
    }
    Ok(())
}

/// rsync's `--chmod` grammar without what gives a file the rights of its owner: `D755,F644`, `go-w`, `Fa=rX`.
pub(super) fn chmod(value: &str) -> Checked {
    if value.split(',').all(|part| symbolic_mode(part) || octal_mode(part)) {
        Ok(())
    } else {
        Err("takes modes such as D755,F644 or go-w; set-user-id, set-group-id and sticky bits cannot be set")
    }
}

fn octal_mode(part: &str) -> bool {
    let digits = part.strip_prefix(['D', 'F']).unwrap_or(part);
    let digits = if digits.len() == 4 { digits.strip_prefix('0').unwrap_or_default() } else { digits };
    digits.len() == 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

fn symbolic_mode(part: &str) -> bool {
    let clause = part.strip_prefix(['D', 'F']).unwrap_or(part);
    let clause = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    let Some((operator, bits)) = clause.split_at_checked(1) else { return false };
    let allowed = match operator {
        "-" => "rwxXst",
        "+" | "=" => "rwxX",
        _ => return false,
    };
    !bits.is_empty() && bits.chars().all(|bit| allowed.contains(bit))
}

#[cfg(test)]
mod forbidden;
#[cfg(test)]
mod tests;
