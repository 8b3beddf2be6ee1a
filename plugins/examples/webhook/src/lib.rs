//! `webhook`: tells a URL when a mirror breaks, and when it works again.
//!
//! One message for each change, however many runs fail in between: the state that was told last is stored, and only
//! once the message has arrived. So a message that got lost is sent with the next run. Shapes of the body, and of the
//! request around it, are in `shape`.

use heliostat_plugin::http::Request;
use heliostat_plugin::{Error, Result, RunContext, RunOutcome, Settings, Status, Verdict, kv, log, register};

use shape::Shape;

mod shape;

register!(post_sync: after);

/// The key of the state that was told last.
const TOLD: &str = "told";

/// When a message is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// The state is another one than what was told.
    Change,
    /// A run failed, or the first one went well again.
    Failure,
    /// A run ended.
    Every,
}

/// How a project stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Good,
    /// Most of it came.
    Partial,
    /// A person must decide.
    Held,
    Failed,
}

impl State {
    const ALL: [(&str, Self); 4] =
        [("good", Self::Good), ("partial", Self::Partial), ("held", Self::Held), ("failed", Self::Failed)];

    /// What the end of a run says; nothing where it was wanted, or is not the end yet.
    fn of(outcome: &RunOutcome) -> Option<Self> {
        if outcome.will_retry || outcome.status.is_wanted() {
            return None;
        }
        Some(match outcome.status {
            Status::Succeeded | Status::Unchanged => Self::Good,
            Status::Partial(_) => Self::Partial,
            Status::Held => Self::Held,
            // The server ended, and will try again: nobody is to be woken for that.
            Status::Interrupted => return None,
            _ => Self::Failed,
        })
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(other, _)| *other == word).map(|(_, state)| *state)
    }
}

fn after(run: &RunContext, outcome: &RunOutcome) -> Result<Verdict> {
    let settings = Settings::load();
    settings.only(&["url", "shape", "when", "secret", "secret_header", "site"])?;
    let url = settings.required("url")?;
    let shape = settings.one_of("shape", &Shape::ALL)?.unwrap_or(Shape::Json);
    let words = [("change", When::Change), ("failure", When::Failure), ("every", When::Every)];
    // A service that waits for pings wants them all.
    let usual = if shape == Shape::Healthchecks { When::Every } else { When::Change };
    let when = settings.one_of("when", &words)?.unwrap_or(usual);

    let Some(state) = State::of(outcome) else { return Ok(Verdict::Accept) };
    let told = kv::get_text(TOLD)?.as_deref().and_then(State::from_word);
    if wants_message(when, told, state) {
        let mut request = shape.request(url, &settings, run, outcome, state, told);
        if let Some(secret) = settings.get("secret") {
            request = request.secret_header(settings.get("secret_header").unwrap_or("Authorization"), secret);
        }
        send(request)?;
        log::info!("told {}: {}", shape.word(), state.word());
    }
    if told != Some(state) {
        kv::set(TOLD, state.word())?;
    }
    Ok(Verdict::Accept)
}

/// Whether this state is worth a message. That a new project works is no news.
fn wants_message(when: When, told: Option<State>, state: State) -> bool {
    let changed = told.unwrap_or(State::Good) != state;
    match when {
        When::Change => changed,
        When::Failure => changed || state != State::Good,
        When::Every => true,
    }
}

fn send(request: Request) -> Result<()> {
    let response = request.send()?;
    if response.is_success() {
        return Ok(());
    }
    let answer: String = response.text().chars().take(200).collect();
    let message = format!("the URL answered {}: {answer}", response.status);
    Err(if response.status >= 500 || response.status == 429 {
        Error::retryable(message)
    } else {
        Error::new(message)
    })
}

#[cfg(test)]
mod tests;
