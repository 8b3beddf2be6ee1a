//! What is said: a message, and its forms for people and for programs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::condition::{Group, Kind};
use crate::view::time;

/// How many lines a text shows; the JSON has them all.
const SHOWN: usize = 20;

/// One message, stored until every channel has taken it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The same in every channel and every try, so that a receiver can leave out what it has seen.
    pub id: String,
    /// When it was written.
    pub time: DateTime<Utc>,
    /// What it is about.
    pub topic: Topic,
    /// One line.
    pub title: String,
    /// Everything, for people.
    pub text: String,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Topic {
    /// Something has changed.
    Changes {
        /// What these have in common.
        group: Group,
        /// What needs a person now.
        opened: Vec<Line>,
        /// What no longer does.
        over: Vec<Line>,
    },
    /// A week has passed.
    Digest,
    /// Somebody tries whether messages arrive.
    Test,
}

/// One thing that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// What is wrong.
    pub kind: Kind,
    /// With what.
    pub subject: String,
    /// The project that it is about, if one.
    pub project: Option<String>,
    /// The run that it is about, if one.
    pub run: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How often within a day.
    pub times: usize,
}

impl Message {
    /// A message of what has changed in a group; `still` more of it were told before and have not.
    #[must_use]
    pub(super) fn of_changes(
        id: String,
        time: DateTime<Utc>,
        group: Group,
        opened: Vec<Line>,
        over: Vec<Line>,
        still: usize,
    ) -> Self {
        let title = title(&group, &opened, &over);
        let mut text = String::new();
        for line in opened.iter().take(SHOWN) {
            text += &format!("{} {}: {}\n", line.subject, line.kind.says(), line.reason);
            if line.times > 2 {
                text += &format!("  it has come and gone {} times within a day\n", line.times);
            }
        }
        text += &more(opened.len());
        for line in over.iter().take(SHOWN) {
            text += &format!("{} {}\n", line.subject, line.kind.over());
        }
        text += &more(over.len());
        if still > 0 {
            text += &format!("unchanged: {still} more of {}\n", group.named());
        }
        Self { id, time, topic: Topic::Changes { group, opened, over }, title, text }
    }

    /// A message that says that messages arrive.
    #[must_use]
    pub(super) fn test(id: String, time: DateTime<Utc>, by: &str) -> Self {
        let title = "a test message".to_owned();
        let text = format!("{by} asked Heliostat for a test message. Nothing is wrong.\n");
        Self { id, time, topic: Topic::Test, title, text }
    }

    /// The body of a webhook, and what a program reads.
    #[must_use]
    pub(super) fn json(&self, site: &str) -> Value {
        let lines = |lines: &[Line]| -> Value {
            let line = |line: &Line| {
                json!({
                    "kind": line.kind.as_str(), "subject": line.subject, "project": line.project, "run": line.run,
                    "reason": line.reason, "since": time(line.since), "times": line.times,
                })
            };
            lines.iter().map(line).collect()
        };
        let (topic, group, opened, over) = match &self.topic {
            Topic::Changes { group, opened, over } => {
                let group = serde_json::to_value(group).unwrap_or_default();
                ("changes", group, lines(opened), lines(over))
            }
            Topic::Digest => ("digest", Value::Null, json!([]), json!([])),
            Topic::Test => ("test", Value::Null, json!([]), json!([])),
        };
        json!({
            "id": self.id, "time": time(self.time), "site": site, "topic": topic, "title": self.title,
            "text": self.text, "group": group, "opened": opened, "over": over,
        })
    }

    /// The body for what takes Slack's messages.
    #[must_use]
    pub(super) fn slack(&self, site: &str) -> Value {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({"text": format!("*{}*: {}\n{}", escaped(site), escaped(&self.title), escaped(&self.text))})
    }
}

fn more(lines: usize) -> String {
    match lines.checked_sub(SHOWN) {
        Some(more @ 1..) => format!("and {more} more\n"),
        _ => String::new(),
    }
}

/// What the whole message comes to: `debian fails`, `10 of ftp.example.org fail or wait`.
fn title(group: &Group, opened: &[Line], over: &[Line]) -> String {
    let part = |lines: &[Line], says: fn(Kind) -> &'static str, many: &str| match lines {
        [] => None,
        [one] => Some(format!("{} {}", one.subject, says(one.kind))),
        lines => Some(format!("{} of {} {many}", lines.len(), group.named())),
    };
    let parts = [part(opened, Kind::says, "need attention"), part(over, Kind::over, "are well again")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(subject: &str, kind: Kind) -> Line {
        Line {
            kind,
            subject: subject.to_owned(),
            project: Some(subject.to_owned()),
            run: None,
            reason: "<it> broke & fell".to_owned(),
            since: DateTime::UNIX_EPOCH,
            times: 1,
        }
    }

    #[test]
    fn one_thing_is_named_and_many_are_counted() {
        let group = Group::Upstream("ftp.example.org".to_owned());
        let one = Message::of_changes(
            "1".to_owned(),
            DateTime::UNIX_EPOCH,
            group.clone(),
            vec![line("debian", Kind::Failing)],
            vec![line("ubuntu", Kind::Held)],
            2,
        );
        assert_eq!(one.title, "debian fails; ubuntu is released");
        assert!(one.text.contains("debian fails: <it> broke & fell\n"), "{}", one.text);
        assert!(one.text.contains("unchanged: 2 more of ftp.example.org"), "{}", one.text);
        assert!(one.slack("s")["text"].as_str().unwrap().contains("&lt;it&gt; broke &amp; fell"));
        let many: Vec<_> = (0..30).map(|n| line(&format!("p{n}"), Kind::Failing)).collect();
        let many = Message::of_changes("2".to_owned(), DateTime::UNIX_EPOCH, group, many, Vec::new(), 0);
        assert_eq!(many.title, "30 of ftp.example.org need attention");
        assert!(many.text.contains("and 10 more") && many.text.lines().count() == 21, "{}", many.text);
        assert_eq!(many.json("s")["opened"].as_array().unwrap().len(), 30);
    }
}
