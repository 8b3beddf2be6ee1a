//! The command line of an attempt: the project's options first, then what the engine insists on.
//!
//! rsync lets the later of two options win, so the engine's settings stand behind the project's. Filter rules are the
//! exception: there the first match wins, so the engine's stand in front.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use crate::rsync::edits::deleting;
use crate::rsync::options::Options;
use crate::source::Source;

/// What starts each line of the journal, so that no other line of rsync's can be taken for one.
pub const JOURNAL_MARK: &str = "@F|";

/// The journal's lines: what happened, size, bytes on the wire, name and link.
pub const JOURNAL_FORMAT: &str = "@F|%i|%l|%b|%n%L";

/// Where rsync keeps a file that is not complete yet, in the directory of each file.
pub const PARTIAL_DIR: &str = ".~tmp~";

/// The bounds of an attempt that rsync keeps itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many entries may be deleted; when there are more, rsync stops deleting and says so.
    pub max_delete: u64,
    /// How long the connection may be silent, rounded up to seconds; a project's own `--timeout` goes before it.
    pub io_timeout: Duration,
    /// How long connecting may take, rounded up to seconds; a project's own `--contimeout` goes before it.
    pub connect_timeout: Duration,
    /// Bandwidth in KiB per second; `None` or 0 is no bound. The lower one of this and the project's own holds.
    pub bwlimit_kib: Option<u64>,
}

impl Default for Limits {
    /// 40,000 deletions, ten minutes without data, one minute to connect, no bound on the rate.
    fn default() -> Self {
        Self {
            max_delete: 40_000,
            io_timeout: Duration::from_mins(10),
            connect_timeout: Duration::from_mins(1),
            bwlimit_kib: None,
        }
    }
}

/// rsync's arguments, without the program. With a password, rsync reads it from its standard input.
#[must_use]
pub fn arguments(
    source: &Source,
    dest: &Path,
    options: &Options,
    limits: &Limits,
    has_password: bool,
) -> Vec<OsString> {
    let mut arguments = vec![format!("--exclude={PARTIAL_DIR}/")];
    if options.facts().xattrs {
        // Attributes of other name spaces hold capabilities and labels of the upstream's host.
        arguments.push("--filter=-x! user.*".to_owned());
    }
    let edits = options.edits();
    let (before, behind): (&[String], &[String]) =
        if edits.is_behind { (&[], &edits.hook_rules) } else { (&edits.hook_rules, &[]) };
    for part in [&edits.rules, before, options.defaults(), options.basic(), behind] {
        arguments.extend_from_slice(part);
    }
    let clearing = options.clearing();
    arguments.extend(clearing.into_iter().flat_map(|mode| deleting(mode, options.edits().delete_after)));
    if let Some(list) = options.list() {
        // A folder in the list is the folder, not all that is in it.
        let listed = [format!("--files-from={list}"), "--from0".to_owned(), "--no-recursive".to_owned()];
        arguments.extend(listed);
        if options.deletes() {
            // A directory that is gone goes with all that it held, as in a whole sync.
            arguments.extend(["--delete-missing-args", "--force"].map(str::to_owned));
        } else {
            arguments.push("--ignore-missing-args".to_owned());
        }
    }
    push_safety(&mut arguments, options, limits);
    push_bounds(&mut arguments, options, limits);
    push_output(&mut arguments);
    if has_password {
        arguments.push("--password-file=-".to_owned());
    }
    let operand = if options.list().is_some() { source.url_for_list() } else { source.url() };
    arguments.extend(["--".to_owned(), operand]);

    let mut arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
    arguments.push(with_slash(dest));
    arguments
}

/// The command as a person would type it, quoted for a shell where that is needed.
#[must_use]
pub fn shown(program: &Path, arguments: &[OsString]) -> String {
    let mut text = quoted(program.as_os_str());
    for argument in arguments {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    text
}

/// What no upstream and no project may bring about.
fn push_safety(arguments: &mut Vec<String>, options: &Options, limits: &Limits) {
    if options.is_rehearsal() {
        arguments.push("--dry-run".to_owned());
    } else {
        arguments.push(format!("--max-delete={}", limits.max_delete));
    }
    let incremental = options.facts().incremental && options.clearing().is_none();
    if !incremental {
        // With the whole list first, an upstream's read error stops every deletion, and totals are true.
        arguments.push("--no-inc-recursive".to_owned());
    }
    if !options.facts().munge_links {
        arguments.push("--safe-links".to_owned());
    }
    arguments.push("--no-D".to_owned());
    // A mirror has no use for programs that run as their owner.
    arguments.push("--chmod=Fug-s".to_owned());
    if options.is_rehearsal() {
        // rsync looks for a part beside every file: a rehearsal, which needs none, takes half of the time without.
        arguments.retain(|argument| argument != "--delay-updates");
    } else {
        arguments.push(format!("--partial-dir={PARTIAL_DIR}"));
    }
}

/// Time and bandwidth.
fn push_bounds(arguments: &mut Vec<String>, options: &Options, limits: &Limits) {
    let facts = options.facts();
    if let Some(seconds) = options.edits().timeout {
        arguments.push(format!("--timeout={seconds}"));
    } else if facts.timeout.is_none() {
        arguments.push(format!("--timeout={}", whole_seconds(limits.io_timeout)));
    }
    if !facts.contimeout {
        arguments.push(format!("--contimeout={}", whole_seconds(limits.connect_timeout)));
    }
    let ours = limits.bwlimit_kib.filter(|kib| *kib > 0);
    if let Some(ours) = ours.filter(|ours| facts.bwlimit_kib.is_none_or(|theirs| *ours < theirs)) {
        arguments.push(format!("--bwlimit={ours}"));
    }
    // Without it, Nagle's algorithm adds 200 ms to every run that finds nothing to do.
    arguments.push("--sockopts=TCP_NODELAY".to_owned());
}

/// What makes the output readable for [`output`](crate::rsync::output) and [`stats`](crate::rsync::stats).
fn push_output(arguments: &mut Vec<String>) {
    let settings =
        ["--info=progress2,stats2,name0,flist0,del0,misc1", "--no-h", "--no-motd", "--stderr=errors"];
    arguments.extend(settings.map(str::to_owned));
    arguments.push(format!("--out-format={JOURNAL_FORMAT}"));
}

/// At least one second: rsync takes 0 for no bound at all.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    let partial = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(partial).max(1)
}

fn with_slash(dest: &Path) -> OsString {
    let mut text = dest.as_os_str().to_owned();
    if !text.as_encoded_bytes().ends_with(b"/") {
        text.push("/");
    }
    text
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, arguments, shown};
    use crate::rsync::edits::{Edit, apply};
    use crate::rsync::options::Options;
    use std::path::Path;
    use std::time::Duration;

    const LIMITS: Limits = Limits {
        max_delete: 1000,
        io_timeout: Duration::from_mins(10),
        connect_timeout: Duration::from_millis(1500),
        bwlimit_kib: None,
    };

    fn options(basic: &[&str], delete: &str) -> Options {
        let basic: Vec<_> = basic.iter().map(|&text| text.to_owned()).collect();
        Options::new(&["-avH".to_owned()], &basic, delete).unwrap()
    }

    fn built(options: &Options, limits: &Limits, has_password: bool) -> Vec<String> {
        let source = "rsync://fedora@rsync.example.org/module/path".parse().unwrap();
        arguments(&source, Path::new("/srv/mirror/fedora"), options, limits, has_password)
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_whole_line_is_what_it_was_agreed_to_be() {
        let expected = [
            "--exclude=.~tmp~/",
            "-avH",
            "--delete",
            "--max-delete=1000",
            "--no-inc-recursive",
            "--safe-links",
            "--no-D",
            "--chmod=Fug-s",
            "--partial-dir=.~tmp~",
            "--timeout=600",
            "--contimeout=2",
            "--sockopts=TCP_NODELAY",
            "--info=progress2,stats2,name0,flist0,del0,misc1",
            "--no-h",
            "--no-motd",
            "--stderr=errors",
            "--out-format=@F|%i|%l|%b|%n%L",
            "--password-file=-",
            "--",
            "rsync://fedora@rsync.example.org/module/path/",
            "/srv/mirror/fedora/",
        ];
        assert_eq!(built(&Options::default(), &LIMITS, true), expected);
    }

    #[test]
    fn what_hooks_exclude_goes_before_the_projects_own_rules_and_times() {
        let (mut options, mut limits) = (options(&["--exclude=b", "--timeout=9"], "--delete-before"), LIMITS);
        let edits =
            [Edit::Exclude("a".to_owned()), Edit::TimeoutSecs(7), Edit::DeleteAfter, Edit::MaxDelete(3)];
        for edit in &edits {
            apply(edit, &mut options, &mut limits).unwrap();
        }
        let line = built(&options, &limits, false);
        let place = |text: &str| line.iter().position(|it| it == text).unwrap_or_else(|| panic!("{line:?}"));
        assert!(place("--exclude=a") < place("--exclude=b"));
        assert!(place("--timeout=9") < place("--timeout=7"), "{line:?}");
        assert!(line.contains(&"--delete-after".to_owned()) && !line.contains(&"--delete-before".to_owned()));
        assert!(line.contains(&"--max-delete=3".to_owned()));
        apply(&Edit::NoDelete, &mut options, &mut limits).unwrap();
        assert!(!built(&options, &limits, false).iter().any(|it| it.starts_with("--delete")));
        for kept in [options, Options::new(&["-aH".to_owned()], &[], "").unwrap()] {
            let listed = built(&kept.only("/l".to_owned()), &limits, false);
            assert!(!listed.iter().any(|it| it.starts_with("--delete")), "{listed:?}");
            assert!(listed.contains(&"--ignore-missing-args".to_owned()), "{listed:?}");
            assert!(listed.contains(&"rsync://fedora@rsync.example.org/module/".to_owned()), "{listed:?}");
        }
    }

    #[test]
    fn a_rehearsal_changes_nothing_and_counts_every_deletion() {
        let line = built(&options(&["--delay-updates"], "--delete").rehearsal(), &LIMITS, false);
        assert!(line.contains(&"--dry-run".to_owned()) && line.contains(&"--delete".to_owned()));
        assert!(!line.iter().any(|it| it.starts_with("--max-delete")), "{line:?}");
        assert!(line.contains(&"--exclude=.~tmp~/".to_owned()), "parts of files are kept: {line:?}");
        assert!(
            !line.iter().any(|it| it.starts_with("--partial-dir") || it == "--delay-updates"),
            "{line:?}"
        );
    }

    #[test]
    fn without_a_password_none_is_read() {
        assert!(
            !built(&Options::default(), &LIMITS, false).iter().any(|it| it.starts_with("--password-file"))
        );
    }

    #[test]
    fn the_list_may_grow_only_where_nothing_is_deleted() {
        let full = "--no-inc-recursive".to_owned();
        assert!(!built(&options(&["--inc-recursive"], ""), &LIMITS, false).contains(&full));
        assert!(built(&options(&[], ""), &LIMITS, false).contains(&full));
        assert!(built(&options(&["--delay-updates"], "--delete-after"), &LIMITS, false).contains(&full));
    }

    #[test]
    fn links_stay_safe_unless_they_are_munged() {
        let safe = "--safe-links".to_owned();
        assert!(built(&options(&[], ""), &LIMITS, false).contains(&safe));
        assert!(!built(&options(&["--munge-links"], ""), &LIMITS, false).contains(&safe));
    }

    #[test]
    fn only_a_users_own_attributes_are_copied() {
        let line = built(&options(&["-X"], ""), &LIMITS, false);
        assert!(line.contains(&"--filter=-x! user.*".to_owned()), "{line:?}");
    }

    #[test]
    fn a_projects_timeouts_go_before_ours() {
        let line = built(&options(&["--timeout=7", "--contimeout=8"], ""), &LIMITS, false);
        let times: Vec<_> = line.iter().filter(|it| it.contains("timeout=")).collect();
        assert_eq!(times, ["--timeout=7", "--contimeout=8"]);
    }

    #[test]
    fn a_timeout_is_never_none() {
        let line = built(&options(&[], ""), &Limits { io_timeout: Duration::ZERO, ..LIMITS }, false);
        assert!(line.contains(&"--timeout=1".to_owned()), "{line:?}");
    }

    #[test]
    fn the_lower_bandwidth_holds() {
        let last = |basic: &[&str], ours| {
            let line = built(&options(basic, ""), &Limits { bwlimit_kib: ours, ..LIMITS }, false);
            line.into_iter().rfind(|it| it.starts_with("--bwlimit="))
        };
        assert_eq!(last(&[], None), None);
        assert_eq!(last(&[], Some(0)), None);
        assert_eq!(last(&[], Some(50)).unwrap(), "--bwlimit=50");
        assert_eq!(last(&["--bwlimit=1M"], Some(1025)).unwrap(), "--bwlimit=1M");
        assert_eq!(last(&["--bwlimit=1M"], Some(1000)).unwrap(), "--bwlimit=1000");
    }

    #[test]
    fn a_command_is_shown_as_a_shell_reads_it() {
        let line = ["-a", "--exclude=it's a*", ""].map(Into::into);
        assert_eq!(shown(Path::new("/usr/bin/rsync"), &line), r"/usr/bin/rsync -a '--exclude=it'\''s a*' ''");
    }
}
