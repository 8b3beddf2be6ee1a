//! Attempts that nobody disturbs: what they bring, what they count, and what their ends are taken for.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use engine::ChangeKind::{Created, Deleted, Updated};
use engine::{Attempt, Changes, Class, DelegatedGroup, Edit, Engine, Exit, Limits, Secret, Source, Verdict};
use tokio_util::sync::CancellationToken;

use crate::kit::{LOGIN, Recorder, Site, guardian, list};

#[tokio::test]
async fn with_a_delegated_group_all_of_an_attempt_is_bounded_together() {
    let site = Site::new().await;
    // A folder in the place of the hierarchy: here nothing is enforced, but all that is written can be read.
    let group = site.path("cgroup/unit");
    std::fs::create_dir_all(&group).unwrap();
    std::fs::write(group.join("cgroup.controllers"), "memory").unwrap();
    rustix::fs::setxattr(&group, "user.delegate", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    let delegated = DelegatedGroup::take_over(&site.path("cgroup"), "0::/unit").unwrap();
    let engine = Engine::new("rsync".into(), guardian(), &site.path("state")).unwrap();
    let engine = engine.with_nursery().with_memory_max(1 << 30).with_group(Some(delegated));

    let report =
        engine.attempt(&site.attempt("small"), &Recorder::default(), &CancellationToken::new()).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    let text = |name: &str| std::fs::read_to_string(group.join("attempt-0").join(name)).unwrap();
    assert_eq!((text("memory.max"), text("cgroup.procs")), ((1 << 30).to_string(), "0".to_owned()));
}

#[tokio::test]
async fn a_good_attempt_brings_the_tree_and_counts_what_it_did() {
    let site = Site::new().await;
    let attempt = site.attempt("small");
    let (report, seen) = site.run(&attempt).await;
    assert_eq!((&report.exit, report.judgement.class), (&Exit::Code(0), Class::Done), "{report:?}");
    assert!(report.clean && report.stderr_tail.is_empty(), "{report:?}");
    // The guardian makes the destination itself, so the top folder is not created; its time is put right when a second
    // has passed since the upstream's was made.
    assert_eq!((report.changes.created, report.changes.deleted), (6, 0));
    assert!(report.changes.updated <= 1, "{:?}", report.changes);
    let stats = report.stats.unwrap();
    assert_eq!((stats.files, stats.files_regular, stats.files_dirs, stats.files_links), (7, 3, 3, 1));
    assert_eq!((stats.created, stats.deleted, stats.transferred, stats.literal), (6, 0, 3, 20));
    assert!(seen.changes.contains(&(Created, "a => b -> c".to_owned())), "{:?}", seen.changes);
    assert_eq!((seen.progress.bytes, seen.progress.files, seen.progress.total_known), (20, 3, true));
    assert_eq!(fs::read_to_string(attempt.dest.join("pool/second")).unwrap(), "second\n");
    assert_eq!(fs::read_link(attempt.dest.join("link")).unwrap(), Path::new("pool/first"));
}

#[tokio::test]
async fn a_further_attempt_tells_what_is_new_and_the_next_one_nothing() {
    let site = Site::new().await;
    let attempt = site.attempt("small");
    site.run(&attempt).await;
    fs::write(site.path("small/pool/first"), "first, and longer\n").unwrap();
    fs::remove_file(site.path("small/pool/second")).unwrap();
    fs::write(site.path("small/pool/third"), "third\n").unwrap();
    let (report, mut seen) = site.run(&attempt).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    seen.changes.retain(|(_, name)| name.starts_with("pool/"));
    seen.changes.sort_by(|one, other| one.1.cmp(&other.1));
    let expected = [(Updated, "pool/first"), (Deleted, "pool/second"), (Created, "pool/third")];
    assert_eq!(seen.changes, expected.map(|(kind, name)| (kind, name.to_owned())));
    assert_eq!((report.changes.created, report.changes.deleted), (1, 1));
    assert_eq!(list(&attempt.dest.join("pool")), ["first", "third"]);

    let (report, seen) = site.run(&attempt).await;
    assert_eq!((report.judgement.verdict, report.changes), (Verdict::Done, Changes::default()));
    assert_eq!(seen.changes, []);
}

#[tokio::test]
async fn what_must_not_come_does_not_come() {
    let site = Site::new().await;
    symlink("/etc/hostname", site.path("small/out")).unwrap();
    fs::create_dir(site.path("small/.~tmp~")).unwrap();
    let program = site.path("small/program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o6755)).unwrap();
    let attempt = site.attempt("small");
    let (report, _) = site.run(&attempt).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    assert_eq!(list(&attempt.dest), ["a => b -> c", "empty", "link", "pool", "program"]);
    let program = fs::metadata(attempt.dest.join("program")).unwrap();
    assert_eq!(program.permissions().mode() & 0o7777, 0o755, "a set-user-id bit came over");
}

#[tokio::test]
async fn what_hooks_edit_narrows_what_a_real_rsync_does() {
    let site = Site::new().await;
    let options = |basic: &str, delete: &str| {
        engine::Options::new(&["-a".to_owned()], &[basic.to_owned()], delete).unwrap()
    };
    let plain = Attempt { options: options("--exclude=/local/", "--delete"), ..site.attempt("small") };
    site.run(&plain).await;
    fs::create_dir(plain.dest.join("local")).unwrap();
    fs::write(plain.dest.join("local/mine"), "x").unwrap();

    // What the project protects stays protected, whatever a hook includes.
    let mut included = plain.clone();
    included.edit(&[Edit::Include("/local/***".to_owned()), Edit::Exclude("/pool/".to_owned())]).unwrap();
    fs::remove_dir_all(site.path("small/pool")).unwrap();
    let (report, _) = site.run(&included).await;
    assert_eq!((report.judgement.verdict, report.changes.deleted), (Verdict::Done, 0), "{report:?}");
    assert!(plain.dest.join("local/mine").exists() && plain.dest.join("pool/first").exists());

    // What a hook leaves out is not deleted, though the project deletes what it leaves out itself.
    let mut excluded =
        Attempt { options: options("--exclude=/local/", "--delete-excluded"), ..plain.clone() };
    excluded.edit(&[Edit::Exclude("/pool/".to_owned())]).unwrap();
    let (report, _) = site.run(&excluded).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    assert!(!plain.dest.join("local").exists() && plain.dest.join("pool/first").exists());
}

#[tokio::test]
async fn an_end_of_the_upstreams_making_is_taken_for_what_it_is() {
    let site = Site::new().await;
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Source::new(None, "127.0.0.1", unused, "small", "").unwrap();
    let path =
        Source::new(None, "127.0.0.1", site.source(None, "small").port(), "small", "not/there").unwrap();
    let login = |password: &str| (site.source(Some(LOGIN.0), "closed"), Some(Secret::new(password)));
    for ((source, password), class, said) in [
        ((nobody, None), Class::Network, "Connection refused"),
        ((site.source(None, "missing"), None), Class::UpstreamConfig, "Unknown module 'missing'"),
        ((path, None), Class::UpstreamConfig, "No such file or directory (2)"),
        (login("wrong"), Class::Auth, "auth failed on module closed"),
        (login(LOGIN.1), Class::Done, "up to date"),
    ] {
        let attempt = Attempt { source, password, ..site.attempt("small") };
        let (report, seen) = site.run(&attempt).await;
        assert_eq!(report.judgement.class, class, "{report:?}");
        assert!(report.judgement.reason.contains(said), "{}", report.judgement.reason);
        assert_eq!(report.stderr_tail, seen.stderr);
    }
}

#[tokio::test]
async fn more_deletions_than_allowed_are_stopped_and_told() {
    let site = Site::new().await;
    let attempt = site.attempt("small");
    site.run(&attempt).await;
    fs::remove_dir_all(site.path("small/pool")).unwrap();
    let limits = Limits { max_delete: 1, ..Limits::default() };
    let (report, _) = site.run(&Attempt { limits, ..attempt.clone() }).await;
    assert_eq!((&report.exit, report.judgement.class), (&Exit::Code(25), Class::DeleteLimit), "{report:?}");
    assert_eq!((report.changes.deleted, report.judgement.verdict), (1, Verdict::GiveUp));
    assert!(attempt.dest.join("pool").exists());
}

#[tokio::test]
async fn a_folder_that_the_upstream_cannot_read_itself_deletes_nothing_here() {
    let site = Site::new().await;
    let attempt = site.attempt("small");
    let (report, _) = site.run(&attempt).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    let pool = site.path("small/pool");
    fs::set_permissions(&pool, Permissions::from_mode(0o000)).unwrap();
    fs::remove_file(site.path("small/link")).unwrap();
    fs::write(site.path("small/new"), "new\n").unwrap();
    let (report, _) = site.run(&attempt).await;
    fs::set_permissions(&pool, Permissions::from_mode(0o755)).unwrap();
    assert_eq!((&report.exit, report.judgement.class), (&Exit::Code(23), Class::Partial), "{report:?}");
    assert_eq!((report.judgement.verdict, report.clean, report.changes.deleted), (Verdict::Partial, true, 0));
    assert_eq!(list(&attempt.dest), ["a => b -> c", "empty", "link", "new", "pool"]);
    let (report, _) = site.run(&attempt).await;
    assert_eq!((report.judgement.verdict, report.changes.deleted), (Verdict::Done, 1), "{report:?}");
    assert_eq!(list(&attempt.dest.join("pool")), ["first", "second"]);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_end_like_another() {
    let site = Site::new().await;
    let cancel = CancellationToken::new();
    for (program, guardian, said) in [
        ("/nowhere/rsync", guardian(), "cannot start /nowhere/rsync"),
        ("rsync", vec!["/nowhere/guardian".into()], "cannot start the guardian \"/nowhere/guardian\""),
    ] {
        let engine = Engine::new(PathBuf::from(program), guardian, &site.path("other")).unwrap();
        let report = engine.attempt(&site.attempt("small"), &Recorder::default(), &cancel).await;
        assert!(matches!(&report.exit, Exit::NotStarted(why) if why.contains(said)), "{report:?}");
        assert_eq!(report.judgement.verdict, Verdict::ConfigError);
    }
}

#[tokio::test]
async fn an_interrupted_file_goes_on_where_it_stopped() {
    let site = Site::new().await;
    let began = std::time::SystemTime::now();
    let (slow, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let (report, ()) = tokio::join!(site.engine.attempt(&slow, &recorder, &cancel), async {
        recorder.flowing().await;
        cancel.cancel();
    });
    assert_eq!((&report.exit, report.clean), (&Exit::Cancelled, false), "{report:?}");
    assert_eq!(list(&slow.dest), [".~tmp~"]);
    let again = Attempt { unclean_since: Some(began), ..site.attempt("big") };
    let (report, _) = site.run(&again).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
    assert!(report.stats.unwrap().matched > 0, "{report:?}");
    assert_eq!(list(&again.dest), ["big.bin"]);
}

#[tokio::test]
async fn the_rsync_that_runs_says_its_version() {
    let site = Site::new().await;
    assert!(site.engine.version().await.unwrap().major >= 3);
    let other = Engine::new("true".into(), guardian(), &site.path("other")).unwrap();
    assert!(other.version().await.unwrap_err().to_string().contains("this is not rsync"));
}

#[tokio::test]
async fn a_list_that_needs_more_memory_than_allowed_ends_its_rsync() {
    let site = Site::new().await;
    let long = "n".repeat(230);
    for number in 0..20_000 {
        fs::write(site.path("small").join(format!("{long}{number}")), "").unwrap();
    }
    let engine = Engine::new("rsync".into(), guardian(), &site.path("state")).unwrap();
    let bounded = engine.with_memory_max(6 << 20);
    let report =
        bounded.attempt(&site.attempt("small"), &Recorder::default(), &CancellationToken::new()).await;
    assert_eq!((report.judgement.class, report.judgement.verdict), (Class::Memory, Verdict::RetrySoon));
    assert!(report.judgement.reason.contains("rsync.memory_max"), "{report:?}");

    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.class, Class::Done, "{report:?}");
}
