//! The trace as a mirror's monitoring reads it.

use heliostat_plugin::testing::{Host, run_context, run_outcome};
use heliostat_plugin::{Stats, Status};

use super::*;

fn host() -> Host {
    Host::new().setting("name", "ftp.example.net")
}

fn stats(bytes_received: u64) -> Stats {
    Stats {
        files: 0,
        files_created: 0,
        files_deleted: 0,
        files_transferred: 0,
        bytes_total: 0,
        bytes_transferred: 0,
        bytes_literal: 0,
        bytes_matched: 0,
        bytes_sent: 0,
        bytes_received,
    }
}

#[test]
fn a_good_sync_leaves_a_trace_with_every_line() {
    let host = host()
        .setting("host", "mirror1.example.net")
        .setting("maintainer", "Ann <ann@example.net>\nSponsor: nobody")
        .setting("architectures", "amd64, arm64")
        .file("project/trace/master", "Wed Nov 25 18:00:00 UTC 2026\nArchive serial: 2026112503\n");
    let outcome = RunOutcome { stats: Some(stats(3_000)), ..run_outcome() };
    let (verdict, host) = host.run(|| after(&run_context(), &outcome));
    assert_eq!(verdict.unwrap(), Verdict::Accept);
    let text = String::from_utf8(host.files["project/trace/ftp.example.net"].clone()).unwrap();
    let expected = "\
Wed Nov 25 19:16:44 UTC 2026
Date: Wed, 25 Nov 2026 19:16:44 +0000
Date-Started: Wed, 25 Nov 2026 19:11:44 +0000
Archive serial: 2026112503
Creator: heliostat trace-file 0.1.0
Running on host: mirror1.example.net
Maintainer: Ann <ann@example.net> Sponsor: nobody
Trigger: schedule
Architectures: amd64 arm64
Architectures-Configuration: INCLUDE amd64 arm64
Upstream-mirror: ftp.example.org
Rsync-Transport: plain
Total bytes received in rsync: 3000
Total time spent in rsync: 300
Average rate: 10 B/s
";
    assert_eq!(text, expected);
}

#[test]
fn a_sync_that_did_not_end_well_leaves_the_old_trace() {
    for status in [Status::Partial(23), Status::Failed(10), Status::Skipped] {
        let host = host().file("project/trace/ftp.example.net", "old");
        let outcome = RunOutcome { status, ..run_outcome() };
        let (_, host) = host.run(|| after(&run_context(), &outcome).unwrap());
        assert_eq!(host.files["project/trace/ftp.example.net"], b"old");
    }
}

#[test]
fn the_next_sync_does_not_delete_it() {
    let (decision, _) = host().run(|| before(&run_context()));
    assert_eq!(decision.unwrap(), Decision::with([RsyncEdit::exclude("/project/trace/ftp.example.net")]));
    let (decision, _) = host().setting("folder", "/").run(|| before(&run_context()));
    assert_eq!(decision.unwrap(), Decision::with([RsyncEdit::exclude("/ftp.example.net")]));
}

#[test]
fn a_name_that_is_none_is_refused_by_name() {
    for name in ["../x", "a/b", ".hidden", "master", "a b"] {
        let (decision, _) = Host::new().setting("name", name).run(|| before(&run_context()));
        let error = decision.unwrap_err().to_string();
        assert!(error.starts_with(&format!("the setting `name` is `{name}`: ")), "{error}");
    }
    let (decision, _) = Host::new().run(|| before(&run_context()));
    assert_eq!(decision.unwrap_err().to_string(), "the setting `name` is missing");
    let (decision, _) = host().setting("maintaner", "x").run(|| before(&run_context()));
    assert!(decision.unwrap_err().to_string().starts_with("there is no setting `maintaner`"));
}
