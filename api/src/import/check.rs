//! The last look before printing: each project goes through the server's own reader, and against the other ones.
//!
//! What is known only where the server runs (its `allowed_roots`, its projects) is for `project apply --dry-run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Options, RetryPolicy};
use scheduler::destination::{DestinationError, Landing, Places};
use scheduler::{Guard, ProjectId};

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
        let (mut taken, mut places) = (BTreeMap::new(), Places::default());
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
            let own = project.id.parse::<ProjectId>().ok();
            if let Some(own) = &own {
                reasons.extend(conflict(&taken, &places, own, &project.dest));
            }
            if let (Some(own), true) = (own, reasons.is_empty()) {
                places.insert(PathBuf::from(&project.dest), own.clone());
                taken.insert(own, project.dest.clone());
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

/// Returns the reason why a project cannot stand beside those before it.
fn conflict(
    taken: &BTreeMap<ProjectId, String>,
    places: &Places,
    own: &ProjectId,
    dest: &str,
) -> Option<String> {
    if taken.contains_key(own) {
        return Some(format!("id: `{own}` stands here already: two projects need two ids"));
    }
    let (DestinationError::Taken(id) | DestinationError::Inside(id) | DestinationError::Contains(id)) =
        places.check(Path::new(dest), own).err()?
    else {
        return None;
    };
    let other = taken.get(&id).map(String::as_str).unwrap_or_default();
    Some(format!("dest: {dest} and {other} of `{id}` overlap: they would delete each other's files"))
}
