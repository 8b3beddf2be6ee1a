//! Telling people what needs them: on changes only, grouped, once, and through several channels.
//!
//! [`look`] says what is wrong now, [`ledger`] what of that people do not know yet, [`message`] how it is said,
//! [`outbox`] what is still to be delivered, [`deliver`] how. All of it that must survive a restart is one note in the
//! store, written before anything is sent: a message can arrive twice after a crash, with the same id, and never
//! not at all. When the store cannot be written people are told all the same, since that is what they are told of.
//!
//! [`ping`] is the sign of life for those who would miss it, [`digest`] the weekly message.

mod condition;
mod deliver;
mod digest;
mod feed;
mod ledger;
mod look;
mod message;
mod outbox;
mod ping;
mod start;

pub use condition::Kind;
pub(crate) use deliver::server;
pub(crate) use start::could_not_start;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use scheduler::pace::rest_after;
use scheduler::{Event, EventKind, Scheduler, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use crate::app::App;
use crate::config::{self, Channel};
use digest::Digested;
pub use feed::{Change, Feed};
pub use ledger::Alert;
use ledger::Ledger;
use message::Message;
use outbox::Outbox;
pub use outbox::Queue;

/// Under which name it is in the store.
const NOTE: &str = "alerts";
/// How often is looked even if nothing happens: what is stale, or a node that falls silent, makes no event.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// What comes within this time is looked at together; longer where a look itself takes long.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long deliveries may go on once the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What people were told, and what is on its way.
#[derive(Debug, Default)]
pub struct Alerts {
    state: Mutex<State>,
    /// Why the newest reload was refused.
    refused: Mutex<Option<String>>,
    /// Something has changed that no event tells of.
    news: Notify,
}

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    ledger: Ledger,
    outbox: Outbox,
    digested: Digested,
    feed: Feed,
}

/// How a test message fared in one channel.
#[derive(Debug, Serialize)]
pub struct Tried {
    channel: String,
    kind: &'static str,
    delivered: bool,
    error: Option<String>,
    seconds: f64,
}

/// How a channel does.
pub(crate) struct Shown<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) queue: Option<Queue>,
}

/// A delivery that has ended.
struct Ended {
    channel: String,
    message: String,
    result: Result<(), String>,
}

impl Alerts {
    /// Reads what people were told. What cannot be read is told anew.
    #[must_use]
    pub fn load(store: &Store) -> Self {
        let state = match store.note(NOTE).map(|note| note.map(serde_json::from_value)) {
            Ok(None) => State::default(),
            Ok(Some(Ok(state))) => state,
            Ok(Some(Err(error))) => {
                tracing::error!("what people were told cannot be understood, and is told anew: {error}");
                State::default()
            }
            Err(error) => {
                tracing::error!("what people were told cannot be read, and is told anew: {error}");
                State::default()
            }
        };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// What needs a person now, the most urgent first.
    #[must_use]
    pub fn open(&self) -> Vec<Alert> {
        self.state().ledger.open().into_iter().cloned().collect()
    }

    /// Returns whether people were told of this, and not yet that it is over.
    pub(crate) fn has_told(&self, key: &condition::Key) -> bool {
        self.state().ledger.open().iter().any(|alert| alert.told && alert.key == *key)
    }

    /// What everybody may know of what was told.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.state().feed.clone()
    }

    /// Notes how a reload of the configuration went.
    pub fn reloaded(&self, result: Result<(), &str>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = result.err().map(str::to_owned);
        self.news.notify_one();
    }

    /// The channels, and how they do.
    pub(crate) fn channels<'a>(&self, config: &'a config::Alerts) -> Vec<Shown<'a>> {
        let state = self.state();
        let shown = |channel: &'a Channel| Shown {
            name: channel.name(),
            kind: deliver::kind(channel),
            queue: state.outbox.queue(channel.name()).cloned(),
        };
        config.channels.iter().map(shown).collect()
    }

    /// Sends a test message through every channel, and says how each took it.
    pub async fn test(&self, config: &config::Config, by: &str) -> Vec<Tried> {
        let message = Message::test(Ulid::generate().to_string(), Utc::now(), by);
        let site = site(config);
        let tries = config.alerts.channels.iter().map(|channel| {
            let (message, site) = (&message, &site);
            async move {
                let begun = Instant::now();
                let result = deliver::deliver(channel, message, site).await;
                Tried {
                    channel: channel.name().to_owned(),
                    kind: deliver::kind(channel),
                    delivered: result.is_ok(),
                    error: result.err(),
                    seconds: begun.elapsed().as_secs_f64(),
                }
            }
        });
        futures_util::future::join_all(tries).await
    }

    /// Looks, tells and delivers until the server stops.
    pub async fn run(&self, app: &App) {
        tokio::join!(self.tell(app), ping::run(app));
    }

    async fn tell(&self, app: &App) {
        start::has_started(&app.scheduler.settings().data_dir, self);
        let tasks = TaskTracker::new();
        let (report, mut ends) = mpsc::channel::<Ended>(64);
        let mut events = app.scheduler.events().subscribe(None).live;
        // The feed's name is made by the first start, and kept.
        let mut unsaved = true;
        loop {
            let config = app.reloader.config();
            let now = Utc::now();
            let begun = Instant::now();
            unsaved |= self.look(app, &config, now).await;
            let rest = rest_after(begun.elapsed(), TOGETHER);
            if unsaved {
                unsaved = !self.save(&app.scheduler).await;
            }
            for (name, message) in self.state().outbox.take(now) {
                let Some(channel) = config.alerts.channels.iter().find(|channel| channel.name() == name)
                else {
                    continue;
                };
                tasks.spawn(send(channel.clone(), message, site(&config), report.clone()));
            }
            let wake = self.wake(config.alerts.settle, now).max(rest);
            tokio::select! {
                biased;
                () = app.stop.cancelled() => break,
                Some(ended) = ends.recv() => {
                    self.ended(&ended);
                    unsaved = true;
                }
                () = news(&mut events, rest) => {}
                () = self.news.notified() => {}
                () = tokio::time::sleep(wake) => {}
            }
        }
        tasks.close();
        if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
            tracing::info!("some messages are on their way: the next start sends them again");
        }
        while let Ok(ended) = ends.try_recv() {
            self.ended(&ended);
        }
        self.save(&app.scheduler).await;
    }

    /// Compares what is with what was told; gives whether there is something to remember.
    async fn look(&self, app: &App, config: &config::Config, now: DateTime<Utc>) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let conditions = look::conditions(app, &config.alerts, refused.as_deref(), now);
        let due = config.alerts.digest.as_ref().filter(|digest| self.state().digested.is_due(digest, now));
        let weekly = match due {
            Some(digest) => {
                let last = self.state().digested.clone();
                let written = digest::write(app, last, self.open(), now).await;
                written.map(|written| (digest, written))
            }
            None => None,
        };
        let channels = &config.alerts.channels;
        let mut state = self.state();
        let before = state.clone();
        state.outbox.keep(|name| channels.iter().any(|channel| channel.name() == name));
        let is_so = |alert: &Alert| conditions.iter().any(|condition| condition.key == alert.key);
        state.ledger.forget(|alert| look::is_gone(app, alert) && !is_so(alert));
        for message in state.ledger.update(now, config.alerts.settle, &conditions) {
            state.feed.take(&message);
            tracing::info!(id = message.id, "people are told: {}", message.title);
            for channel in channels {
                state.outbox.push(channel.name(), message.clone());
            }
        }
        if config.alerts.digest.is_some() {
            state.digested.begin(app, now);
        }
        if let Some((digest, (message, digested))) = weekly {
            for channel in channels.iter().filter(|channel| digest.goes_to(channel.name())) {
                state.outbox.push(channel.name(), message.clone());
            }
            state.digested = digested;
        }
        *state != before
    }

    /// Stores it; gives whether it could.
    async fn save(&self, scheduler: &Scheduler) -> bool {
        let state = serde_json::to_value(&*self.state());
        let saved = match state {
            Ok(state) => scheduler.store().set_note(NOTE, &state).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &saved {
            tracing::warn!("what people were told could not be stored, and is told all the same: {error}");
        }
        saved.is_ok()
    }

    fn ended(&self, ended: &Ended) {
        let Ended { channel, message, result } = ended;
        self.state().outbox.ended(channel, message, Utc::now(), result.clone());
    }

    /// How long nothing is to be done.
    fn wake(&self, settle: Duration, now: DateTime<Utc>) -> Duration {
        let state = self.state();
        let next = state.ledger.next(settle).into_iter().chain(state.outbox.next()).min();
        let wait = next.map(|next| (next - now).to_std().unwrap_or_default());
        // Never without a pause, whatever the clock says.
        wait.map_or(LOOK_EVERY, |wait| wait.clamp(TOGETHER, LOOK_EVERY))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl config::Digest {
    /// Whether it goes through this channel.
    fn goes_to(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|name| name == channel)
    }
}

async fn send(channel: Channel, message: Message, site: String, report: mpsc::Sender<Ended>) {
    let result = deliver::deliver(&channel, &message, &site).await;
    // Without anyone to tell, the server is stopping, and the next start tries again.
    let _ = report.send(Ended { channel: channel.name().to_owned(), message: message.id, result }).await;
}

/// Waits for an event that can change what is wrong, and takes what else has happened by the end of the rest with it.
async fn news(events: &mut broadcast::Receiver<Arc<Event>>, rest: Duration) {
    loop {
        match events.recv().await {
            Ok(event) if !changes_nothing(&event.kind) => break,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    tokio::time::sleep(rest).await;
    while let Ok(_) | Err(TryRecvError::Lagged(_)) = events.try_recv() {}
}

/// Whether nothing can be wrong, or right again, because of this.
fn changes_nothing(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::RunProgress(..)
            | EventKind::RunPhase(..)
            | EventKind::RunQueued(_)
            | EventKind::RunStarted(_)
            | EventKind::ScheduleSkipped { .. }
    )
}

/// What the site is called in messages.
fn site(config: &config::Config) -> String {
    let names = [&config.site.abbr, &config.site.name];
    let named = names.into_iter().find(|name| !name.is_empty()).cloned();
    named.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use scheduler::EventBus;
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    #[tokio::test]
    async fn a_burst_of_events_is_looked_at_once() {
        let bus = EventBus::new(Utc::now());
        let mut events = bus.subscribe(None).live;
        for _ in 0..500 {
            bus.publish("p".parse().unwrap(), EventKind::ProjectUpdated);
        }
        news(&mut events, Duration::from_millis(1)).await;
        assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty, "each event would be a look");
    }
}
