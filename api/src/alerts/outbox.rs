//! What is still to be delivered, channel by channel, in order: one at a time, again and again with growing pauses.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::message::Message;

/// How many messages wait for a channel; the oldest goes when one more comes.
const MOST: usize = 50;
/// How long a message is tried to be delivered.
const LONGEST: TimeDelta = TimeDelta::days(3);
/// The pause after the first failure, which doubles up to the longest.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(5);
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// Everything that waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outbox {
    queues: BTreeMap<String, Queue>,
}

/// What waits for one channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    messages: VecDeque<Message>,
    /// How often the first of them has failed.
    failures: u32,
    /// When it is tried again.
    next: Option<DateTime<Utc>>,
    /// Why it failed.
    error: Option<String>,
    /// When a message was taken last.
    delivered: Option<DateTime<Utc>>,
    /// How many were given up since the last that was taken.
    lost: u64,
    /// It is on its way.
    #[serde(skip)]
    sending: bool,
}

impl Queue {
    /// How many messages wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.messages.len()
    }

    /// Why the newest try failed; none: it did not.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When a message was taken last.
    #[must_use]
    pub fn delivered(&self) -> Option<DateTime<Utc>> {
        self.delivered
    }

    /// How many were given up since.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Outbox {
    /// What waits for a channel.
    #[must_use]
    pub(super) fn queue(&self, channel: &str) -> Option<&Queue> {
        self.queues.get(channel)
    }

    /// Lets a message wait for a channel.
    pub(super) fn push(&mut self, channel: &str, message: Message) {
        let queue = self.queues.entry(channel.to_owned()).or_default();
        if queue.messages.len() == MOST {
            // The first may be on its way: the second goes.
            let oldest = usize::from(queue.sending);
            queue.messages.remove(oldest);
            queue.lost += 1;
            tracing::warn!(channel, "too many messages wait: the oldest is given up");
        }
        queue.messages.push_back(message);
    }

    /// Forgets channels that are configured no more.
    pub(super) fn keep(&mut self, known: impl Fn(&str) -> bool) {
        self.queues.retain(|name, _| known(name));
    }

    /// The messages that are to be sent now, each with its channel; they count as being on their way.
    pub(super) fn take(&mut self, now: DateTime<Utc>) -> Vec<(String, Message)> {
        let mut taken = Vec::new();
        for (name, queue) in &mut self.queues {
            queue.give_up(name, now);
            // A clock that went back must not make it wait for years.
            queue.next = queue.next.map(|next| next.min(now + LONGEST_PAUSE));
            if queue.sending || queue.next.is_some_and(|next| next > now) {
                continue;
            }
            if let Some(message) = queue.messages.front() {
                queue.sending = true;
                taken.push((name.clone(), message.clone()));
            }
        }
        taken
    }

    /// Notes how a delivery ended.
    pub(super) fn ended(&mut self, channel: &str, id: &str, now: DateTime<Utc>, result: Result<(), String>) {
        let Some(queue) = self.queues.get_mut(channel) else { return };
        queue.sending = false;
        match result {
            Ok(()) => {
                queue.messages.retain(|message| message.id != id);
                *queue = Queue {
                    messages: std::mem::take(&mut queue.messages),
                    delivered: Some(now),
                    ..Queue::default()
                };
                tracing::info!(channel, id, "a message was delivered");
            }
            Err(error) => {
                let pause = FIRST_PAUSE * (1 << queue.failures.min(10));
                let pause = pause.min(LONGEST_PAUSE);
                tracing::warn!(
                    channel,
                    id,
                    "a message was not delivered, and is tried again in {} s: {error}",
                    pause.num_seconds()
                );
                queue.failures += 1;
                queue.next = Some(now + pause);
                queue.error = Some(error);
            }
        }
    }

    /// When [`Outbox::take`] has something next.
    #[must_use]
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        let waiting = self.queues.values().filter(|queue| !queue.sending && !queue.messages.is_empty());
        waiting.map(|queue| queue.next.unwrap_or(DateTime::UNIX_EPOCH)).min()
    }
}

impl Queue {
    fn give_up(&mut self, name: &str, now: DateTime<Utc>) {
        let keep = usize::from(self.sending);
        while self.messages.get(keep).is_some_and(|message| now - message.time > LONGEST) {
            self.messages.remove(keep);
            self.lost += 1;
            tracing::warn!(channel = name, "a message was given up after {} days", LONGEST.num_days());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn message(id: usize) -> Message {
        Message::test(id.to_string(), at(0), "root")
    }

    #[test]
    fn messages_go_one_by_one_in_order_and_failures_wait_longer_and_longer() {
        let mut outbox = Outbox::default();
        outbox.push("c", message(1));
        outbox.push("c", message(2));
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let taken = outbox.take(at(now));
            assert_eq!(taken.iter().map(|(_, message)| message.id.as_str()).collect::<Vec<_>>(), ["1"]);
            assert!(outbox.take(at(now)).is_empty(), "it is on its way");
            outbox.ended("c", "1", at(now), Err("down".to_owned()));
            let next = (outbox.next().unwrap() - at(now)).num_seconds();
            pauses.push(next);
            now += next;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(outbox.take(at(now)).len(), 1);
        outbox.ended("c", "1", at(now), Ok(()));
        assert_eq!(outbox.queue("c").unwrap().error(), None);
        assert_eq!(outbox.take(at(now))[0].1.id, "2", "the next goes at once");
    }

    #[test]
    fn a_channel_that_is_down_keeps_a_bounded_number_for_a_bounded_time() {
        let mut outbox = Outbox::default();
        outbox.push("c", message(0));
        outbox.take(at(0));
        for id in 1..200 {
            outbox.push("c", message(id));
        }
        let queue = outbox.queue("c").unwrap();
        assert_eq!((queue.waiting(), queue.lost()), (MOST, 150));
        assert_eq!(queue.messages.front().unwrap().id, "0", "the one on its way stays");
        outbox.ended("c", "0", at(0), Err("down".to_owned()));
        assert!(outbox.take(at(4 * 86_400)).is_empty());
        assert_eq!(outbox.queue("c").unwrap().waiting(), 0);
    }

    #[test]
    fn a_restart_tries_again_what_was_on_its_way() {
        let mut outbox = Outbox::default();
        outbox.push("c", message(1));
        outbox.take(at(0));
        let mut again: Outbox = serde_json::from_slice(&serde_json::to_vec(&outbox).unwrap()).unwrap();
        assert_eq!(again.take(at(1)).len(), 1);
    }
}
