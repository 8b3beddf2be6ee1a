//! What edits can do, and that none of them widens what the project has set.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::rsync::args::arguments;

fn made(edits: &[Edit]) -> Result<(Options, Limits), EditError> {
    let (mut options, mut limits) = (Options::default(), Limits::default());
    for edit in edits {
        apply(edit, &mut options, &mut limits)?;
    }
    Ok((options, limits))
}

#[test]
fn bounds_are_only_ever_tightened() {
    let (_, limits) =
        made(&[Edit::MaxDelete(7), Edit::MaxDelete(u32::MAX), Edit::BwlimitKib(50), Edit::BwlimitKib(500)])
            .unwrap();
    assert_eq!((limits.max_delete, limits.bwlimit_kib), (7, Some(50)));
}

#[test]
fn what_could_be_more_than_a_pattern_or_no_bound_is_refused() {
    let bad = [
        Edit::Exclude("a\nb".to_owned()),
        Edit::Exclude(String::new()),
        Edit::Include("- x".to_owned()),
        Edit::Include("!".to_owned()),
        Edit::Exclude("x".repeat(2000)),
        Edit::BwlimitKib(0),
        Edit::TimeoutSecs(0),
        Edit::TimeoutSecs(90_000),
    ];
    for edit in bad {
        assert!(made(std::slice::from_ref(&edit)).is_err(), "{edit:?} was taken");
    }
    assert!(made(&vec![Edit::Exclude("x".to_owned()); MAX_RULES + 1]).is_err());
}

#[test]
fn deletions_that_are_to_wait_keep_their_rule() {
    assert_eq!(deleting(DeleteMode::During, true), ["--delete-after"]);
    assert_eq!(deleting(DeleteMode::Excluded, true), ["--delete-excluded", "--delete-after"]);
    assert_eq!(deleting(DeleteMode::During, false), ["--delete-during"]);
}

#[test]
fn a_time_out_is_the_shortest_that_anybody_asks_for() {
    let timeout = |basic: &[&str], edits: &[u32]| {
        let basic: Vec<String> = basic.iter().map(|&option| option.to_owned()).collect();
        let mut options = Options::new(&["-a".to_owned()], &basic, "").unwrap();
        let mut limits = Limits::default();
        for seconds in edits {
            apply(&Edit::TimeoutSecs(*seconds), &mut options, &mut limits).unwrap();
        }
        Effect::of(&options, &limits).timeout
    };
    assert_eq!(timeout(&[], &[86_400]), 600, "the configuration's");
    assert_eq!(timeout(&["--timeout=60"], &[86_400]), 60, "the project's");
    assert_eq!(timeout(&["--timeout=60"], &[30, 50]), 30, "that of a hook");
}

#[test]
fn an_inclusion_goes_behind_exclusions_and_is_refused_beside_inclusions() {
    let included = |basic: &str| {
        let mut options = Options::new(&["-a".to_owned()], &[basic.to_owned()], "").unwrap();
        let mut limits = Limits::default();
        let edits = [Edit::Include("/a".to_owned()), Edit::Exclude("*".to_owned())];
        edits.iter().try_for_each(|edit| apply(edit, &mut options, &mut limits))?;
        Ok::<_, EditError>(Effect::of(&options, &limits).listed)
    };
    assert_eq!(included("--exclude=/b").unwrap(), ["/a"]);
    assert_eq!(included("--exclude=/a").unwrap(), Vec::<&str>::new());
    let error = included("--include=/a").unwrap_err().to_string();
    assert!(error.starts_with("add-include: the project's own --include"), "{error}");
}

/// What a command line would do to a tree of four files.
#[derive(Debug)]
struct Effect {
    listed: Vec<&'static str>,
    kept: Vec<&'static str>,
    timeout: u64,
    bwlimit: u64,
    max_delete: u64,
}

impl Effect {
    fn of(options: &Options, limits: &Limits) -> Self {
        let source = "rsync://h/m".parse().unwrap();
        let line = arguments(&source, Path::new("/d"), options, limits, false);
        let line: Vec<String> = line.into_iter().map(|argument| argument.into_string().unwrap()).collect();
        let last = |option: &str| line.iter().rev().find_map(|it| it.strip_prefix(option)?.parse().ok());
        let files = ["/a", "/b", "/c", "/d"];
        Self {
            listed: files.into_iter().filter(|file| is_listed(&line, file)).collect(),
            kept: files.into_iter().filter(|file| is_kept(&line, file)).collect(),
            timeout: last("--timeout=").unwrap(),
            bwlimit: last("--bwlimit=").unwrap_or(u64::MAX),
            max_delete: last("--max-delete=").unwrap(),
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        self.listed.iter().all(|file| other.listed.contains(file))
            && other.kept.iter().all(|file| self.kept.contains(file))
            && self.timeout <= other.timeout
            && self.bwlimit <= other.bwlimit
            && self.max_delete <= other.max_delete
    }
}

fn matches(pattern: &str, file: &str) -> bool {
    pattern == "*" || pattern == file
}

/// The first rule that matches decides; without one, a file is listed.
fn is_listed(line: &[String], file: &str) -> bool {
    let rules = line.iter().filter_map(|it| {
        let listed = it.strip_prefix("--include=").map(|pattern| (pattern, true));
        listed.or_else(|| it.strip_prefix("--exclude=").map(|pattern| (pattern, false)))
    });
    let mut rules = rules.filter(|(pattern, _)| matches(pattern, file));
    rules.next().is_none_or(|(_, listed)| listed)
}

/// `--delete-excluded` takes the protection that exclusions give; without a delete mode, everything is kept.
fn is_kept(line: &[String], file: &str) -> bool {
    if !line.iter().any(|it| it.starts_with("--delete")) {
        return true;
    }
    let excluded = line.iter().any(|it| it == "--delete-excluded");
    let rules = line.iter().filter_map(|it| {
        let protected = it.strip_prefix("--filter=P ").map(|pattern| (pattern, true));
        let included = it.strip_prefix("--include=").filter(|_| !excluded).map(|pattern| (pattern, false));
        let hidden = it.strip_prefix("--exclude=").filter(|_| !excluded).map(|pattern| (pattern, true));
        protected.or(included).or(hidden)
    });
    let mut rules = rules.filter(|(pattern, _)| matches(pattern, file));
    rules.next().is_some_and(|(_, kept)| kept)
}

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/a", "/b", "/c", "*"]).prop_map(str::to_owned)
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        pattern().prop_map(Edit::Exclude),
        pattern().prop_map(Edit::Include),
        (0..2000_u32).prop_map(Edit::BwlimitKib),
        (0..100_000_u32).prop_map(Edit::TimeoutSecs),
        any::<u32>().prop_map(Edit::MaxDelete),
        Just(Edit::NoDelete),
        Just(Edit::DeleteAfter),
    ]
}

fn project_option() -> impl Strategy<Value = String> {
    prop_oneof![
        pattern().prop_map(|pattern| format!("--exclude={pattern}")),
        pattern().prop_map(|pattern| format!("--include={pattern}")),
        (1..1000_u32).prop_map(|seconds| format!("--timeout={seconds}")),
        (1..1000_u32).prop_map(|kib| format!("--bwlimit={kib}")),
    ]
}

proptest! {
    #[test]
    fn no_edit_widens_what_the_project_has_set(
        basic in prop::collection::vec(project_option(), 0..4),
        delete in prop::sample::select(vec!["", "--delete", "--delete-excluded", "--delete-before"]),
        edits in prop::collection::vec(any_edit(), 0..6),
    ) {
        let mut options = Options::new(&["-a".to_owned()], &basic, delete).unwrap();
        let mut limits = Limits { bwlimit_kib: Some(700), ..Limits::default() };
        let before = Effect::of(&options, &limits);
        for edit in &edits {
            // One that is refused changes nothing, and ends the attempt.
            let _ = apply(edit, &mut options, &mut limits);
            let after = Effect::of(&options, &limits);
            prop_assert!(after.is_within(&before), "{:?}: {:?}, before {:?}", edit, after, before);
        }
    }
}
