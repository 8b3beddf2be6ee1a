//! A project under another name: what goes with it, what stands in its way, and what a crash leaves of it.

use super::*;
use crate::core::Rename;
use crate::relocation::Relocation;

impl Bench {
    /// What the store makes of a rename.
    pub(super) fn rename_runs(&mut self, from: &ProjectId, to: &ProjectId) {
        for run in self.runs.values_mut().filter(|run| run.project == *from && run.state.is_ended()) {
            run.project = to.clone();
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<Answer, Refusal> {
        let known = &self.core.entry(&from.parse().unwrap()).unwrap().project;
        let dest = format!("/d/{to}");
        let project = Project {
            id: to.parse().unwrap(),
            dest: (&dest).into(),
            place: (&dest).into(),
            ..Project::clone(known)
        };
        let relocation = Relocation { from: known.place.clone(), to: dest.into() };
        let from = from.parse().unwrap();
        let rename = Rename { from, project, if_version: None, relocation: Some(relocation) };
        self.ask(Command::Rename(Box::new(rename)))
    }

    /// The server is killed, and started again.
    fn start_again(&mut self) {
        self.core = clockwork();
        let live = self.runs.values().filter(|run| !run.state.is_ended()).cloned().collect();
        let projects = self.stored.values().cloned().collect();
        let loaded = Loaded { projects, live, newest: self.runs.keys().last().copied() };
        let mut step = Step::default();
        self.core.recover(self.now, loaded, &HashSet::new(), &mut step);
        self.apply(step);
    }

    fn moving(&self, id: &str) -> bool {
        self.stored[&id.parse::<ProjectId>().unwrap()].1.moving.is_some()
    }

    fn lands(&mut self, id: &str, dest: &str) -> bool {
        self.ask(Command::Create(Box::new(project(id, "h", dest)))).is_ok()
    }
}

fn id(text: &str) -> ProjectId {
    text.parse().unwrap()
}

#[test]
fn settings_standing_and_history_go_on_under_the_new_name() {
    let mut bench = Bench::new();
    bench.create(project("old", "h", "/d/old"));
    let run = bench.sync("old");
    bench.end(run, Verdict::Done, 3);
    bench.rename("old", "new").unwrap();
    assert_eq!(bench.stored.keys().collect::<Vec<_>>(), [&id("new")]);
    let (project, standing) = &bench.stored[&id("new")];
    assert_eq!((project.version, standing.generation), (2, 1));
    assert_eq!(bench.runs[&run].project, id("new"));
    assert_eq!(bench.moves, [(id("new"), Relocation { from: "/d/old".into(), to: "/d/new".into() })]);
    bench.input(Input::TreeMoved(id("new")));
    assert!(!bench.moving("new"));
    let next = bench.sync("new");
    assert_eq!(bench.runs[&next].project, id("new"));
    assert!(bench.lands("old", "/d/old"), "the old name and the old place are free");
}

#[test]
fn a_rename_waits_for_every_run_and_takes_nobody_s_name_or_place() {
    let mut bench = Bench::new();
    bench.create(project("old", "h", "/d/old"));
    bench.create(project("other", "h", "/d/new/below"));
    assert!(matches!(bench.rename("old", "other"), Err(Refusal::Exists(_))));
    assert!(matches!(bench.rename("old", "new"), Err(Refusal::Destination(_))));
    assert!(!bench.lands("third", "/d/old"), "a refused rename keeps the old place");
    let run = bench.sync("old");
    assert!(matches!(bench.rename("old", "fine"), Err(Refusal::Unsettled(_))));
    bench.end(run, Verdict::RetrySoon, 0);
    assert!(matches!(bench.rename("old", "fine"), Err(Refusal::Unsettled(_))), "it backs off");
    assert!(bench.moves.is_empty());
    bench.ask(Command::Cancel { run, by: "ann".to_owned() }).unwrap();
    bench.rename("old", "fine").unwrap();
}

#[test]
fn a_move_that_was_not_seen_to_be_made_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.create(project("old", "h", "/d/old"));
    bench.rename("old", "new").unwrap();
    for _ in 0..2 {
        bench.moves.clear();
        bench.start_again();
        assert_eq!(bench.moves.len(), 1);
    }
    // Until then the tree may be in either place, so both are taken, and it does not move once more.
    assert!(!bench.lands("old", "/d/old") && !bench.lands("third", "/d/new"));
    assert!(matches!(bench.rename("new", "newer"), Err(Refusal::Unsettled(_))));
    let run = bench.sync("new");
    bench.moves.clear();
    bench.end(run, Verdict::Done, 0);
    assert_eq!(bench.moves.len(), 1, "every attempt makes the move, and its end has it noted");
    bench.input(Input::TreeMoved(id("new")));
    assert!(!bench.moving("new") && bench.lands("old", "/d/old"));
    bench.moves.clear();
    bench.start_again();
    assert!(bench.moves.is_empty());
}

#[test]
fn a_project_that_is_removed_while_its_tree_moves_frees_both_places() {
    let mut bench = Bench::new();
    bench.create(project("old", "h", "/d/old"));
    bench.rename("old", "new").unwrap();
    bench.ask(Command::Delete { id: id("new"), if_version: None }).unwrap();
    bench.input(Input::TreeMoved(id("new")));
    assert!(bench.lands("old", "/d/old") && bench.lands("new", "/d/new"));
}
