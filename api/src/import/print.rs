//! The import as text: a commented RON file, a JSON document, and a report of what could not be mapped.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::project::{ORDER, Project};
use super::{ByHand, Content, Entry, Import, Note, Weight};

/// The longest line of a comment.
const WIDTH: usize = 118;
/// How many mirrors' names stand in one line about all of them.
const NAMES: usize = 6;

impl Import {
    /// A projects file in RON; everything that is no project stands in its comments.
    #[must_use]
    pub fn ron(&self) -> String {
        let mut out = String::new();
        comment(&mut out, "", &format!("Projects from {}, made by `heliostat import`.", self.origin));
        comment(
            &mut out,
            "",
            "Look through it, then try it with `heliostat project apply -f FILE --dry-run`.",
        );
        let secret: Vec<_> = self.with_passwords().map(|project| project.id.as_str()).collect();
        if !secret.is_empty() {
            let names = names(&secret);
            out.push_str("//\n");
            comment(
                &mut out,
                "",
                &format!(
                    "WARNING: this file holds upstreams' passwords in the clear ({names}). Keep it readable by yourself \
                 alone (chmod 600), and remove it once it is applied."
                ),
            );
        }
        for (weight, title) in [
            (Weight::Unmapped, "Not mapped, and what to do:"),
            (Weight::Otherwise, "Done by Heliostat in its own way:"),
        ] {
            let grouped = self.grouped(weight);
            if !grouped.is_empty() {
                out.push_str("//\n");
                comment(&mut out, "", title);
                for line in grouped {
                    comment(&mut out, "", &format!("  {line}"));
                }
            }
        }
        self.by_hand(&mut out);
        out.push_str("[\n");
        self.entries.iter().for_each(|entry| self.entry(&mut out, entry));
        out.push_str("]\n");
        out
    }

    /// The same as one JSON document: `items` is what `project apply` reads.
    #[must_use]
    pub fn json(&self) -> Value {
        let (mut items, mut left_out) = (Vec::new(), Vec::new());
        for Entry { name, content } in &self.entries {
            match content {
                Content::Taken(project) => items.push(project.document()),
                Content::Refused(project, reasons) => {
                    left_out.push(json!({ "name": name, "reasons": reasons, "project": project.document() }));
                }
                Content::Unmapped(reason, settings) => {
                    left_out.push(json!({ "name": name, "reasons": [reason], "settings": settings }));
                }
            }
        }
        let notes: Vec<_> = self
            .notes
            .iter()
            .map(|note| {
                let Note { weight, mirror, option, value, advice } = note;
                let unmapped = *weight == Weight::Unmapped;
                json!({ "unmapped": unmapped, "mirror": mirror, "option": option, "value": value, "advice": advice })
            })
            .collect();
        let by_hand: Vec<_> = self
            .by_hand
            .iter()
            .map(|thing| json!({ "kind": thing.kind, "name": thing.name, "detail": thing.detail }))
            .collect();
        json!({
            "items": items, "left_out": left_out, "notes": notes, "by_hand": by_hand,
            "holds_passwords": self.with_passwords().next().is_some(),
        })
    }

    /// What a person at the terminal must know: each line names an option, and says what to do.
    #[must_use]
    pub fn report(&self) -> Vec<String> {
        let mut lines = self.grouped(Weight::Unmapped);
        let (taken, left_out) = self.counts();
        if self.with_passwords().next().is_some() {
            lines.push(
                "the output holds upstreams' passwords in the clear: keep it readable by yourself alone"
                    .to_owned(),
            );
        }
        for (kind, command) in BY_HAND {
            let things = self.by_hand.iter().filter(|thing| thing.kind == kind).count();
            if things > 0 {
                lines.push(format!("{things} {kind}s cannot stand in a projects file: {command}"));
            }
        }
        lines.push(format!("{taken} projects, {left_out} left out"));
        lines
    }

    fn with_passwords(&self) -> impl Iterator<Item = &Project> {
        self.entries.iter().filter_map(|entry| match &entry.content {
            Content::Taken(project) | Content::Refused(project, _) if project.password.is_some() => {
                Some(&**project)
            }
            _ => None,
        })
    }

    /// Notes with the same advice as one line, with the options and the mirrors that they are about.
    fn grouped(&self, weight: Weight) -> Vec<String> {
        let mut groups: Vec<Vec<&Note>> = Vec::new();
        for note in self.notes.iter().filter(|note| note.weight == weight) {
            let same = |known: &&Note| {
                known.advice == note.advice && known.mirror.is_some() == note.mirror.is_some()
            };
            match groups.iter_mut().find(|group| group.first().is_some_and(same)) {
                Some(group) => group.push(note),
                None => groups.push(vec![note]),
            }
        }
        groups.iter().map(|group| line(group)).collect()
    }

    fn by_hand(&self, out: &mut String) {
        for (kind, command) in BY_HAND {
            let mut things = self.by_hand.iter().filter(|thing| thing.kind == kind).peekable();
            if things.peek().is_some() {
                out.push_str("//\n");
                comment(out, "", &format!("{}s: {command}", capital(kind)));
                things.for_each(|thing| comment(out, "", &format!("  {}", thing.line())));
            }
        }
    }

    fn entry(&self, out: &mut String, Entry { name, content }: &Entry) {
        let own = self
            .notes
            .iter()
            .filter(|note| note.weight == Weight::Unmapped && note.mirror.as_ref() == Some(name));
        match content {
            Content::Taken(project) => {
                for note in own {
                    let value = note.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
                    comment(out, "    ", &format!("not mapped: {}{value}", note.option));
                }
                if let Some(why) = &project.rests {
                    comment(out, "    ", &format!("rests (enabled: false): {why}"));
                }
                write_project(out, "    ", project);
            }
            Content::Refused(project, reasons) => {
                comment(out, "    ", &format!("`{name}` is left out:"));
                for reason in reasons {
                    comment(out, "    ", &format!("  {reason}"));
                }
                write_project(out, "    // ", project);
            }
            Content::Unmapped(reason, settings) => {
                comment(out, "    ", &format!("`{name}` is left out: {reason}"));
                for setting in settings {
                    comment(out, "    ", &format!("  {setting}"));
                }
            }
        }
    }
}

impl ByHand {
    /// A user as the command that creates it, when its name and role are plain words; a node as its address.
    fn line(&self) -> String {
        let Self { kind, name, detail } = self;
        let is_word = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain)
        };
        match *kind {
            "user" if name == "root" => "root is there from the first start, with a new password".to_owned(),
            "user" if is_word(name) && is_word(detail) => {
                format!("heliostat user add {name} --role {detail}")
            }
            "user" => format!("{name:?}, role {detail:?}"),
            _ => format!("{name}:{detail}"),
        }
    }
}

/// What is to be created with other commands.
const BY_HAND: [(&str, &str); 2] = [
    (
        "user",
        "passwords are kept as hashes and cannot be carried over; create each one anew (`heliostat user add`)",
    ),
    ("node", "set each slave up with the role Slave, and make it known with `heliostat node add`"),
];

/// One line about notes with the same advice. A value stands there where only one mirror has the option; those of
/// several stand with each mirror.
fn line(group: &[&Note]) -> String {
    let mut options: Vec<(&str, Option<&str>)> = Vec::new();
    let mut mirrors: Vec<&str> = Vec::new();
    for note in group {
        match options.iter_mut().find(|(option, _)| *option == note.option) {
            Some((_, value)) => *value = None,
            None => options.push((&note.option, note.value.as_deref())),
        }
        if let Some(mirror) = note.mirror.as_deref().filter(|mirror| !mirrors.contains(mirror)) {
            mirrors.push(mirror);
        }
    }
    let options: Vec<_> = options
        .into_iter()
        .map(|(option, value)| value.map_or_else(|| option.to_owned(), |value| format!("{option} = {value}")))
        .collect();
    let of = if mirrors.is_empty() { String::new() } else { format!(" ({})", names(&mirrors)) };
    let advice = group.first().map(|note| note.advice.as_str()).unwrap_or_default();
    plain(&format!("{}{of}: {advice}", options.join(", ")))
}

fn names(all: &[&str]) -> String {
    let shown = all.get(..NAMES).filter(|_| all.len() > NAMES + 1).unwrap_or(all);
    let more = all.len() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// What came from a file, without the power to leave its line or to steer a terminal.
fn plain(text: &str) -> String {
    engine::text::escaped(text.as_bytes())
}

/// A comment of as many lines as it needs; those after the first are indented further.
fn comment(out: &mut String, indent: &str, text: &str) {
    let text = plain(text);
    let lead = text.len() - text.trim_start_matches(' ').len();
    let mut line = format!("{indent}// {}", " ".repeat(lead));
    let mut fresh = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = format!("{indent}// {}  ", " ".repeat(lead));
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn write_project(out: &mut String, indent: &str, project: &Project) {
    let document = project.document();
    let _ = writeln!(out, "{indent}(");
    for (key, value) in ordered(document.as_object().unwrap_or(&Map::new())) {
        let _ = writeln!(out, "{indent}    {key}: {},", ron(value, key == "labels"));
    }
    let _ = writeln!(out, "{indent}),");
}

fn ordered(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut pairs: Vec<_> = object.iter().collect();
    pairs.sort_by_key(|(key, _)| place(key));
    pairs
}

/// A value on one line. The keys of a map are the site's own words, those of a struct are ours.
fn ron(value: &Value, is_map: bool) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| ron(item, false)).collect::<Vec<_>>().join(", "))
        }
        Value::Object(object) if is_map => {
            let pairs = object.iter().map(|(key, value)| format!("{}: {}", quoted(key), ron(value, false)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Object(object) => {
            let pairs =
                ordered(object).into_iter().map(|(key, value)| format!("{key}: {}", ron(value, false)));
            format!("({})", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Debug's escapes are RON's.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests;
