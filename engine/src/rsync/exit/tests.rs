//! Ends and what they are taken for; recorded ones are judged in `attempt/transcripts.rs`.

use super::*;

fn judged(exit: &Exit, complete: bool, lines: &[&str]) -> Judgement {
    let mut findings = Findings::default();
    for line in lines {
        findings.line(line.as_bytes());
    }
    let stats = Stats { files: 26, ..Stats::default() };
    judge(exit, complete.then_some(&stats), &findings)
}

#[test]
fn success_needs_complete_statistics() {
    assert_eq!(judged(&Exit::Code(0), true, &[]).verdict, Verdict::Done);
    assert_eq!(judged(&Exit::Code(0), false, &[]).class, Class::Incomplete);
}

#[test]
fn every_code_and_signal_has_a_class_and_only_zero_is_done() {
    for code in 1..=255 {
        for complete in [false, true] {
            let judgement = judged(&Exit::Code(code), complete, &[]);
            assert_ne!(judgement.verdict, Verdict::Done, "code {code}");
            assert!(!judgement.reason.is_empty());
        }
    }
    for signal in 1..=64 {
        assert_eq!(judged(&Exit::Signal(signal), true, &[]).verdict, Verdict::RetrySoon);
    }
}

#[test]
fn a_path_that_the_upstream_does_not_have_is_told_from_a_file_that_went_missing() {
    let mut findings = Findings::default();
    findings.line(b"rsync: [sender] change_dir \"nope\" (in m) failed: No such file or directory (2)");
    let class = |files| judge(&Exit::Code(23), Some(&Stats { files, ..Stats::default() }), &findings).class;
    assert_eq!(class(0), Class::UpstreamConfig);
    assert_eq!(class(26), Class::Partial);
    assert_eq!(judge(&Exit::Code(23), None, &findings).class, Class::UpstreamConfig);
}

#[test]
fn what_was_said_goes_before_the_code() {
    let full = "rsync: [receiver] mkstemp \"/d/.x\" failed: No space left on device (28)";
    assert_eq!(judged(&Exit::Code(23), true, &[full]).class, Class::NoSpace);
    let unreadable = "rsync: [sender] send_files failed to open \"x\" (in m): Permission denied (13)";
    assert_eq!(judged(&Exit::Code(23), true, &[unreadable]).class, Class::Partial);
    // 23 hides 25.
    let stopped = "Deletions stopped due to --max-delete limit (5 skipped)";
    assert_eq!(judged(&Exit::Code(23), true, &[unreadable, stopped]).class, Class::DeleteLimit);
    let busy = judged(&Exit::Code(5), false, &["@ERROR: max connections (1) reached -- try again later"]);
    assert_eq!(busy.verdict, Verdict::RetryLater);
    assert!(busy.reason.contains("max connections"));
}
