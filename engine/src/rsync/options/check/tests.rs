//! What passes, what does not, and that no spelling gets past the list.

use proptest::prelude::*;

use super::{Facts, option};
use crate::rsync::options::table::{ALLOWED, REFUSED};

fn passes(text: &str) -> bool {
    option(text, &mut Facts::default()).is_ok()
}

#[test]
fn what_mirrors_use_passes() {
    for text in [
        "-avH",
        "-rlptH",
        "-prltvHSB8192",
        "-z",
        "-4",
        "--archive",
        "--no-o",
        "--no-g",
        "--no-D",
        "--safe-links",
        "--delay-updates",
        "--chmod=D755,F644",
        "--chmod=Fu-s,Fg-s,Du-s,go-w",
        "--chmod=D0755,a+rX",
        "--exclude=*.iso",
        "--exclude=/a b/ü**",
        "--exclude=-old",
        "--include=i18n/by-hash",
        "--bwlimit=5",
        "--bwlimit=10M",
        "--timeout=600",
        "--contimeout=60",
        "--max-size=1.5G",
        "--modify-window=-1",
        "--compress-choice=zstd",
        "--checksum-choice=xxh128,md5",
        "--skip-compress=gz/jpg/mp[34]",
        "--block-size=8192",
        "--port=8873",
        "--no-motd",
        "--stats",
    ] {
        assert_eq!(option(text, &mut Facts::default()), Ok(()), "{text}");
    }
}

#[test]
fn every_refusal_names_the_option_and_a_way_out() {
    let reason = |text: &str| option(text, &mut Facts::default()).unwrap_err();
    for (text, part) in [
        ("-avHe sh", "\"-e\" is refused: it runs programs"),
        ("--password-file=/x", "set the project's password"),
        ("--delete-after", "put it into the field delete"),
        ("--files-from=/x", "--exclude=PATTERN"),
        ("--no-motd=1", "--no-motd takes no value"),
        ("--bwlimit", "needs a value behind ="),
        ("-a -v", "write each option as its own list element"),
        ("5", "is not an option"),
        ("--bwlimit=fast", "--bwlimit takes KiB per second"),
        ("-B", "-B takes bytes"),
        ("--recursiv", "not in the list"),
        ("--exclude=a\nb", "control character"),
        ("-\u{e9}", "not in the list"),
        ("--", "-- alone is not an option"),
    ] {
        assert!(reason(text).contains(part), "{text}: {}", reason(text));
    }
}

#[test]
fn only_whole_names_pass() {
    for allowed in ALLOWED.iter().filter(|allowed| allowed.value.is_none()) {
        assert!(passes(&format!("--{}", allowed.long)), "{}", allowed.long);
        for text in [
            format!("--{}x", allowed.long),
            format!("--{}=1", allowed.long),
            format!("--{}=", allowed.long),
            format!("--{} ", allowed.long),
            format!("--{}", allowed.long.to_ascii_uppercase()),
            format!("---{}", allowed.long),
        ] {
            let known = ALLOWED.iter().any(|other| text == format!("--{}", other.long));
            assert!(known || !passes(&text), "{text}");
        }
    }
}

#[test]
fn no_option_is_both_allowed_and_refused() {
    for refused in REFUSED {
        for allowed in ALLOWED {
            assert!(allowed.short.is_none_or(|short| !refused.short.contains(short)), "-{:?}", allowed.short);
            // A refused name whose bare form is allowed stands there for its --no- form.
            let negated_only = refused.why.starts_with("it takes away a bound");
            assert!(negated_only || !refused.long.contains(&allowed.long), "--{}", allowed.long);
        }
    }
}

#[test]
fn what_the_engine_must_know_is_noted() {
    let mut facts = Facts::default();
    for text in
        ["-vrXm", "--i-r", "--munge-links", "--timeout=9", "--contimeout=9", "--bwlimit=2m", "--include=a"]
    {
        option(text, &mut facts).unwrap();
    }
    let expected = Facts {
        recursive: true,
        incremental: true,
        munge_links: true,
        prune_empty_dirs: true,
        xattrs: true,
        timeout: Some(9),
        contimeout: true,
        bwlimit_kib: Some(2048),
        includes: true,
    };
    assert_eq!(facts, expected);
    option("--no-i-r", &mut facts).unwrap();
    assert!(!facts.incremental);
}

/// Every letter that must never be seen in a cluster.
fn refused_letter() -> impl Strategy<Value = char> {
    let letters: Vec<char> = REFUSED.iter().flat_map(|refused| refused.short.chars()).collect();
    prop::sample::select(letters)
}

fn refused_name() -> impl Strategy<Value = &'static str> {
    let names: Vec<&str> = REFUSED
        .iter()
        .filter(|refused| !refused.why.starts_with("it takes away a bound"))
        .flat_map(|refused| refused.long.iter().copied())
        .collect();
    prop::sample::select(names)
}

proptest! {
    #[test]
    fn a_refused_letter_is_found_anywhere_in_a_cluster(
        before in "[arlptgoHzSWvuc46]{0,8}", letter in refused_letter(), after in "\\PC{0,12}",
    ) {
        let text = format!("-{before}{letter}{after}");
        prop_assert!(!passes(&text), "{}", text);
    }

    #[test]
    fn a_refused_name_does_not_pass_with_any_value(name in refused_name(), value in "(=\\PC{0,12})?") {
        let text = format!("--{name}{value}");
        prop_assert!(!passes(&text), "{}", text);
    }

    #[test]
    fn what_passes_is_one_option_of_the_list(text in "-{0,3}[a-zA-Z0-9=@ !/.-]{0,12}|--(no-)?[a-z-]{1,12}(=[ -~]{0,8})?|\\PC{0,20}") {
        if passes(&text) {
            let whole = text.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or_default());
            let listed = match whole {
                Some(name) => ALLOWED.iter().any(|allowed| allowed.long == name),
                None => text.chars().skip(1).take_while(|&c| c != 'B').all(|letter| {
                    ALLOWED.iter().any(|allowed| allowed.short == Some(letter))
                }),
            };
            prop_assert!(listed && text.starts_with('-'), "{}", text);
        }
    }

    #[test]
    fn control_characters_never_pass(before in "--exclude=[a-z]{0,5}", c in "[\\x00-\\x1f\\x7f]", after in "[a-z]{0,5}") {
        let text = format!("{before}{c}{after}");
        prop_assert!(!passes(&text));
    }
}
