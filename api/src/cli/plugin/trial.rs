//! `plugin test` and `plugin replay`: a plugin asked on this machine, without a server.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use engine::Secret;
use plugins::{Entry, PluginSettings, Trial, Tried, Trying, read_recording};
use serde_json::json;

use crate::cli::Output;
use crate::cli::failure::Failure;
use crate::cli::terminal::{document, plain, say};

/// What the plugin may reach, as the configuration of a server would say it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rights {
    /// A setting of the plugin
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Paths below the destination that it may read
    #[arg(long, value_name = "PATTERN")]
    dest_read: Vec<String>,
    /// Paths below the destination that it may write
    #[arg(long, value_name = "PATTERN")]
    dest_write: Vec<String>,
    /// Addresses that it may send requests to
    #[arg(long, value_name = "URL")]
    http: Vec<String>,
    /// Those may lead to this machine and to private networks
    #[arg(long)]
    private_addresses: bool,
    /// A secret for its requests, from an environment variable
    #[arg(long = "secret", value_name = "NAME=VARIABLE")]
    secrets: Vec<String>,
    /// How much it may keep, for this one try
    #[arg(long, value_name = "KIB", default_value_t = 0)]
    kv_kib: u32,
}

/// What the plugin is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Hook {
    PreSync,
    PostSync,
    Policy,
}

/// Asks a plugin once; ends with 1 when it has no answer.
pub(super) async fn test(
    file: &Path,
    hook: Hook,
    context: &str,
    rights: &Rights,
    output: Output,
) -> Result<(), Failure> {
    let trying = match hook {
        Hook::PreSync => Trying::pre_sync(context),
        Hook::PostSync => Trying::post_sync(context),
        Hook::Policy => Trying::policy(context),
    };
    let trying = trying.map_err(|error| Failure::Usage(error.to_string()))?;
    let Tried { answer, took, lines } = load(file, rights).await?.ask(&trying).await;
    if output == Output::Json {
        let (word, error) = match &answer {
            Ok(word) => (Some(word), None),
            Err(why) => (None, Some(why)),
        };
        let took = took.as_secs_f64();
        document(&json!({ "answer": word, "error": error, "seconds": took, "log": lines }))?;
    } else {
        for line in &lines {
            say(&plain(line))?;
        }
        if let Ok(word) = &answer {
            say(&format!("{word}\nafter {:.1} ms", took.as_secs_f64() * 1e3))?;
        }
    }
    answer.map(drop).map_err(|why| Failure::Failed(format!("no answer: {}", plain(&why))))
}

/// Asks a policy what was recorded; ends with 1 when it decides otherwise anywhere.
pub(super) async fn replay(
    file: &Path,
    recording: &Path,
    rights: &Rights,
    output: Output,
) -> Result<(), Failure> {
    let entries = read_recording(recording).map_err(|error| Failure::Usage(error.to_string()))?;
    let others = load(file, rights).await?.replay(&entries).await;
    if output == Output::Json {
        let other = |(at, now): &(usize, Result<_, String>)| json!({ "decision": at + 1, "question": entries[*at].question, "then": entries[*at].answer, "now": now });
        let others: Vec<_> = others.iter().map(other).collect();
        document(&json!({ "decisions": entries.len(), "different": others }))?;
    } else {
        for (at, now) in &others {
            let Entry { answer, .. } = &entries[*at];
            say(&plain(&format!("decision {}: then {answer:?}, now {now:?}", at + 1)))?;
        }
        say(&format!("{} decisions, {} different", entries.len(), others.len()))?;
    }
    if others.is_empty() { Ok(()) } else { Err(Failure::BadRun) }
}

async fn load(file: &Path, rights: &Rights) -> Result<Trial, Failure> {
    let settings = rights.settings(file)?;
    let problem = settings.problems().into_iter().next();
    if let Some((field, why)) = problem {
        return Err(Failure::Usage(format!("{field}: {why}")));
    }
    let refused = |error| Failure::Usage(format!("{}: {error}", file.display()));
    Trial::load(settings).await.map_err(refused)
}

impl Rights {
    fn settings(&self, file: &Path) -> Result<PluginSettings, Failure> {
        let mut settings = PluginSettings::new("trial", PathBuf::from(file));
        settings.grants.dest_read = all(&self.dest_read, "--dest-read")?;
        settings.grants.dest_write = all(&self.dest_write, "--dest-write")?;
        settings.grants.http = all(&self.http, "--http")?;
        settings.grants.private_addresses = self.private_addresses;
        settings.grants.kv_kib = self.kv_kib;
        for pair in &self.settings {
            let (key, value) = pair_of(pair, "--set")?;
            settings.config.insert(key.to_owned(), value.to_owned());
        }
        for pair in &self.secrets {
            let (name, variable) = pair_of(pair, "--secret")?;
            let value = std::env::var(variable)
                .map_err(|_| Failure::Usage(format!("--secret: the environment has no {variable}")))?;
            settings.grants.secrets.insert(name.to_owned(), Secret::new(value));
        }
        Ok(settings)
    }
}

fn all<T: FromStr<Err: std::fmt::Display>>(texts: &[String], flag: &str) -> Result<Vec<T>, Failure> {
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

fn pair_of<'a>(pair: &'a str, flag: &str) -> Result<(&'a str, &'a str), Failure> {
    // What stands there may be a secret: it is not repeated.
    pair.split_once('=').ok_or_else(|| Failure::Usage(format!("{flag} takes a name, `=` and a value")))
}
