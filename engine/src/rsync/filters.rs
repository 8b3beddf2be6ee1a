//! The filter rules of an rsync's command line, for a file list that is read without an rsync.
//!
//! The upstream applies the rules, as it does for rsync: they are sent to it in rsync's own words.
//! A command line can be read only if every option in it is known to leave the list as it is; any
//! other one is refused with the option's name.

use std::ffi::OsString;

/// Rules in the order of the command line; the first one that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilters {
    rules: Vec<FilterRule>,
    /// Set by `--delete-excluded`: excluded entries are deleted too.
    delete_excluded: bool,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FilterRule {
    effect: RuleEffect,
    pattern: String,
}

/// Effect of a rule on what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleEffect {
    /// Not listed, and protected from deletion.
    Exclude,
    /// Listed, and not protected.
    Include,
    /// Protected from deletion only.
    Protect,
}

/// Letters of options that leave the list as it is.
const LETTERS: &str = "arlptgoHEAXOJcuIzWSysv";

/// Long options that leave the list as it is, without dashes.
const WORDS: &[&str] = &[
    "archive",
    "recursive",
    "links",
    "perms",
    "times",
    "group",
    "owner",
    "hard-links",
    "executability",
    "acls",
    "xattrs",
    "omit-dir-times",
    "omit-link-times",
    "numeric-ids",
    "safe-links",
    "munge-links",
    "checksum",
    "update",
    "ignore-times",
    "size-only",
    "existing",
    "ignore-non-existing",
    "ignore-existing",
    "compress",
    "whole-file",
    "sparse",
    "fuzzy",
    "secluded-args",
    "protect-args",
    "delay-updates",
    "partial",
    "preallocate",
    "fsync",
    "verbose",
    "stats",
    "dry-run",
    "force",
    "delete",
    "delete-before",
    "delete-during",
    "delete-delay",
    "delete-after",
    "delete-excluded",
];

/// Options that take away what another one asked for and leave the list as it is, without `--no-`.
const NEGATED: &[&str] = &[
    "perms",
    "p",
    "times",
    "t",
    "group",
    "g",
    "owner",
    "o",
    "devices",
    "specials",
    "D",
    "hard-links",
    "H",
    "acls",
    "A",
    "xattrs",
    "X",
    "omit-dir-times",
    "O",
    "one-file-system",
    "x",
    "prune-empty-dirs",
    "m",
    "numeric-ids",
    "checksum",
    "c",
    "whole-file",
    "W",
    "sparse",
    "S",
    "compress",
    "z",
    "fuzzy",
    "y",
    "inc-recursive",
    "i-r",
    "super",
    "verbose",
    "v",
    "motd",
    "human-readable",
    "h",
];

/// Options with a value that leave the list as it is, without dashes. Bounds on the size of files
/// are among them: rsync does not bring what is beyond them, and does not delete it.
const VALUED: &[&str] = &[
    "chmod",
    "max-size",
    "min-size",
    "modify-window",
    "checksum-choice",
    "cc",
    "block-size",
    "compress-choice",
    "zc",
    "compress-level",
    "zl",
    "skip-compress",
    "bwlimit",
    "timeout",
    "contimeout",
    "max-delete",
    "partial-dir",
    "sockopts",
    "info",
    "stderr",
    "out-format",
    "password-file",
];

impl ListFilters {
    /// Reads the arguments of an rsync that looks at a whole tree.
    ///
    /// # Errors
    /// The first option that may change the list in a way that is not known here.
    pub fn read(arguments: &[OsString]) -> Result<Self, String> {
        let mut filters = Self::default();

        for argument in arguments {
            let text = argument.to_str().ok_or_else(|| argument.to_string_lossy().into_owned())?;
            // Source and destination follow.
            if text == "--" {
                break;
            }
            let known = match text.strip_prefix("--") {
                Some(long) => filters.read_long(long),
                None => text.strip_prefix('-').is_some_and(is_harmless_cluster),
            };
            if !known {
                return Err(text.to_owned());
            }
        }
        Ok(filters)
    }

    /// Notes what a long option says; false where it is not known.
    fn read_long(&mut self, long: &str) -> bool {
        let Some((name, value)) = long.split_once('=') else {
            self.delete_excluded |= long == "delete-excluded";
            return WORDS.contains(&long)
                || long.strip_prefix("no-").is_some_and(|name| NEGATED.contains(&name));
        };
        let (effect, pattern) = match name {
            "exclude" => (RuleEffect::Exclude, value),
            "include" => (RuleEffect::Include, value),
            // Extended attributes are in no list.
            "filter" if value.starts_with("-x! ") => return true,
            "filter" => match value.strip_prefix("P ") {
                Some(pattern) => (RuleEffect::Protect, pattern),
                None => return false,
            },
            _ => return VALUED.contains(&name),
        };
        self.rules.push(FilterRule { effect, pattern: pattern.to_owned() });
        true
    }

    /// The rules as a sender reads them before it lists, each behind its length, and a zero length.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut bytes = Vec::new();

        for rule in &self.rules {
            let sign = match rule.effect {
                RuleEffect::Exclude => "- ",
                RuleEffect::Include => "+ ",
                // Only the side that deletes has a use for it.
                RuleEffect::Protect => continue,
            };
            let length = u32::try_from(sign.len() + rule.pattern.len()).unwrap_or_default();
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(sign.as_bytes());
            bytes.extend_from_slice(rule.pattern.as_bytes());
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    /// Returns true if a rule surely keeps a path of the destination, and all below it, from being
    /// deleted. Rules with wildcards never do here, so more may be taken for deleted than rsync
    /// would delete, and never less.
    #[must_use]
    pub fn is_protected(&self, path: &[u8], is_folder: bool) -> bool {
        for rule in &self.rules {
            let applies = rule.effect == RuleEffect::Protect || !self.delete_excluded;
            let has_wildcard = rule.pattern.contains(['*', '?', '[']);
            if !applies {
                continue;
            }
            if rule.effect == RuleEffect::Include {
                // An inclusion that may match takes away the protection by the rules behind it.
                if has_wildcard || matches_plainly(&rule.pattern, path, is_folder) {
                    return false;
                }
            } else if !has_wildcard && matches_plainly(&rule.pattern, path, is_folder) {
                return true;
            }
        }
        false
    }
}

/// Returns true if all letters behind one dash leave the list as it is.
fn is_harmless_cluster(letters: &str) -> bool {
    // The block size takes the rest of the letters.
    let flags = letters.split_once('B').map_or(letters, |(flags, _)| flags);
    !letters.is_empty() && flags.chars().all(|letter| LETTERS.contains(letter))
}

/// Returns true if a pattern without wildcards matches a path, as rsync compares them.
fn matches_plainly(pattern: &str, path: &[u8], is_folder: bool) -> bool {
    let (pattern, folders_only) = match pattern.strip_suffix('/') {
        Some(folder) if !folder.is_empty() => (folder, true),
        _ => (pattern, false),
    };
    if folders_only && !is_folder {
        return false;
    }
    if let Some(anchored) = pattern.strip_prefix('/') {
        return path == anchored.as_bytes();
    }
    // A pattern matches at the end of a path, and whole names only.
    let before = path.strip_suffix(pattern.as_bytes());
    before.is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<ListFilters, String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        ListFilters::read(&arguments)
    }

    #[test]
    fn options_that_may_change_the_list_are_refused_by_name() {
        for option in [
            "-x",
            "-am",
            "-4",
            "-aL",
            "-",
            "--port=9000",
            "--one-file-system",
            "--prune-empty-dirs",
            "--files-from=/l",
            "--delete-missing-args",
            "--filter=H index",
            "--filter=merge /etc/passwd",
            "--ipv6",
            "--unknown",
        ] {
            assert_eq!(read(&["-avH", option, "--", "x"]), Err(option.to_owned()));
        }
        assert!(read(&["-avHB8192", "--max-size=1M", "--no-h", "--chmod=Fug-s", "--", "-x"]).is_ok());
    }

    #[test]
    fn rules_go_over_the_wire_in_their_order() {
        let filters = read(&["--include=/a/", "--filter=P /mine", "--exclude=*.iso"]).unwrap();
        assert_eq!(filters.to_wire(), b"\x05\0\0\0+ /a/\x07\0\0\0- *.iso\0\0\0\0");
        assert_eq!(ListFilters::default().to_wire(), [0; 4]);
    }

    #[test]
    fn only_what_a_rule_surely_keeps_is_protected() {
        let kept = |rules: &[&str], path: &str, is_folder| {
            read(rules).unwrap().is_protected(path.as_bytes(), is_folder)
        };
        let parts = ["--exclude=.~tmp~/"];
        assert!(kept(&parts, "a/.~tmp~", true) && !kept(&parts, "a/.~tmp~", false));
        assert!(!kept(&parts, "a/x.~tmp~", true), "whole names only");
        assert!(kept(&["--exclude=b/c"], "a/b/c", false) && !kept(&["--exclude=b/c"], "a/xb/c", false));
        assert!(kept(&["--exclude=/b"], "b", false) && !kept(&["--exclude=/b"], "a/b", false));
        assert!(!kept(&["--exclude=*.iso"], "a.iso", false), "wildcards are not trusted");
        for before in ["--include=b", "--include=*"] {
            assert!(!kept(&[before, "--exclude=b"], "b", false), "{before}");
        }
        assert!(kept(&["--include=c", "--exclude=b"], "b", false));
        let excluded = ["--delete-excluded", "--exclude=b", "--filter=P c"];
        assert!(!kept(&excluded, "b", false) && kept(&excluded, "c", false));
    }
}
