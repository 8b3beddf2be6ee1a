//! Which of rsync's options take their value from the next word, and how a shell would have cut a text into words.

/// rsync's long options that take a value.
pub(super) const TAKES_VALUE: [&str; 56] = [
    "address",
    "backup-dir",
    "block-size",
    "bwlimit",
    "cc",
    "checksum-choice",
    "checksum-seed",
    "chmod",
    "chown",
    "compare-dest",
    "compress-choice",
    "compress-level",
    "config",
    "contimeout",
    "copy-as",
    "copy-dest",
    "debug",
    "dparam",
    "early-input",
    "exclude",
    "exclude-from",
    "files-from",
    "filter",
    "groupmap",
    "iconv",
    "include",
    "include-from",
    "info",
    "link-dest",
    "log-file",
    "log-file-format",
    "log-format",
    "max-alloc",
    "max-delete",
    "max-size",
    "min-size",
    "modify-window",
    "out-format",
    "outbuf",
    "partial-dir",
    "password-file",
    "port",
    "protocol",
    "remote-option",
    "rsh",
    "rsync-path",
    "skip-compress",
    "sockopts",
    "stderr",
    "stop-after",
    "stop-at",
    "suffix",
    "temp-dir",
    "timeout",
    "usermap",
    "zc",
];

/// Cuts a text into words as a shell does, without doing anything that a shell would do beyond that.
///
/// # Errors
/// When the text holds something that a shell would have acted on, or a quote without its end.
pub(in crate::import) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        None => return Err("a quote is never closed"),
                        Some(inner) if inner == c => break,
                        Some('$' | '`') if c == '"' => {
                            return Err("a shell would have replaced a part of it");
                        }
                        Some('\\') if c == '"' => match rest.next() {
                            Some(quoted @ ('"' | '\\')) => into.push(quoted),
                            Some(other) => into.extend(['\\', other]),
                            None => return Err("a quote is never closed"),
                        },
                        Some(inner) => into.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(rest.next().ok_or("it ends in a backslash")?),
            '$' | '`' | ';' | '&' | '|' | '<' | '>' | '(' | ')' | '\n' => {
                return Err("a shell would have acted on a part of it");
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_where_a_shell_cuts_them() {
        assert_eq!(split("-avH").unwrap(), ["-avH"]);
        assert_eq!(split("--exclude='*.iso'  --bwlimit=5").unwrap(), ["--exclude=*.iso", "--bwlimit=5"]);
        assert_eq!(
            split(r#"--exclude "a b" c\ d '' "q\"\\\n""#).unwrap(),
            ["--exclude", "a b", "c d", "", r#"q"\\n"#]
        );
        assert!(split("   ").unwrap().is_empty());
    }

    #[test]
    fn what_a_shell_would_have_acted_on_is_refused() {
        for text in ["$HOME", "`id`", "-a; id", "a|b", "\"$x\"", "'open", "\"open", "back\\", "a\nb", "\"a\\"]
        {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_long_option_with_a_value_stands_there_once_and_in_order() {
        assert!(TAKES_VALUE.is_sorted());
    }
}
