//! Which of several upstreams is asked: failing over, coming back, and whose budget it is.

use engine::Class;

use super::*;

/// A project with upstreams on `one`, `two` and `three`.
fn with_three() -> Project {
    let other =
        |host: &str| Upstream { source: format!("rsync://{host}/other").parse().unwrap(), password: None };
    Project { upstreams: vec![other("two"), other("three")], ..project("p", "one", "/d/p") }
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.create(with_three());
    bench
}

impl Bench {
    /// The upstream that the newest attempt asks.
    fn asks(&self) -> &str {
        self.newest.as_ref().unwrap().attempt.source.host()
    }

    fn back(&mut self, run: RunId, upstream: &str) {
        let ending = Ending::Returns { upstream: upstream.to_owned() };
        let told = Told::new(ending);
        self.input(Input::AttemptEnded { run, told: Box::new(told) });
    }
}

#[test]
fn a_failed_upstream_is_left_for_the_next_one_at_once_and_used_again_when_it_answers() {
    let mut bench = bench();
    let run = bench.sync("p");
    assert_eq!(bench.asks(), "one");
    bench.ends(run, Class::Network);
    assert_eq!((bench.asks(), bench.started.len()), ("two", 2));
    bench.ends(run, Class::Done);
    assert_eq!(bench.outcome(run), Some(Outcome::Unchanged));
    let used: Vec<_> = bench.runs[&run].attempts.iter().map(|attempt| attempt.upstream.clone()).collect();
    assert_eq!(used, ["rsync://one/module", "rsync://two/other"]);
    let failed = &bench.standing("p").failed_upstreams;
    assert_eq!((failed.len(), &*failed[0].url, &*failed[0].class), (1, "rsync://one/module", "network"));
    bench.crash();
    let run = bench.sync("p");
    assert_eq!(bench.asks(), "two", "not even a restart forgets it");
    let again = &bench.newest.as_ref().unwrap().ask_again;
    assert_eq!(again.iter().map(|upstream| upstream.source.host()).collect::<Vec<_>>(), ["one"]);
    bench.back(run, "rsync://one/module");
    assert_eq!(bench.asks(), "one");
    assert!(bench.newest.as_ref().unwrap().ask_again.is_empty());
    bench.ends(run, Class::Done);
    assert_eq!(bench.runs[&run].attempts.len(), 1, "the question was no attempt");
    assert!(bench.standing("p").failed_upstreams.is_empty());
}

#[test]
fn what_is_wrong_here_is_wrong_with_every_upstream() {
    for class in [Class::NoSpace, Class::LocalDisk, Class::DeleteLimit, Class::Config, Class::DestinationBusy]
    {
        let mut bench = bench();
        let run = bench.sync("p");
        bench.ends(run, class);
        assert_eq!(bench.started.len(), 1, "{class}");
        assert!(bench.standing("p").failed_upstreams.is_empty(), "{class}");
    }
    for class in [
        Class::Timeout,
        Class::Stalled,
        Class::UpstreamBusy,
        Class::Auth,
        Class::UpstreamConfig,
        Class::Protocol,
    ] {
        let mut bench = bench();
        let run = bench.sync("p");
        bench.ends(run, class);
        assert_eq!(bench.asks(), "two", "{class}");
    }
}

#[test]
fn when_all_have_failed_the_run_backs_off_and_begins_with_the_one_that_failed_first() {
    let mut bench = bench();
    let run = bench.sync("p");
    for (second, host) in [(0, "one"), (1, "two"), (2, "three")] {
        bench.at(second);
        assert_eq!(bench.asks(), host);
        bench.ends(run, Class::Network);
    }
    assert!(matches!(bench.runs[&run].state, RunState::BackingOff { .. }), "{:?}", bench.runs[&run].state);
    for host in ["one", "two"] {
        bench.at((bench.core.next_wake().unwrap() - at(0)).num_seconds() + 1);
        assert_eq!(bench.asks(), host);
        bench.ends(run, Class::Network);
    }
    assert_eq!(bench.outcome(run), Some(Outcome::Failed), "three rounds, of which the first one asked all");
    let run = bench.sync("p");
    for host in ["three", "one", "two"] {
        assert_eq!(bench.asks(), host);
        bench.ends(run, Class::Auth);
    }
    assert_eq!(bench.outcome(run), Some(Outcome::Failed), "a password that nobody takes is not tried again");
}

#[test]
fn a_host_that_is_left_alone_is_gone_round_by_those_who_can() {
    let mut bench = bench();
    for name in ["a", "b"] {
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        bench.create(Project { retry, ..project(name, "one", &format!("/d/{name}")) });
        let run = bench.sync(name);
        bench.ends(run, Class::Network);
    }
    let run = bench.sync("p");
    assert_eq!(bench.asks(), "two");
    assert!(bench.newest.as_ref().unwrap().ask_again.is_empty(), "it has not failed for this project");
    bench.ends(run, Class::Done);
    let changed = Project { name: "new".to_owned(), upstreams: Vec::new(), ..with_three() };
    bench.ask(Command::Replace { project: Box::new(changed), if_version: None }).unwrap();
    let waits = bench.sync("p");
    assert_eq!(bench.runs[&waits].state, RunState::Queued);
}

#[test]
fn the_budget_that_counts_is_that_of_the_host_in_use() {
    let mut bench = Bench::new();
    let bounds = Bounds { concurrent: 9, per_host: 1, ..Bounds::default() };
    bench.input(Input::Site(
        bounds,
        Tool { program: "rsync".into(), limits: Limits::default(), commands: std::sync::Arc::default() },
    ));
    bench.create(with_three());
    bench.create(project("q", "two", "/d/q"));
    let (run, other) = (bench.sync("p"), bench.sync("q"));
    assert_eq!(bench.started, [run, other]);
    bench.ends(run, Class::Network);
    assert_eq!(bench.runs[&run].state, RunState::Queued, "the second one's host is in use");
    bench.ends(other, Class::Done);
    assert_eq!(bench.asks(), "two");
}

#[test]
fn another_source_or_password_is_a_new_beginning() {
    let mut bench = bench();
    let run = bench.sync("p");
    bench.ends(run, Class::Auth);
    bench.ends(run, Class::Done);
    assert_eq!(bench.standing("p").failed_upstreams.len(), 1);
    let changed = Project { password: Some(engine::Secret::new("right")), ..with_three() };
    bench.ask(Command::Replace { project: Box::new(changed), if_version: None }).unwrap();
    assert!(bench.standing("p").failed_upstreams.is_empty());
    bench.sync("p");
    assert_eq!(bench.asks(), "one");
}
