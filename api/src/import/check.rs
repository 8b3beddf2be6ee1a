//! The last look before printing: each project goes through the server's own reader, and against the other ones.
//!
//! What is known only where the server runs (its `allowed_roots`, its projects) is for `project apply --dry-run`.

use std::path::Path;
use std::time::Duration;

use engine::{Options, RetryPolicy};
use scheduler::Guard;
use scheduler::destination::Landing;

use super::{Content, Import, Note, Weight};
use crate::draft::{self, Defaults};

impl Import {
    /// Leaves out what the server would refuse; the first of two that exclude each other stays.
    pub(super) fn check(&mut self) {
        let defaults = Defaults {
            options: Options::default(),
            retry: RetryPolicy::default(),
            timeout: Duration::from_hours(24),
            stall: Duration::from_mins(15),
            guard: Guard::default(),
            commands: Vec::new(),
            plugins: Vec::new(),
        };
        let landing = Landing::default();
        let mut taken: Vec<(String, String)> = Vec::new();
        let mut notes = Vec::new();
        for entry in &mut self.entries {
            let Content::Taken(project) = &entry.content else { continue };
            let read = draft::project(&project.document(), None, "root", &defaults, &landing);
            let mut reasons: Vec<_> = read
                .err()
                .into_iter()
                .flatten()
                .map(|error| format!("{}: {}", error.field, error.message))
                .collect();
            for (id, dest) in &taken {
                if *id == project.id {
                    reasons.push(format!("id: `{id}` stands here already: two projects need two ids"));
                } else if overlap(dest, &project.dest) {
                    reasons.push(format!(
                        "dest: {} and {dest} of `{id}` overlap: they would delete each other's files",
                        project.dest
                    ));
                }
            }
            if reasons.is_empty() {
                taken.push((project.id.clone(), project.dest.clone()));
                continue;
            }
            for reason in &reasons {
                let (option, advice) = reason.split_once(": ").unwrap_or(("project", reason));
                notes.push(Note {
                    weight: Weight::Unmapped,
                    mirror: Some(entry.name.clone()),
                    option: option.to_owned(),
                    value: None,
                    advice: format!("the project is left out: {advice}"),
                });
            }
            entry.content = Content::Refused(project.clone(), reasons);
        }
        self.notes.append(&mut notes);
    }
}

fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (Path::new(one), Path::new(other));
    one.starts_with(other) || other.starts_with(one)
}
