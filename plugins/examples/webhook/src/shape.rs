//! What a message looks like for those who read it: our own JSON, Slack, Matrix, healthchecks.

use heliostat_plugin::http::Request;
use heliostat_plugin::time::in_words;
use heliostat_plugin::{RunContext, RunOutcome, Settings};
use serde_json::json;

use crate::State;

/// Who reads the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A program of one's own: everything that is known.
    Json,
    /// Slack, Mattermost, Rocket.Chat, Discord's `/slack` address.
    Slack,
    /// A Matrix room: a `PUT` with a transaction id, so that a message that is sent twice is shown once.
    Matrix,
    /// healthchecks.io and its like: `/fail` behind the address says that it failed.
    Healthchecks,
}

impl Shape {
    /// Each with its word.
    pub const ALL: [(&'static str, Self); 4] = [
        ("json", Self::Json),
        ("slack", Self::Slack),
        ("matrix", Self::Matrix),
        ("healthchecks", Self::Healthchecks),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, shape)| *shape == self).map_or("", |(word, _)| word)
    }

    /// The request that tells of `state`.
    pub fn request(
        self,
        url: &str,
        settings: &Settings,
        run: &RunContext,
        outcome: &RunOutcome,
        state: State,
        told: Option<State>,
    ) -> Request {
        let site = settings.get("site");
        let text = sentence(site, run, outcome, state);
        let url = url.trim_end_matches('/');
        match self {
            Self::Json => Request::post(url).json(everything(site, run, outcome, state, told).to_string()),
            Self::Slack => Request::post(url).json(json!({ "text": text }).to_string()),
            Self::Matrix => Request::new("PUT", &format!("{url}/{}-{}", run.run_id, run.attempt))
                .json(json!({ "msgtype": "m.notice", "body": text }).to_string()),
            Self::Healthchecks if state == State::Good => Request::post(url).body(text),
            Self::Healthchecks => Request::post(&format!("{url}/fail")).body(text),
        }
    }
}

/// For people, in one line.
fn sentence(site: Option<&str>, run: &RunContext, outcome: &RunOutcome, state: State) -> String {
    let place = site.map(|site| format!("[{site}] ")).unwrap_or_default();
    let project = &run.project.id;
    let reason = &outcome.reason;
    match state {
        State::Good => format!("{place}{project} is in sync with {}", run.project.host),
        State::Partial => format!("{place}{project} came in part: {reason}"),
        State::Held => format!("{place}{project} waits for somebody to approve it: {reason}"),
        State::Failed => {
            let since = run.since_success().map_or_else(
                || "it has never been in sync".to_owned(),
                |time| format!("it was in sync {} ago", in_words(time)),
            );
            format!("{place}{project} {}: {reason} ({since})", outcome.status)
        }
    }
}

/// For programs.
fn everything(
    site: Option<&str>,
    run: &RunContext,
    outcome: &RunOutcome,
    state: State,
    told: Option<State>,
) -> serde_json::Value {
    json!({
        "site": site,
        "project": run.project.id,
        "source": run.project.source,
        "state": state.word(),
        "previous_state": told.map(State::word),
        "run": run.run_id,
        "attempt": run.attempt,
        "trigger": run.trigger.word(),
        "status": outcome.status.word(),
        "class": outcome.class,
        "reason": outcome.reason,
        "started_ms": outcome.started_at_ms,
        "finished_ms": outcome.finished_at_ms,
        "last_success_ms": run.last_success_ms,
        "consecutive_failures": run.consecutive_failures,
        "changes": {
            "created": outcome.changes.created,
            "updated": outcome.changes.updated,
            "deleted": outcome.changes.deleted,
        },
        "text": sentence(site, run, outcome, state),
    })
}
