//! What people asked for holds across crashes, removals and failed commits.

use super::*;

impl Bench {
    fn cancel(&mut self, run: RunId) {
        self.ask(Command::Cancel { run, by: "ann".to_owned() }).unwrap();
    }

    fn delete(&mut self, id: &str) {
        self.ask(Command::Delete { id: id.parse().unwrap(), if_version: None }).unwrap();
    }

    /// A commit fails: what was decided is forgotten, and the same process reads the store again.
    fn fail_to_commit(&mut self, input: Input, going: &[RunId]) {
        self.core.handle(self.now, input, &mut Step::default());
        let old = std::mem::replace(&mut self.core, clockwork());
        self.core.inherit(old);
        let live = self.runs.values().filter(|run| !run.state.is_ended()).cloned().collect();
        let loaded = Loaded {
            projects: self.stored.values().cloned().collect(),
            live,
            newest: self.runs.keys().last().copied(),
        };
        let mut step = Step::default();
        self.core.recover(self.now, loaded, &going.iter().copied().collect(), &mut step);
        self.core.settle(self.now, &mut step);
        self.apply(step);
    }
}

#[test]
fn a_cancelled_run_stays_cancelled_when_the_server_ends_before_its_rsync_does() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    let behind = bench.sync("p");
    bench.cancel(run);
    bench.crash();
    assert_eq!(bench.outcome(run), Some(Outcome::Cancelled));
    assert_eq!(bench.started, [behind], "nothing is queued for it, and what waited moves up");
}

#[test]
fn a_run_that_a_crash_cut_off_may_have_left_temporary_files() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    bench.sync("p");
    bench.now = at(50);
    bench.crash();
    assert_eq!(bench.standing("p").unclean_since, Some(at(0)));
}

#[test]
fn a_project_that_was_removed_cannot_come_back_before_its_rsync_has_ended() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let run = bench.sync("p");
    bench.delete("p");
    let again = || Command::Create(Box::new(project("p", "h", "/d/p")));
    assert!(matches!(bench.ask(again()), Err(Refusal::Destination(DestinationError::Leaving(_)))));
    bench.create(project("p", "h", "/d/elsewhere"));
    bench.end(run, Verdict::Done, 7);
    assert_eq!(*bench.standing("p"), Standing { fired: Some(at(0)), ..Standing::default() });
    bench.create(project("q", "h", "/d/p"));
}

#[test]
fn a_removed_project_that_came_back_is_not_stuck_after_a_crash() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    bench.sync("p");
    bench.delete("p");
    bench.create(project("p", "h", "/d/elsewhere"));
    let (first, second) = (bench.sync("p"), bench.sync("p"));
    bench.end(first, Verdict::RetrySoon, 0);
    bench.crash();
    bench.at(600);
    bench.end(first, Verdict::Done, 0);
    bench.end(second, Verdict::Done, 0);
    assert_eq!([bench.outcome(first), bench.outcome(second)], [Some(Outcome::Unchanged); 2]);
    assert_eq!(bench.core.live_runs().count(), 0, "everything has come to rest");
}

#[test]
fn a_failed_commit_forgets_neither_places_nor_shares_of_removed_projects() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    bench.create(project("q", "h", "/d/q"));
    let (gone, going) = (bench.sync("p"), bench.sync("q"));
    bench.delete("p");
    let wish = Command::Sync { id: "q".parse().unwrap(), by: "ann".to_owned(), whole: false };
    bench.fail_to_commit(Input::Command { ticket: 0, command: wish }, &[gone, going]);
    assert_eq!(bench.core.queue.going(), 2);
    let inside = project("r", "h", "/d/p/inside");
    assert!(matches!(bench.ask(Command::Create(Box::new(inside))), Err(Refusal::Destination(_))));
    bench.create(project("s", "h", "/d/s"));
    let waits = bench.sync("s");
    assert!(!bench.started.contains(&waits));
    bench.end(gone, Verdict::Cancelled, 0);
    assert!(bench.started.contains(&waits));
    assert_eq!(bench.outcome(gone), Some(Outcome::Cancelled));
    // A removal that could not be stored has not happened.
    let remove = Command::Delete { id: "q".parse().unwrap(), if_version: None };
    bench.fail_to_commit(Input::Command { ticket: 0, command: remove }, &[going, waits]);
    assert_eq!(bench.core.queue.going(), 2);
    bench.end(going, Verdict::Done, 0);
    assert_eq!(bench.outcome(going), Some(Outcome::Unchanged));
}

#[test]
fn an_end_that_cannot_be_stored_starts_no_second_rsync_of_a_project_that_was_made_again() {
    let mut bench = Bench::new();
    bench.create(project("p", "h", "/d/p"));
    let gone = bench.sync("p");
    bench.delete("p");
    bench.create(project("p", "h", "/d/again"));
    let going = bench.sync("p");
    assert_eq!(bench.started, [gone, going]);

    let ending = Ending::not_started("test", Verdict::Cancelled, "it was removed".to_owned());
    let told = Box::new(Told::new(ending));
    bench.fail_to_commit(Input::AttemptEnded { run: gone, told }, &[gone, going]);
    bench.end(gone, Verdict::Cancelled, 0);
    assert_eq!(bench.outcome(gone), Some(Outcome::Cancelled));
    assert_eq!(bench.started, [gone, going], "the run of the new project was started twice");
    bench.end(going, Verdict::Done, 1);
    assert_eq!(bench.outcome(going), Some(Outcome::Succeeded));
}
