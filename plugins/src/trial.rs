//! A plugin asked outside a server: with a context from a file, or with decisions that were recorded.
//!
//! Grants hold as in a server, and so a plugin that writes or sends does so for real. Values last for the one try.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use scheduler::hooks::{Decision, RunContext, RunOutcome, Verdict};
use serde_json::{Value, json};

use crate::context::Context;
use crate::imports::kv::MemoryKv;
use crate::imports::log::{LogLine, LogSink};
use crate::load::LoadError;
use crate::plugin::{Plugin, Surroundings};
use crate::policy::{Answer, Entry, Question};
use crate::runtime::{Runtime, RuntimeError};
use crate::settings::PluginSettings;

/// A plugin that is ready to be tried.
#[derive(Debug)]
pub struct Trial {
    plugin: Plugin,
    around: Surroundings,
    lines: Arc<Lines>,
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Its word, as people and programs can read it; or why there is none.
    pub answer: Result<Value, String>,
    /// How long it took.
    pub took: Duration,
    /// What it said meanwhile, as `level message`.
    pub lines: Vec<String>,
}

/// What a plugin is tried with.
#[derive(Debug, Clone)]
pub enum Trying {
    /// Before an attempt.
    PreSync(Box<RunContext>),
    /// After it.
    PostSync(Box<(RunContext, RunOutcome)>),
    /// What a policy decides.
    Policy(Question),
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No plugin can run at all.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// This one cannot.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The context is none.
    #[error("the context cannot be read: {0}")]
    Context(#[from] serde_json::Error),
}

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn line(&self, line: &LogLine<'_>) {
        let mut text = format!("{} {}", line.level.as_str(), line.message);
        for (name, value) in line.fields {
            text.push_str(&format!(" {name}={value}"));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

impl Trying {
    /// From JSON, with names as `docs/plugins.md` has them. What is left out has a value that serves for a try.
    pub fn pre_sync(json: &str) -> Result<Self, TrialError> {
        let context: Context = serde_json::from_str(json)?;
        Ok(Self::PreSync(Box::new(context.run())))
    }

    /// The same, with an outcome in it.
    pub fn post_sync(json: &str) -> Result<Self, TrialError> {
        let context: Context = serde_json::from_str(json)?;
        Ok(Self::PostSync(Box::new((context.run(), context.outcome()))))
    }

    /// One question of a recording.
    pub fn policy(json: &str) -> Result<Self, TrialError> {
        Ok(Self::Policy(serde_json::from_str(json)?))
    }
}

impl Trial {
    /// Loads a plugin; its path is taken as it is.
    pub async fn load(settings: PluginSettings) -> Result<Self, TrialError> {
        let lines = Arc::new(Lines::default());
        let around = Surroundings {
            runtime: Arc::new(Runtime::start(None, None)?),
            kv: Arc::new(MemoryKv::default()),
            log: lines.clone(),
            http: Arc::default(),
        };
        let plugin = Plugin::new(settings);
        let path = plugin.settings.path.clone();
        plugin.reload(&around, &path).await?;
        Ok(Self { plugin, around, lines })
    }

    /// Asks it once.
    pub async fn ask(&self, trying: &Trying) -> Tried {
        let started = Instant::now();
        let answer = match trying {
            Trying::PreSync(context) => {
                self.plugin.pre_sync(&self.around, context).await.map(|word| decision(&word))
            }
            Trying::PostSync(both) => {
                self.plugin.post_sync(&self.around, &both.0, &both.1).await.map(|word| verdict(&word))
            }
            Trying::Policy(question) => {
                self.plugin.answer(&self.around, question).await.map(|answer| json!(answer))
            }
        };
        let took = started.elapsed();
        let lines = std::mem::take(&mut *self.lines.0.lock().unwrap_or_else(PoisonError::into_inner));
        Tried { answer: answer.map_err(|error| error.to_string()), took, lines }
    }

    /// Asks it again what was recorded; each entry whose answer is another one now, with that.
    pub async fn replay(&self, entries: &[Entry]) -> Vec<(usize, Result<Answer, String>)> {
        let mut others = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let answer = self.plugin.answer(&self.around, &entry.question).await;
            let answer = answer.map_err(|error| error.to_string());
            if answer != entry.answer {
                others.push((number, answer));
            }
        }
        others
    }
}

fn decision(word: &Decision) -> Value {
    let mut value = json!({ "decision": word.as_str() });
    if let Some(why) = word.reason() {
        value["reason"] = json!(why);
    }
    match word {
        Decision::ProceedWith(edits) => {
            value["edits"] = edits.iter().map(|edit| json!(format!("{edit:?}"))).collect();
        }
        Decision::Delay(wait, _) => value["delay_ms"] = json!(wait.as_millis()),
        _ => {}
    }
    value
}

fn verdict(word: &Verdict) -> Value {
    let mut value = json!({ "verdict": word.as_str() });
    if let Some(why) = word.reason() {
        value["reason"] = json!(why);
    }
    if let Verdict::RetryAfter(wait, _) = word {
        value["delay_ms"] = json!(wait.as_millis());
    }
    value
}
