//! The guardian's order for an attempt: rsync, or a command, in the destination.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{Attempt, Engine};
use crate::command::Command;
use crate::guardian::Spec;
use crate::rsync::stages;

impl Engine {
    /// The guardian's order for an attempt.
    pub(super) fn spec(&self, attempt: &Attempt) -> Spec {
        if let Some(command) = &attempt.command {
            return self.spec_of(command, attempt);
        }
        let (args, then) = match stages::first(attempt) {
            Some(first) => (first, Some(attempt.arguments())),
            None => (attempt.arguments(), None),
        };
        Spec {
            args: started_there(args),
            then: then.map(started_there),
            input: attempt.password.as_ref().map(|password| format!("{}\n", password.expose())),
            ..self.spec_for(self.program.clone(), attempt)
        }
    }

    /// A command starts in the destination, and is told where that is.
    fn spec_of(&self, command: &Command, attempt: &Attempt) -> Spec {
        let given = command.environment.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let dest = attempt.dest.to_string_lossy().into_owned();
        Spec {
            args: command.arguments.iter().map(|argument| argument.clone().into_bytes()).collect(),
            environment: given.chain([("HELIOSTAT_DESTINATION".to_owned(), dest)]).collect(),
            ask_group: true,
            ..self.spec_for(command.program.clone(), attempt)
        }
    }

    /// The part of an order that is the same for every program.
    fn spec_for(&self, program: PathBuf, attempt: &Attempt) -> Spec {
        Spec {
            program,
            args: Vec::new(),
            then: None,
            environment: Vec::new(),
            ask_group: false,
            home: self.home.clone(),
            input: None,
            locks: Some(self.locks.clone()),
            dest: Some(attempt.dest.clone()),
            dest_identity: attempt.folder.as_ref().and_then(|folder| folder.identity().ok()),
            grace_ms: u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX),
            memory_max: self.memory_max,
            group: None,
        }
    }
}

/// Arguments of an rsync that the guardian starts in the destination. A path would be looked up
/// again: to `.`, and to nothing else (not even `./`), rsync changes without one.
fn started_there(mut arguments: Vec<OsString>) -> Vec<Vec<u8>> {
    if let Some(dest) = arguments.last_mut() {
        *dest = OsString::from(".");
    }
    arguments.into_iter().map(OsString::into_vec).collect()
}
