//! The closed list: each option that projects may use, and the reasons for those that they may not.

use super::check::{self, Checked};

/// An option that projects may use.
pub(super) struct Allowed {
    /// Its long name, without dashes.
    pub(super) long: &'static str,
    /// Its letter.
    pub(super) short: Option<char>,
    /// How its value is checked; `None`: it takes no value.
    pub(super) value: Option<fn(&str) -> Checked>,
}

const fn flag(long: &'static str) -> Allowed {
    Allowed { long, short: None, value: None }
}

const fn letter(short: char, long: &'static str) -> Allowed {
    Allowed { long, short: Some(short), value: None }
}

const fn valued(long: &'static str, value: fn(&str) -> Checked) -> Allowed {
    Allowed { long, short: None, value: Some(value) }
}

/// Every option that passes. What an option does on the upstream's side only is not our danger; what it does here
/// must stay inside the destination and leave our reading of the output intact.
pub(super) const ALLOWED: &[Allowed] = &[
    // What is copied.
    letter('a', "archive"),
    letter('r', "recursive"),
    letter('l', "links"),
    letter('p', "perms"),
    letter('t', "times"),
    letter('g', "group"),
    letter('o', "owner"),
    letter('H', "hard-links"),
    letter('E', "executability"),
    letter('A', "acls"),
    letter('X', "xattrs"),
    letter('O', "omit-dir-times"),
    letter('J', "omit-link-times"),
    letter('x', "one-file-system"),
    letter('m', "prune-empty-dirs"),
    flag("numeric-ids"),
    flag("safe-links"),
    flag("munge-links"),
    valued("chmod", check::chmod),
    valued("exclude", check::pattern),
    valued("include", check::pattern),
    valued("max-size", check::size),
    valued("min-size", check::size),
    // What counts as the same.
    letter('c', "checksum"),
    letter('u', "update"),
    letter('I', "ignore-times"),
    flag("size-only"),
    flag("existing"),
    flag("ignore-non-existing"),
    flag("ignore-existing"),
    valued("modify-window", check::window),
    valued("checksum-choice", check::word),
    valued("cc", check::word),
    // How it is transferred and written.
    letter('z', "compress"),
    letter('W', "whole-file"),
    letter('S', "sparse"),
    letter('y', "fuzzy"),
    letter('s', "secluded-args"),
    letter('4', "ipv4"),
    letter('6', "ipv6"),
    flag("protect-args"),
    flag("delay-updates"),
    flag("partial"),
    flag("preallocate"),
    flag("fsync"),
    flag("inc-recursive"),
    flag("i-r"),
    Allowed { long: "block-size", short: Some('B'), value: Some(check::block_size) },
    valued("compress-choice", check::word),
    valued("zc", check::word),
    valued("compress-level", check::level),
    valued("zl", check::level),
    valued("skip-compress", check::suffixes),
    valued("bwlimit", check::rate),
    valued("timeout", check::timeout),
    valued("contimeout", check::timeout),
    valued("port", check::port),
    // What is said; the engine's own settings decide in the end.
    letter('v', "verbose"),
    flag("stats"),
    flag("no-motd"),
    flag("no-human-readable"),
    flag("no-h"),
    flag("no-verbose"),
    flag("no-v"),
    // What -a brings and a project does not want.
    flag("no-links"),
    flag("no-l"),
    flag("no-perms"),
    flag("no-p"),
    flag("no-times"),
    flag("no-t"),
    flag("no-group"),
    flag("no-g"),
    flag("no-owner"),
    flag("no-o"),
    flag("no-devices"),
    flag("no-specials"),
    flag("no-D"),
    flag("no-hard-links"),
    flag("no-H"),
    flag("no-acls"),
    flag("no-A"),
    flag("no-xattrs"),
    flag("no-X"),
    flag("no-omit-dir-times"),
    flag("no-O"),
    flag("no-one-file-system"),
    flag("no-x"),
    flag("no-prune-empty-dirs"),
    flag("no-m"),
    flag("no-numeric-ids"),
    flag("no-checksum"),
    flag("no-c"),
    flag("no-whole-file"),
    flag("no-W"),
    flag("no-sparse"),
    flag("no-S"),
    flag("no-compress"),
    flag("no-z"),
    flag("no-fuzzy"),
    flag("no-y"),
    flag("no-inc-recursive"),
    flag("no-i-r"),
    flag("no-super"),
];

/// Options that rsync knows and projects may not use, with one reason for all of them.
pub(super) struct Refused {
    /// Long names without dashes, and without the `no-` before them.
    pub(super) long: &'static [&'static str],
    /// Letters.
    pub(super) short: &'static str,
    /// Why, and what to do instead.
    pub(super) why: &'static str,
}

/// The reasons. An option in none of them is refused too, only with less to say.
pub(super) const REFUSED: &[Refused] = &[
    Refused {
        long: &[
            "rsh",
            "rsync-path",
            "remote-option",
            "server",
            "sender",
            "daemon",
            "blocking-io",
            "early-input",
        ],
        short: "eM",
        why: "it runs programs or changes what rsync is; sources are rsync daemons, so leave it out",
    },
    Refused {
        long: &["config", "dparam", "copy-as", "address", "sockopts", "iconv", "protocol", "max-alloc"],
        short: "",
        why: "it belongs to the server's configuration, not to a project; leave it out",
    },
    Refused {
        long: &["log-file", "log-file-format", "write-batch", "only-write-batch", "backup-dir", "temp-dir"],
        short: "T",
        why: "it writes files outside the destination; leave it out (each run's log is kept anyway)",
    },
    Refused {
        long: &["partial-dir"],
        short: "",
        why: "the server chooses it, so that clients never see half a file; leave it out",
    },
    Refused {
        long: &["files-from", "exclude-from", "include-from", "read-batch", "filter", "from0", "cvs-exclude"],
        short: "fFC0",
        why: "it reads files of this server, or rules from the tree itself; write each rule as \
              --exclude=PATTERN or --include=PATTERN",
    },
    Refused {
        long: &["password-file"],
        short: "",
        why: "it reads files of this server; set the project's password instead",
    },
    Refused {
        long: &[
            "link-dest",
            "compare-dest",
            "copy-dest",
            "confine-root",
            "mkpath",
            "relative",
            "implied-dirs",
        ],
        short: "R",
        why: "it moves files to or from other places than the destination; leave it out",
    },
    Refused {
        long: &["copy-links", "copy-unsafe-links", "copy-dirlinks", "keep-dirlinks", "insecure-links"],
        short: "LkK",
        why: "it follows symbolic links out of the tree; use -l, which copies links as links",
    },
    Refused {
        long: &["devices", "specials", "copy-devices", "write-devices", "super", "fake-super", "D", "drop-D"],
        short: "D",
        why: "an upstream could create device nodes here; they are never copied, leave it out",
    },
    Refused {
        long: &["chown", "usermap", "groupmap"],
        short: "",
        why: "it gives files to other users of this server; use --no-owner and --no-group",
    },
    Refused {
        long: &[
            "del",
            "delete",
            "delete-before",
            "delete-during",
            "delete-delay",
            "delete-after",
            "delete-excluded",
            "delete-missing-args",
        ],
        short: "",
        why: "deleting has its own setting: put it into the field delete",
    },
    Refused {
        long: &["max-delete"],
        short: "",
        why: "the guard sets it for each run; change the guard's limit",
    },
    Refused {
        long: &["ignore-errors", "force", "remove-source-files", "trust-sender", "old-args"],
        short: "",
        why: "it destroys data, or switches off a check against it; leave it out",
    },
    Refused {
        long: &["inplace", "append", "append-verify", "backup", "suffix"],
        short: "b",
        why: "clients of the mirror would see files that upstream does not have; leave it out",
    },
    Refused {
        long: &[
            "dry-run",
            "list-only",
            "ignore-missing-args",
            "version",
            "help",
            "dirs",
            "old-dirs",
            "old-d",
        ],
        short: "nVd",
        why: "the run would be recorded as a success without a sync; leave it out (a dry run has its own command)",
    },
    Refused {
        long: &["stop-after", "stop-at", "time-limit"],
        short: "",
        why: "a run that it ends looks like a failure; set the project's time limit",
    },
    Refused {
        long: &[
            "quiet",
            "info",
            "debug",
            "stderr",
            "msgs2stderr",
            "outbuf",
            "out-format",
            "log-format",
            "progress",
            "itemize-changes",
            "human-readable",
            "8-bit-output",
            "motd",
        ],
        short: "qPih8",
        why: "it changes the output that is read here; progress, changes and statistics are recorded anyway, \
              so leave it out",
    },
    Refused {
        long: &["atimes", "open-noatime", "crtimes", "checksum-seed", "compress-threads", "zt"],
        short: "UN",
        why: "it is of no use to a mirror, and many rsyncs lack it; leave it out",
    },
    Refused { long: &[], short: "@", why: "write it as --modify-window=SECONDS" },
    Refused {
        long: &["bwlimit", "timeout", "contimeout", "safe-links", "recursive", "r", "archive", "a"],
        short: "",
        why: "it takes away a bound that every run needs; leave it out, or set the option to another value",
    },
];
