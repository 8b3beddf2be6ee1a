//! Programs that bring trees in rsync's place: `commands` of a master.

use std::path::PathBuf;

use engine::{Command, Pattern, Secret, Source};

use super::plugins::Named;
use super::secret::{SecretError, SecretSource};
use super::value::record;

/// All of them, by the names that projects give.
pub type Commands = Named<CommandKeys>;

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandKeys {
    /// What is added to its environment; every user of this machine with root's rights sees it, nobody else.
    pub environment: Named<SecretSource>,
    /// The exit codes that mean that all is well.
    pub success: Vec<i32>,
    /// A line of its output that matches this regular expression means that it failed; `None`: the exit code alone counts.
    pub fail_on: Option<String>,
    /// A line that matches tells the size of the tree, by its first group; `None`: the size is not known.
    pub size: Option<String>,
    /// The program, by its whole path, and its arguments.
    pub run: Vec<String>,
}

record!(CommandKeys {
    environment = Named::default(),
    success = vec![0],
    fail_on = None,
    size = None;
    run = Vec::new(),
});

impl CommandKeys {
    /// What cannot work, each with its key.
    pub(super) fn problems(&self, name: &str) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Err(error) = Source::command(name) {
            problems.push(("run", format!("the name of a command {}", error.message)));
        }
        match self.run.first() {
            None => problems.push(("run", "is empty: give the program and its arguments".to_owned())),
            Some(program) if !program.starts_with('/') => {
                let why =
                    format!("\"{program}\" is not a whole path: begin with /, since no shell looks for it");
                problems.push(("run", why));
            }
            Some(_) => {}
        }
        if self.success.is_empty() {
            problems.push(("success", "is empty: no end would be good; use [0]".to_owned()));
        }
        for (key, pattern) in [("fail_on", &self.fail_on), ("size", &self.size)] {
            if let Some(Err(error)) = pattern.as_deref().map(Pattern::new) {
                problems.push((key, format!("is no regular expression: {error}")));
            }
        }
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        for name in self.environment.0.keys() {
            if !plain(name) {
                problems.push(("environment", format!("\"{name}\" is no name of a variable")));
            } else if name.starts_with("HELIOSTAT_") {
                problems.push(("environment", format!("\"{name}\" is set by Heliostat itself")));
            }
        }
        problems
    }

    /// The same for the engine, with its secrets fetched.
    ///
    /// # Errors
    /// When a secret cannot be had.
    pub fn command(&self) -> Result<Command, SecretError> {
        let pattern = |text: &Option<String>| text.as_deref().and_then(|text| Pattern::new(text).ok());
        let secret = |(name, source): (&String, &SecretSource)| -> Result<(String, Secret), SecretError> {
            Ok((name.clone(), source.resolve()?))
        };
        let mut words = self.run.iter();
        Ok(Command {
            program: words.next().map(PathBuf::from).unwrap_or_default(),
            arguments: words.cloned().collect(),
            environment: self.environment.0.iter().map(secret).collect::<Result<_, _>>()?,
            success: self.success.clone(),
            fail_on: pattern(&self.fail_on),
            size: pattern(&self.size),
        })
    }
}
