//! Signs of life to a dead-man's switch, in the manner of healthchecks.io: whoever misses them raises the alarm.
//!
//! The site's says that the scheduler answers, not only that this process is there. A project's says when a run starts
//! and how it ends, with the run as `rid`.

use std::time::Duration;

use reqwest::Url;
use scheduler::event::Subscription;
use scheduler::{Event, EventKind, Outcome, Run, RunId, RunState};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::TaskTracker;

use super::deliver::{address, ping};
use crate::app::App;
use crate::config::{Ping, SecretSource};

/// How long a sign may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the scheduler may take to answer.
const ALIVE: Duration = Duration::from_secs(30);
/// How often is looked whether a sign was configured meanwhile.
const CONFIGURED: Duration = Duration::from_secs(5);
/// How often a sign of a run is tried.
const TRIES: usize = 3;
/// How many signs of runs may be on their way; more are left out.
const MOST: usize = 256;

/// What a sign says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Start,
    Success,
    Fail,
}

/// Gives signs until the server stops.
pub(super) async fn run(app: &App) {
    tokio::join!(site(app), projects(app));
}

async fn site(app: &App) {
    let mut failing = false;
    loop {
        let config = app.reloader.config();
        let configured = config.alerts.ping.as_ref().and_then(|ping| Some((ping.every, ping.url.as_ref()?)));
        let pause = match configured {
            None => CONFIGURED,
            Some((every, url)) => {
                let (sign, text) = health(app).await;
                let sent = send(url, sign, None, &text).await;
                match &sent {
                    // Said once, not every minute.
                    Err(error) if !failing => tracing::warn!("a sign of life was not taken: {error}"),
                    Ok(()) if failing => tracing::info!("signs of life are taken again"),
                    _ => {}
                }
                failing = sent.is_err();
                every
            }
        };
        if app.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn health(app: &App) -> (Sign, String) {
    if !app.scheduler.answers_within(ALIVE).await {
        return (Sign::Fail, "the scheduler does not answer".to_owned());
    }
    if !app.scheduler.store().is_writable() {
        return (Sign::Fail, "the store cannot be written".to_owned());
    }
    (Sign::Success, format!("{} alerts are open", app.alerts.open().len()))
}

async fn projects(app: &App) {
    let tasks = TaskTracker::new();
    // Runs that have started before this did are told of too.
    let Subscription { missed, mut live, .. } = app.scheduler.events().subscribe(Some(0));
    for event in missed {
        sign(app, &event, &tasks);
    }
    loop {
        match app.stop.run_until_cancelled(live.recv()).await {
            None | Some(Err(RecvError::Closed)) => return,
            Some(Err(RecvError::Lagged(missed))) => {
                tracing::warn!(missed, "some events were not heard: signs of runs may be missing");
            }
            Some(Ok(event)) => sign(app, &event, &tasks),
        }
    }
}

/// Gives the sign of a run's beginning or end, where its project has an address.
fn sign(app: &App, event: &Event, tasks: &TaskTracker) {
    let (run, sign) = match &event.kind {
        EventKind::RunStarted(run) if run.attempts.len() == 1 => (run, Sign::Start),
        EventKind::RunEnded(run) => match outcome(run) {
            Some(sign) => (run, sign),
            None => return,
        },
        _ => return,
    };
    let config = app.reloader.config();
    let Some(url) = config.alerts.ping.as_ref().and_then(|ping| of_project(ping, run)) else { return };
    if tasks.len() >= MOST {
        tracing::warn!(project = %run.project, "too many signs of runs are on their way: one is left out");
        return;
    }
    tasks.spawn(again(url.clone(), sign, run.id, reason(run)));
}

fn of_project<'a>(ping: &'a Ping, run: &Run) -> Option<&'a SecretSource> {
    ping.projects.iter().find(|project| project.id == run.project.as_str()).map(|project| &project.url)
}

/// What the end of a run says; one that a person cancelled, or a stop cut off, says nothing.
fn outcome(run: &Run) -> Option<Sign> {
    match &run.state {
        RunState::Ended { outcome, .. } if outcome.is_good() => Some(Sign::Success),
        RunState::Ended { outcome: Outcome::Failed | Outcome::Partial, .. } => Some(Sign::Fail),
        _ => None,
    }
}

fn reason(run: &Run) -> String {
    match &run.state {
        RunState::Ended { outcome, reason, .. } => {
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{}{why}", outcome.as_str())
        }
        other => other.as_str().to_owned(),
    }
}

/// Sends a sign of a run, a few times where it is not taken.
async fn again(url: SecretSource, sign: Sign, run: RunId, text: String) {
    let mut pause = Duration::from_secs(2);
    for left in (0..TRIES).rev() {
        match send(&url, sign, Some(run), &text).await {
            Ok(()) => return,
            Err(error) if left == 0 => tracing::warn!(%run, "a sign of a run was not taken: {error}"),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
}

async fn send(url: &SecretSource, sign: Sign, run: Option<RunId>, text: &str) -> Result<(), String> {
    ping(addressed(address(url).await?, sign, run), text, PATIENCE).await
}

/// The address of a sign: `/start` and `/fail` stand behind the one of success, the run as `rid`.
fn addressed(mut url: Url, sign: Sign, run: Option<RunId>) -> Url {
    let last = match sign {
        Sign::Start => Some("start"),
        Sign::Success => None,
        Sign::Fail => Some("fail"),
    };
    if let (Some(last), Ok(mut path)) = (last, url.path_segments_mut()) {
        path.pop_if_empty().push(last);
    }
    if let Some(run) = run {
        url.query_pairs_mut().append_pair("rid", &uuid(u128::from_be_bytes(run.to_bytes())));
    }
    url
}

/// 16 bytes, written as a UUID.
#[must_use]
pub(super) fn uuid(number: u128) -> String {
    let hex = format!("{number:032x}");
    let ends = [0, 8, 12, 16, 20, 32];
    let parts: Vec<_> =
        ends.iter().zip(ends.iter().skip(1)).filter_map(|(from, to)| hex.get(*from..*to)).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_has_its_word_and_its_run_in_the_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        let run = RunId::from_bytes([1; 16]);
        let rid = "01010101-0101-0101-0101-010101010101";
        assert_eq!(
            addressed(url("https://hc-ping.com/u"), Sign::Fail, Some(run)).as_str(),
            format!("https://hc-ping.com/u/fail?rid={rid}")
        );
        assert_eq!(
            addressed(url("https://h/u/?a=b"), Sign::Start, Some(run)).as_str(),
            format!("https://h/u/start?a=b&rid={rid}")
        );
        assert_eq!(addressed(url("https://h/u"), Sign::Success, None).as_str(), "https://h/u");
    }
}
