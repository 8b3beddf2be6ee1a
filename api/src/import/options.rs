//! A command line of rsync's options as Heliostat's: each one checked against the engine's list, alone.
//!
//! What a project may use stays as it was written, in the same order, since the first matching exclude rule decides.
//! Rules in files are written out. What is not allowed comes back with the reason; what would change which files the
//! mirror holds, and could not be carried over, makes the project rest until somebody has looked at it.

mod words;

use std::path::{Path, PathBuf};

use engine::Options;

pub(super) use words::split as shell_words;

/// Beginning of a file with a key or a certificate (RFC 7468).
const PEM: &str = "-----BEGIN ";
/// The most rules that are read from one file.
const MAX_RULES: usize = 1000;

/// What became of an option list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mapped {
    /// The folder below which rule files are read.
    folder: PathBuf,
    /// The options that a project may use, in order.
    pub(super) options: Vec<String>,
    /// How it deletes, if the list says so.
    pub(super) delete: Option<String>,
    /// `--max-delete`.
    pub(super) max_delete: Option<u64>,
    /// `--port`.
    pub(super) port: Option<u16>,
    /// What could not be mapped.
    pub(super) left: Vec<Left>,
}

/// An option that could not be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    /// It, and its value.
    pub(super) option: String,
    /// Why, and what to do.
    pub(super) why: String,
    /// Without it the mirror would hold other files.
    pub(super) changes_the_tree: bool,
    /// Heliostat does the same in its own way: nothing is lost.
    pub(super) harmless: bool,
}

/// Options that Heliostat sets itself, or whose result it records anyway.
const OWN: [&str; 14] = [
    "human-readable",
    "progress",
    "itemize-changes",
    "quiet",
    "partial-dir",
    "out-format",
    "log-format",
    "log-file",
    "log-file-format",
    "info",
    "stderr",
    "outbuf",
    "devices",
    "specials",
];
/// Options without which another tree would come.
const SHAPING: [&str; 12] = [
    "filter",
    "exclude-from",
    "include-from",
    "files-from",
    "from0",
    "cvs-exclude",
    "copy-links",
    "copy-unsafe-links",
    "copy-dirlinks",
    "relative",
    "dirs",
    "one-file-system",
];

/// Maps words as rsync's own parser would get them. Rule files are read from below `folder` only,
/// which the operator named; other files can be anybody's secrets, and would go to an upstream.
pub(super) fn map(words: &[String], folder: &Path) -> Mapped {
    let mut mapped = Mapped { folder: folder.to_owned(), ..Mapped::default() };
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word.strip_prefix("--") {
            Some(long) if !long.is_empty() => {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None if words::TAKES_VALUE.contains(&long) => (long, rest.next()),
                    None => (long, None),
                };
                mapped.long(name, value);
            }
            _ => match word.strip_prefix('-').filter(|letters| !letters.is_empty() && word != "--") {
                Some(letters) => mapped.cluster(letters, &mut rest),
                None => mapped.leave(word, "is not an option of rsync's; leave it out", false),
            },
        }
    }
    mapped
}

/// Two lists of at most a hundred options, as a project takes them: what is too long runs over into the first.
pub(super) fn spread(mut defaults: Vec<String>, mut basic: Vec<String>) -> (Vec<String>, Vec<String>) {
    const MOST: usize = 100;
    let over = basic.len().saturating_sub(MOST).min(MOST.saturating_sub(defaults.len()));
    defaults.extend(basic.drain(..over));
    (defaults, basic)
}

impl Mapped {
    fn long(&mut self, name: &str, value: Option<&str>) {
        let written = value.map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}"));
        match (name, value) {
            ("del" | "delete-during", None) => self.delete_by("--delete-during"),
            ("delete", None) => {
                // The general word beside a more exact one says nothing more.
                self.delete.get_or_insert(written);
            }
            (_, None) if name.starts_with("delete-") => self.delete_by(&written),
            ("max-delete", Some(value)) => match value.parse() {
                Ok(most) => self.max_delete = Some(most),
                Err(_) => self.leave(
                    &written,
                    "is not a number that can be kept; set the guard's `max_delete`",
                    false,
                ),
            },
            ("port", Some(value)) => match value.parse() {
                Ok(port) if port != 0 => self.port = Some(port),
                _ => self.leave(&written, "is no port", false),
            },
            ("exclude", Some(rule)) => self.rule('-', rule, &written),
            ("include", Some(rule)) => self.rule('+', rule, &written),
            ("exclude-from", Some(file)) => self.rules('-', file, &written),
            ("include-from", Some(file)) => self.rules('+', file, &written),
            ("filter", Some(rule)) => self.filter(rule, &written),
            ("password-file", Some(_)) => self.leave(
                &written,
                "is not read here; give it with `heliostat project update ID --password-file FILE`",
                false,
            ),
            ("rsh", _) => self.leave(
                &written,
                "is refused: sources are rsync daemons and no remote shell is started; leave it out",
                false,
            ),
            _ if OWN.contains(&name) => self.own(&written),
            _ => self.checked(&written, name),
        }
    }

    fn cluster<'a>(&mut self, letters: &'a str, rest: &mut impl Iterator<Item = &'a str>) {
        let mut kept = String::new();
        for (index, letter) in letters.char_indices() {
            let after = letters.get(index + letter.len_utf8()..).unwrap_or_default();
            let mut value = || if after.is_empty() { rest.next().unwrap_or_default() } else { after };
            let long = match letter {
                'e' => "rsh",
                'f' => "filter",
                'T' => "temp-dir",
                'M' => "remote-option",
                '@' => "modify-window",
                'B' => "block-size",
                _ => {
                    match letter {
                        'h' | 'q' | 'i' | 'P' => {}
                        'D' => self.own("-D"),
                        'C' => self.checked("-C", "cvs-exclude"),
                        'F' => self.checked("-F", "filter"),
                        'L' => self.checked("-L", "copy-links"),
                        'k' => self.checked("-k", "copy-dirlinks"),
                        'R' => self.checked("-R", "relative"),
                        'd' => self.checked("-d", "dirs"),
                        '0' => self.checked("-0", "from0"),
                        _ => match refusal(&format!("-{letter}")) {
                            None => kept.push(letter),
                            Some(why) => self.leave(&format!("-{letter}"), &why, false),
                        },
                    }
                    continue;
                }
            };
            let value = value().to_owned();
            self.long(long, Some(&value));
            break;
        }
        if !kept.is_empty() {
            self.options.push(format!("-{kept}"));
        }
    }

    /// Takes the option if projects may use it.
    fn checked(&mut self, written: &str, name: &str) {
        match refusal(written) {
            None => self.options.push(written.to_owned()),
            Some(why) => self.leave(written, &why, SHAPING.contains(&name)),
        }
    }

    fn delete_by(&mut self, mode: &str) {
        match &self.delete {
            // Each of them deletes what upstream lacks; this one deletes what is excluded besides.
            Some(known) if known == "--delete-excluded" => {}
            _ => self.delete = Some(mode.to_owned()),
        }
    }

    /// One pattern of `--exclude` or `--include`, which may bring its own sign.
    fn rule(&mut self, sign: char, rule: &str, written: &str) {
        if let Err(why) = self.take_rule(sign, rule) {
            self.leave(written, &why, true);
        }
    }

    fn take_rule(&mut self, sign: char, rule: &str) -> Result<(), String> {
        let (sign, pattern) = match (rule.strip_prefix("- "), rule.strip_prefix("+ ")) {
            (Some(pattern), _) => ('-', pattern),
            (_, Some(pattern)) => ('+', pattern),
            _ => (sign, rule),
        };
        if matches!(pattern, ".~tmp~/" | ".~tmp~") {
            // The folder of delayed updates, which Heliostat excludes itself.
            return Ok(());
        }
        let option = if sign == '-' { "exclude" } else { "include" };
        let mapped = format!("--{option}={pattern}");
        match refusal(&mapped) {
            None => self.options.push(mapped),
            Some(why) => return Err(why),
        }
        Ok(())
    }

    fn rules(&mut self, sign: char, file: &str, written: &str) {
        let read = super::below(&self.folder, Path::new(file)).and_then(|file| super::read_text(&file));
        let text = match read {
            Ok(text) => text,
            Err(error) => {
                let why =
                    format!("cannot be read here ({error}); write each of its lines as --exclude=PATTERN");
                return self.leave(written, &why, true);
            }
        };
        if text.lines().any(|line| line.starts_with(PEM)) {
            return self.leave(written, "holds a key or a certificate, and no rules; leave it out", true);
        }
        let lines: Vec<_> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with([';', '#'])).collect();
        if lines.len() > MAX_RULES {
            let why = format!("has {} rules, and a project takes a hundred options: shorten it", lines.len());
            return self.leave(written, &why, true);
        }
        for (number, line) in lines.into_iter().enumerate() {
            if self.take_rule(sign, line).is_err() {
                // What is not a pattern is not repeated: it can be anything.
                let rule = format!("{written}: rule {}", number + 1);
                self.leave(
                    &rule,
                    "is not a pattern that a project can have; write what it means as one",
                    true,
                );
            }
        }
    }

    /// `- PATTERN`, `exclude PATTERN`, and the same for includes; everything else of rsync's rules is left.
    fn filter(&mut self, rule: &str, written: &str) {
        let (kind, pattern) = rule.split_once([' ', '_']).unwrap_or((rule, ""));
        match kind {
            "-" | "exclude" => self.rule('-', pattern, written),
            "+" | "include" => self.rule('+', pattern, written),
            "risk" | "R" | "protect" | "P" if pattern == ".~tmp~/" => {}
            _ => self.leave(
                written,
                "is a rule that projects cannot have; write what it excludes as --exclude=PATTERN",
                true,
            ),
        }
    }

    fn own(&mut self, written: &str) {
        let left = Left {
            option: written.to_owned(),
            why: "is not needed: Heliostat sets such options itself, and records progress, changes and statistics"
                .to_owned(),
            changes_the_tree: false,
            harmless: true,
        };
        self.left.push(left);
    }

    fn leave(&mut self, written: &str, why: &str, changes_the_tree: bool) {
        let left =
            Left { option: written.to_owned(), why: why.to_owned(), changes_the_tree, harmless: false };
        self.left.push(left);
    }
}

/// Why projects may not use this option, by the engine's own check.
fn refusal(option: &str) -> Option<String> {
    let errors = Options::new(&["-r".to_owned()], &[option.to_owned()], "").err()?;
    errors.into_iter().next().map(|error| error.message)
}

#[cfg(test)]
mod tests;
