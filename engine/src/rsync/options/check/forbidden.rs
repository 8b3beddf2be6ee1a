//! What must never get through, and in which spellings somebody may try.

use super::{Facts, option};
use crate::rsync::options::table::ALLOWED;

fn passes(text: &str) -> bool {
    option(text, &mut Facts::default()).is_ok()
}

/// Whatever would run a program, read or write another file, lose data, report a success that is none, or garble
/// the output, in the spellings that rsync takes.
#[rustfmt::skip]
const DANGEROUS: &[&str] = &[
    "-e", "-esh", "-e sh", "-avHe sh", "-ae", "-e=sh", "--rsh", "--rsh=sh -c id", "--rsync-path=id", "-M--log-file=f",
    "-aM--x", "--remote-option=--x", "--server", "--sender", "--daemon", "--config=/x", "--dparam=a=b",
    "--password-file=/etc/shadow", "--password-file=-", "--log-file=/x", "--log-file-format=%n", "--write-batch=/x",
    "--only-write-batch=/x", "--read-batch=/x", "--files-from=/etc/passwd", "--exclude-from=/x", "--include-from=/x",
    "--filter=merge /x", "-f. /x", "-f", "-F", "-FF", "-C", "--cvs-exclude", "--early-input=/x", "--from0", "-0",
    "--backup", "-b", "--backup-dir=/x", "--suffix=x", "--temp-dir=/x", "-T/x", "-T", "-aT/x", "--partial-dir=/x",
    "--link-dest=/x", "--copy-dest=/x", "--compare-dest=/x", "--mkpath", "--relative", "-R", "-aR",
    "--copy-links", "-L", "-aL", "--copy-unsafe-links", "-k", "-K", "--copy-dirlinks", "--keep-dirlinks",
    "--insecure-links", "--no-safe-links", "--confine-root=/", "-D", "--devices", "--specials", "--copy-devices",
    "--write-devices", "--super", "--fake-super", "--chown=root:root", "--usermap=*:root", "--groupmap=*:root",
    "--copy-as=root", "--chmod=u+s", "--chmod=4755", "--chmod=F4755", "--chmod=a=rwxs", "--chmod=+t", "--chmod=2755",
    "--remove-source-files", "--delete", "--del", "--delete-before", "--delete-excluded", "--max-delete=-1",
    "--no-max-delete", "--ignore-errors", "--force", "--trust-sender", "--old-args", "--inplace", "--append",
    "-n", "-an", "--dry-run", "--list-only", "--ignore-missing-args", "-V", "--version", "--help", "-d", "--dirs",
    "-q", "-aq", "--quiet", "--out-format=%n", "--log-format=%n", "--info=all", "--debug=all", "--stderr=all",
    "--msgs2stderr", "--outbuf=N", "-P", "-aP", "--progress", "-i", "-ai", "--itemize-changes", "-h", "-hh",
    "--human-readable", "-8", "--stop-after=1", "--stop-at=12:00", "--time-limit=1", "--max-alloc=1",
    "--protocol=27", "--iconv=utf8", "--sockopts=X", "--address=1.2.3.4", "--no-timeout", "--no-contimeout",
    "--no-bwlimit", "--timeout=0", "--contimeout=0", "--bwlimit=0", "--no-recursive", "--no-r", "--no-archive",
    "-@1", "-N", "-U", "--crtimes", "--checksum-seed=1", "--exclude=!", "--exclude=+ x", "--include=- x",
    "--blocking-io",
];

/// What must never get through, by what it does: the long name without dashes, and its letter.
const FORBIDDEN: &[(&str, Option<char>)] = &[
    ("rsh", Some('e')),
    ("rsync-path", None),
    ("remote-option", Some('M')),
    ("password-file", None),
    ("log-file", None),
    ("files-from", None),
    ("config", None),
    ("dparam", None),
    ("write-batch", None),
    ("only-write-batch", None),
    ("read-batch", None),
    ("early-input", None),
    ("temp-dir", Some('T')),
    ("backup-dir", None),
    ("partial-dir", None),
    ("link-dest", None),
    ("compare-dest", None),
    ("copy-dest", None),
    ("exclude-from", None),
    ("include-from", None),
    ("filter", Some('f')),
    ("daemon", None),
    ("server", None),
    ("sender", None),
];

#[test]
fn a_forbidden_name_does_not_pass_in_any_spelling() {
    for &(name, _) in FORBIDDEN {
        for text in [
            format!("--{name}"),
            format!("--{name}="),
            format!("--{name}=x"),
            format!("--{name} x"),
            format!("--{name}\tx"),
            format!("--no-{name}"),
            format!("---{name}"),
            format!("-{name}=x"),
            format!(" --{name}=x"),
            format!("\u{2010}\u{2010}{name}=x"),
            format!("--{}=x", name.to_uppercase()),
            format!("--{}=x", name.replace('-', "_")),
            format!("--{name}\0"),
        ] {
            assert!(!passes(&text), "{text:?}");
        }
    }
}

#[test]
fn an_abbreviation_of_a_forbidden_name_does_not_pass() {
    // rsync 3.5.0 takes no abbreviations. Another option parser would take `--rs=` for `--rsh=`.
    for &(name, _) in FORBIDDEN {
        for length in 1..name.len() {
            let beginning = &name[..length];
            let another = ALLOWED.iter().any(|allowed| allowed.long == beginning);
            for text in [format!("--{beginning}"), format!("--{beginning}="), format!("--{beginning}=x")] {
                assert!(another || !passes(&text), "{text}");
            }
        }
    }
    assert!(!passes("--rs=sh") && !passes("--password=/x") && !passes("--files=/x") && !passes("--conf=/x"));
}

#[test]
fn a_forbidden_letter_does_not_pass_alone_in_a_cluster_or_with_a_value() {
    for letter in FORBIDDEN.iter().filter_map(|(_, letter)| *letter) {
        for text in [
            format!("-{letter}"),
            format!("-{letter}sh"),
            format!("-{letter} sh"),
            format!("-{letter}=sh"),
            format!("-av{letter}"),
            format!("-av{letter}sh"),
            format!("-a{letter}v"),
            format!("-a -{letter} sh"),
            format!("-B8192{letter}"),
            format!("--{letter}"),
            format!("--{letter}=sh"),
        ] {
            assert!(!passes(&text), "{text}");
        }
    }
}

#[test]
fn the_value_of_an_allowed_option_cannot_become_an_option_of_its_own() {
    // Each element is one argument of rsync's, whatever stands in it; what is no argument yet is refused.
    for text in
        ["--exclude", "--bwlimit", "-B", "--bwlimit=5 --rsh=sh", "--timeout=9 -e", "--port=873,-e", "-B 8192"]
    {
        assert!(!passes(text), "{text}");
    }
    for text in ["--exclude=--rsh=sh", "--exclude=a -e sh"] {
        assert!(passes(text), "{text} is a pattern and nothing else");
    }
    for text in ["--", "-", "", "rsync://host/module", "host:/path", "/etc", "@file"] {
        assert!(!passes(text), "{text:?} would be taken for a source or a destination");
    }
}

#[test]
fn nothing_dangerous_passes() {
    for text in DANGEROUS {
        assert!(!passes(text), "{text}");
    }
}
