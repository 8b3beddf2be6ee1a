//! The right to a change is looked at in the step that makes it, on the project as it is then.

use std::sync::Arc;

use super::{Bench, at, project};
use crate::core::{Command, Refusal};
use crate::permit::{ChangePermit, PermitDenial};
use crate::project::{Project, ProjectLife, SettingsVersion};

/// The right of one owner to what that owner has.
#[derive(Debug)]
struct OwnerPermit(&'static str);

impl ChangePermit for OwnerPermit {
    fn check(&self, before: Option<&Project>, _: Option<&Project>) -> Result<(), PermitDenial> {
        match before {
            Some(project) if project.owner != self.0 => Err(PermitDenial::Forbidden(project.owner.clone())),
            _ => Ok(()),
        }
    }
}

fn noted(by: &'static str, command: Command) -> Command {
    let line = crate::account::AuditEntry {
        id: 1,
        at: at(0),
        by: by.to_owned(),
        from: None,
        action: "test".to_owned(),
        target: "p".to_owned(),
        before: None,
        after: None,
    };
    Command::Noted { command: Box::new(command), permit: Arc::new(OwnerPermit(by)), line: Box::new(line) }
}

fn of(owner: &str) -> Box<Project> {
    Box::new(Project { owner: owner.to_owned(), ..project("p", "h", "/d/p") })
}

#[test]
fn who_owned_a_project_of_this_name_changes_nothing_of_the_next_one() {
    let mut bench = Bench::new();
    let id = || "p".parse().unwrap();
    bench.ask(noted("jane", Command::Create(of("jane")))).unwrap();
    bench.ask(noted("jane", Command::Delete { id: id(), if_version: None })).unwrap();
    bench.ask(noted("bob", Command::Create(of("bob")))).unwrap();
    let run = match bench.ask(noted("bob", Command::Sync { id: id(), by: "bob".to_owned(), whole: false })) {
        Ok(crate::core::Answer::Run(run)) => run.id,
        other => panic!("{other:?}"),
    };

    let by = || "jane".to_owned();
    let wishes = [
        Command::Replace { project: of("jane"), if_version: None },
        Command::Enable { id: id(), enabled: false },
        Command::Delete { id: id(), if_version: None },
        Command::Sync { id: id(), by: by(), whole: false },
        Command::Cancel { run, by: by() },
        Command::Approve { run, by: by(), plan: None },
        Command::Reject { run, by: by() },
    ];
    for wish in wishes {
        let text = format!("{wish:?}");
        let denied = bench.ask(noted("jane", wish));
        assert!(matches!(denied, Err(Refusal::Denied(PermitDenial::Forbidden(_)))), "{text}: {denied:?}");
    }
}

#[test]
fn settings_that_are_replaced_keep_their_owner_and_their_life() {
    let mut bench = Bench::new();
    let since = Some(at(1));
    bench.ask(Command::Create(Box::new(Project { owner_since: since, ..*of("jane") }))).unwrap();
    let answer = bench.ask(Command::Replace { project: of("bob"), if_version: None }).unwrap();
    let crate::core::Answer::Project(after) = answer else { panic!("{answer:?}") };
    assert_eq!((after.owner.as_str(), after.owner_since), ("jane", since));
}

#[test]
fn a_name_has_lives() {
    let first = project("p", "h", "/d/p");
    let next = Project { created: at(10), ..first.clone() };
    assert!(first.settings_version().is_of(&first) && !first.settings_version().is_of(&next));
    assert!(SettingsVersion { number: 1, life: None }.is_of(&next));
    assert!(ProjectLife::of(&first).is_of(&first) && !ProjectLife::of(&first).is_of(&next));
    assert!(ProjectLife::At(at(5)).is_of(&first) && !ProjectLife::At(at(5)).is_of(&next));

    let owned = Project { owner: "jane".to_owned(), owner_since: Some(at(3)), created: at(5), ..first };
    assert!(owned.is_owned_by("jane", Some(at(3))) && !owned.is_owned_by("jane", Some(at(4))));
    // Stored before that was noted: whoever was there when the project was created.
    let old = Project { owner_since: None, ..owned };
    assert!(old.is_owned_by("jane", Some(at(5))) && !old.is_owned_by("jane", Some(at(6))));
    assert!(!old.is_owned_by("bob", Some(at(3))));
}
