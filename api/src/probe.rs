//! Asking an upstream what it is, before a project depends on it: in the daemon's own protocol, without an rsync.
//!
//! Nothing is kept of it, and no file is read. How old the upstream is, its marker says, where it has one.

use std::time::{Duration, Instant};

use engine::protocol::{
    Connection, LoginState, ModuleLine, ModuleState, Probe, ProtocolError, Timeouts, probe,
};
use engine::{Secret, Source};
use scheduler::Project;
use scheduler::freshness::{MarkerRule, Question};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::auth::slots::{UserSlot, UserSlots};
use crate::problem::{FieldError, Problem};
use crate::view::time;

/// The longest that a probe takes; a person waits for it.
const LONGEST: Duration = Duration::from_secs(10);
/// What is left of that when the question for the marker is given up, so that what is known by then is told.
const SPARED: Duration = Duration::from_millis(200);
/// How many probes go at once: each holds a connection to wherever it was told to.
pub(crate) const TOGETHER: usize = 8;
/// How many modules are named where one is missing.
const NAMED: usize = 20;

static SLOTS: Semaphore = Semaphore::const_new(TOGETHER);

/// What is asked: one module, or only which there are.
#[derive(Debug)]
pub(crate) enum Target {
    /// This module, with its login.
    Module(Source),
    /// The list of modules; the module that stands in the source is not looked at.
    Host(Source),
}

/// What a probe found, as clients see it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ProbeView {
    /// Whether an rsync daemon answered.
    reachable: bool,
    address: Option<String>,
    /// The newest protocol that it knows.
    protocol: Option<u32>,
    /// The one that is spoken with it.
    spoken: Option<u32>,
    digests: Vec<String>,
    motd: String,
    modules: Option<Vec<ModuleView>>,
    /// `found`, `missing`, `refused` or `not-asked`.
    module: &'static str,
    nearest: Option<String>,
    /// `not-asked`, `not-needed`, `accepted` or `refused`.
    login: &'static str,
    /// The file that it writes whenever it changes, if one was found.
    marker: Option<MarkerView>,
    /// What is wrong, in one sentence.
    problem: Option<String>,
    connect_ms: Option<f64>,
    greeting_ms: Option<f64>,
    /// Number of projects that had remembered a refusal, where it was asked to forget them.
    pub(crate) forgotten: Option<usize>,
}

/// A module that the upstream lists.
#[derive(Debug, Serialize)]
struct ModuleView {
    name: String,
    comment: String,
}

/// What tells how old an upstream is.
#[derive(Debug, Serialize)]
struct MarkerView {
    path: String,
    size: u64,
    modified: String,
}

/// A place of a user among those who ask.
///
/// # Errors
/// When this user asks too much at once.
pub(crate) fn user_slot(slots: &UserSlots, name: &str) -> Result<UserSlot, Problem> {
    let full = || format!("`{name}` asks as many upstreams as one user may at once: try again in a moment");
    slots.take(name).ok_or_else(|| Problem::unavailable(full()))
}

/// Asks, and says what was found; that nobody answers is an answer too.
///
/// # Errors
/// When too many are asking already.
pub(crate) async fn ask(
    _own: UserSlot,
    target: &Target,
    password: Option<&Secret>,
) -> Result<ProbeView, Problem> {
    let Ok(_slot) = SLOTS.try_acquire() else {
        return Err(Problem::unavailable(format!(
            "{TOGETHER} probes are going already: try again in a moment"
        )));
    };
    let timeouts = Timeouts { connect: LONGEST / 2, handshake: LONGEST / 2, ..Timeouts::default() };
    let began = Instant::now();
    let asked = async {
        match target {
            Target::Module(source) => {
                let found = probe(source, password, &timeouts).await?;
                let mut view = of_module(source, found);
                if view.problem.is_none() {
                    view.marker = marker(source, password, began).await;
                }
                Ok(view)
            }
            Target::Host(source) => modules(source, &timeouts).await,
        }
    };
    Ok(match tokio::time::timeout(LONGEST, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => unreachable(whole(&error)),
        Err(_) => unreachable(format!("no answer within {} seconds", LONGEST.as_secs())),
    })
}

/// Refuses a project whose upstream does not have its module, does not let it in, or cannot be asked.
///
/// # Errors
/// What is wrong, at the field `source`.
pub(crate) async fn check(own: UserSlot, project: &Project) -> Result<(), Problem> {
    if project.source.command_name().is_some() {
        return Ok(());
    }
    let target = Target::Module(project.source.clone());
    let found = ask(own, &target, project.password.as_ref()).await?;
    match found.problem {
        Some(problem) => Err(Problem::invalid(vec![FieldError::new("source", problem)])),
        None => Ok(()),
    }
}

/// How old it is, if that can be found out in the time that is left. Whatever goes wrong here is no problem: the login
/// works.
async fn marker(source: &Source, password: Option<&Secret>, began: Instant) -> Option<MarkerView> {
    let left = LONGEST.saturating_sub(began.elapsed()).saturating_sub(SPARED);
    let asked = Question { source, password };
    let found = tokio::time::timeout(left, asked.marker(&MarkerRule::Auto, None)).await.ok()?.ok()??;
    Some(MarkerView { path: found.path, size: found.size, modified: time(found.modified) })
}

async fn modules(source: &Source, timeouts: &Timeouts) -> Result<ProbeView, ProtocolError> {
    let connection = Connection::open(source, timeouts).await?;
    let (connect, greeting) = connection.latency();
    let (address, said) = (connection.address(), connection.greeting().clone());
    let listed = match connection.modules().await {
        Ok(listed) => Some(listed),
        // It is there all the same.
        Err(ProtocolError::Refused(_) | ProtocolError::Closed { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(ProbeView {
        reachable: true,
        address: Some(address.to_string()),
        protocol: Some(said.protocol),
        spoken: Some(said.spoken()),
        digests: said.digests,
        motd: listed.as_ref().map(|listed| listed.motd.clone()).unwrap_or_default(),
        modules: listed.map(|listed| lines(listed.modules)),
        connect_ms: Some(millis(connect)),
        greeting_ms: Some(millis(greeting)),
        ..nothing()
    })
}

fn of_module(source: &Source, found: Probe) -> ProbeView {
    let (module, login, problem, nearest) = match (found.module, found.login) {
        (ModuleState::Missing { nearest }, _) => {
            let problem = missing(source.module(), nearest.as_deref(), found.modules.as_deref());
            ("missing", "not-asked", Some(problem), nearest)
        }
        (ModuleState::Refused(refusal), _) => ("refused", "not-asked", Some(refusal.to_string()), None),
        (ModuleState::Found, LoginState::Refused(refusal)) => {
            ("found", "refused", Some(refusal.to_string()), None)
        }
        (ModuleState::Found, LoginState::NotNeeded) => ("found", "not-needed", None, None),
        (ModuleState::Found, LoginState::Accepted(_)) => ("found", "accepted", None, None),
        (ModuleState::Found, LoginState::NotAsked) => ("found", "not-asked", None, None),
    };
    ProbeView {
        reachable: true,
        address: Some(found.address.to_string()),
        protocol: Some(found.greeting.protocol),
        spoken: Some(found.greeting.spoken()),
        digests: found.greeting.digests,
        motd: found.motd,
        modules: found.modules.map(lines),
        module,
        nearest,
        login,
        marker: None,
        problem,
        connect_ms: Some(millis(found.connect_took)),
        greeting_ms: Some(millis(found.greeting_took)),
        forgotten: None,
    }
}

/// The sentence for a module that is not there: the one that was meant, or those that are.
fn missing(wanted: &str, nearest: Option<&str>, modules: Option<&[ModuleLine]>) -> String {
    let modules = modules.unwrap_or_default();
    let mut sentence = format!("the upstream has no module `{wanted}`");
    if let Some(nearest) = nearest {
        sentence.push_str(&format!(": did you mean `{nearest}`?"));
    } else if !modules.is_empty() {
        let names: Vec<&str> = modules.iter().take(NAMED).map(|module| module.name.as_str()).collect();
        let more = if modules.len() > NAMED { "…" } else { "" };
        sentence.push_str(&format!(": it lists {}{more}", names.join(", ")));
    }
    sentence
}

fn nothing() -> ProbeView {
    ProbeView { module: "not-asked", login: "not-asked", ..ProbeView::default() }
}

fn unreachable(problem: String) -> ProbeView {
    ProbeView { problem: Some(problem), ..nothing() }
}

/// An error with its causes.
fn whole(error: &ProtocolError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

fn lines(modules: Vec<ModuleLine>) -> Vec<ModuleView> {
    modules.into_iter().map(|ModuleLine { name, comment }| ModuleView { name, comment }).collect()
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
