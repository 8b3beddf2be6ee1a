//! What is wrong now: read from the board, the disks, the nodes and the store, whenever somebody asks.
//!
//! A condition that another part of the program knows of gets its function here and its line in [`conditions`].

use chrono::{DateTime, TimeDelta, Utc};
use scheduler::core::{ClockStep, Entry};
use scheduler::disk::Disk;
use scheduler::freshness::{Course, course};
use scheduler::member::{Holding, Member};
use scheduler::{ProjectId, Rule, Run};

use super::condition::{Condition, Group, Key, Kind};
use super::ledger::Alert;
use crate::app::App;
use crate::config::{self, Role};
use crate::nodes::lag::same;
use crate::nodes::{HEARD_WITHIN, MemberContact};
use crate::slave::contact::MasterContact;
use crate::tls::validity::warning;

/// Everything that is wrong now.
pub(super) fn conditions(
    app: &App,
    config: &config::Alerts,
    refused: Option<&str>,
    now: DateTime<Utc>,
) -> Vec<Condition> {
    let mut found = Vec::new();
    found.extend(store(app));
    found.extend(refused.map(configuration));
    found.extend(app.scheduler.board().clock_step().and_then(|clock_step| clock(clock_step, now)));
    found.extend(certificate(app, now));
    found.extend(app.scheduler.board().ground().disks.iter().filter_map(full));
    for run in app.scheduler.board().runs() {
        found.extend(held(app, &run));
    }
    found.extend(app.contact.as_deref().and_then(|contact| master_away(app, contact)));
    if let Some(nodes) = &app.nodes {
        for contact in nodes.contacts() {
            found.extend(node_away(app, &contact, now));
            found.extend(lagging(&contact.member));
        }
        found.extend(nodes.held_back().iter().filter_map(|held| held_back(app, nodes.history(), held)));
    }
    for entry in app.scheduler.board().projects() {
        found.extend(failing(&entry));
        found.extend(stale(&entry, config, now));
        found.extend(off_course(&entry));
    }
    found
}

/// Whether nobody cares any more: the thing was removed, or a person switched it off.
pub(super) fn is_gone(app: &App, alert: &Alert) -> bool {
    if alert.key.kind == Kind::NodeAway {
        return app.nodes.as_ref().is_none_or(|nodes| !nodes.has_member(&alert.key.subject));
    }
    let Some(id) = &alert.project else { return false };
    let entry = id.parse().ok().and_then(|id| app.scheduler.board().project(&id));
    entry.is_none_or(|entry| !entry.project.enabled)
}

/// A condition of the whole server.
pub(super) fn of_server(kind: Kind, subject: &str, reason: String) -> Condition {
    Condition {
        key: Key { kind, subject: subject.to_owned() },
        group: Group::Server,
        project: None,
        run: None,
        since: None,
        lasting_since: None,
        reason,
    }
}

fn store(app: &App) -> impl Iterator<Item = Condition> {
    let health = app.scheduler.store().health();
    let refusal = health.refusal.map(|reason| of_server(Kind::StoreReadOnly, "the store", reason));
    let damage = health.unreadable.into_iter();
    let damage = damage.map(|damage| of_server(Kind::StoreDamaged, damage.table, damage.reason));
    refusal.into_iter().chain(damage)
}

fn clock(clock_step: ClockStep, now: DateTime<Utc>) -> Option<Condition> {
    let condition = of_server(Kind::Clock, "the clock", clock_step.to_string());
    clock_step.is_current(now).then_some(Condition { since: Some(clock_step.at), ..condition })
}

fn certificate(app: &App, now: DateTime<Utc>) -> Option<Condition> {
    let reason = warning(app.reloader.tls_not_after()?, now)?;
    Some(of_server(Kind::Certificate, "the certificate", reason))
}

fn configuration(report: &str) -> Condition {
    // The first line names the place; the log has the rest.
    let first = report.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    of_server(Kind::Configuration, "the configuration", first)
}

fn full(disk: &Disk) -> Option<Condition> {
    let (since, why) = disk.stopped?;
    let subject = disk.id.display().to_string();
    let reason = format!("{why}; {} are free", crate::view::human(disk.room.free_bytes));
    Some(Condition {
        key: Key { kind: Kind::DiskFull, subject: subject.clone() },
        group: Group::Disk(subject),
        project: None,
        run: None,
        since: Some(since),
        lasting_since: None,
        reason,
    })
}

fn held(app: &App, run: &Run) -> Option<Condition> {
    // A held run that looks at its upstream again is still held.
    run.open_hold()?;
    let entry = app.scheduler.board().project(&run.project)?;
    let reason = match &app.reloader.config().role {
        Role::Master(_) => format!("the guard asks: `heliostat approve {}` lets it go on", run.id),
        Role::Slave(slave) => format!(
            "the master has lost much of this tree: `heliostat node approve {} {}` on the master lets it go on",
            slave.name, run.project
        ),
    };
    Some(Condition { run: Some(run.id.to_string()), reason, ..of_project(&entry, Kind::Held) })
}

/// One for each project that a slave holds back.
fn held_back(app: &App, history: Option<&str>, holding: &Holding) -> Option<Condition> {
    let (name, project) = (&holding.member, &holding.project);
    let entry = app.scheduler.board().project(project)?;
    let holding = same(Some(holding), &entry, history)?;
    let why = holding.reason.as_deref().unwrap_or("it would delete too much");
    Some(Condition {
        key: Key { kind: Kind::Held, subject: format!("{name} with {project}") },
        group: Group::Node(name.to_string()),
        project: Some(project.to_string()),
        run: None,
        since: None,
        lasting_since: None,
        reason: format!("{why}: `heliostat node approve {name} {project}` lets it go on"),
    })
}

/// One for each project with which a slave is too far behind; all of one slave are told together.
fn lagging(member: &Member) -> Vec<Condition> {
    let condition = |project: &ProjectId| Condition {
        key: Key { kind: Kind::Lagging, subject: format!("{} with {project}", member.name) },
        group: Group::Node(member.name.to_string()),
        project: Some(project.to_string()),
        run: None,
        since: None,
        lasting_since: None,
        reason: "it misses what the master has for longer than `lag` allows".to_owned(),
    };
    member.late.iter().map(condition).collect()
}

/// A slave that follows by itself, and has not asked for too long. That it falls behind is another matter: nothing may have
/// changed meanwhile.
fn node_away(app: &App, node: &MemberContact, now: DateTime<Utc>) -> Option<Condition> {
    let key = Key { kind: Kind::NodeAway, subject: node.member.name.to_string() };
    // Right after a start of this server, a slave that was away is, until it asks.
    let was_away = || node.last_heard.is_none() && app.alerts.has_told(&key);
    if !node.member.follows || (node.silent < HEARD_WITHIN && !was_away()) {
        return None;
    }

    let silent_since = now - TimeDelta::from_std(node.silent).unwrap_or_default();
    let reason = match node.last_heard {
        Some(at) => format!("it was heard last at {}", crate::view::time(at)),
        None => "it was not heard since this server started".to_owned(),
    };
    Some(Condition {
        group: Group::Node(key.subject.clone()),
        key,
        project: None,
        run: None,
        since: Some(silent_since),
        // The silence itself has lasted already, so nobody waits for `settle` after it.
        lasting_since: Some(silent_since),
        reason: format!("{reason}: does it run, and does it reach this server?"),
    })
}

/// The master of this slave.
fn master_away(app: &App, contact: &MasterContact) -> Option<Condition> {
    let state = contact.state();
    let condition = of_server(Kind::MasterAway, contact.master(), state.reason.unwrap_or_default());
    let is_away = match state.connected {
        Some(connected) => !connected,
        // Right after a start of this server, a master that was away is, until it answers.
        None => app.alerts.has_told(&condition.key),
    };
    is_away.then_some(Condition { since: Some(state.since), ..condition })
}

fn failing(entry: &Entry) -> Option<Condition> {
    let last = entry.standing.last_run.as_ref()?;
    (entry.standing.failures > 0 && entry.project.enabled).then(|| {
        let reason = last.reason.clone().unwrap_or_else(|| last.outcome.as_str().to_owned());
        let run = Some(last.id.to_string());
        Condition { run, since: Some(last.ended), reason, ..of_project(entry, Kind::Failing) }
    })
}

/// An upstream that stands still or has gone back, by its marker.
fn off_course(entry: &Entry) -> Option<Condition> {
    let kind = match course(&entry.project, &entry.standing).filter(|_| entry.project.enabled)? {
        Course::Moving => return None,
        Course::Frozen => Kind::Frozen,
        Course::RolledBack => Kind::RolledBack,
    };
    let sighting = entry.standing.sighting.as_ref()?;
    let reason = sighting.in_words(entry.project.freshness.target);
    Some(Condition { since: Some(sighting.at), reason, ..of_project(entry, kind) })
}

/// No good run for the configured time, and two schedule times have passed since the last: a project that is synced
/// once a week is not stale on Wednesday.
fn stale(entry: &Entry, config: &config::Alerts, now: DateTime<Utc>) -> Option<Condition> {
    if !entry.project.enabled {
        return None;
    }
    let good = entry.standing.last_success.unwrap_or(entry.project.created);
    let allowed = good + TimeDelta::from_std(config.stale).unwrap_or(TimeDelta::MAX);
    // Most projects end here: what a schedule says next takes far longer to work out.
    if allowed >= now {
        return None;
    }

    let schedule = &entry.project.schedule;
    let second = match &schedule.rule {
        Rule::Manual => return None,
        Rule::Every(pause) => good + TimeDelta::from_std(*pause).unwrap_or(TimeDelta::days(365)) * 2,
        Rule::Fields(_) | Rule::Cron(_) => {
            schedule.next_after(good).and_then(|first| schedule.next_after(first))?
        }
    };
    let limit = allowed.max(second);
    (limit < now).then(|| {
        let reason = match entry.standing.last_success {
            Some(at) => format!("the newest good run ended at {}", crate::view::time(at)),
            None => "there has been no good run yet".to_owned(),
        };
        Condition { since: Some(limit), reason, ..of_project(entry, Kind::Stale) }
    })
}

fn of_project(entry: &Entry, kind: Kind) -> Condition {
    let id = entry.project.id.to_string();
    Condition {
        key: Key { kind, subject: id.clone() },
        group: Group::Upstream(entry.project.source.host().to_ascii_lowercase()),
        project: Some(id),
        run: None,
        since: None,
        lasting_since: None,
        reason: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_is_told_until_it_is_where_it_was() {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let clock_step = ClockStep { at, by: TimeDelta::minutes(30) };
        let told = clock(clock_step, at + TimeDelta::minutes(29)).unwrap();
        assert_eq!((told.key.kind, told.since), (Kind::Clock, Some(at)));
        assert!(told.reason.contains("went back by 30m"), "{}", told.reason);
        assert_eq!(clock(clock_step, at + TimeDelta::minutes(31)), None);
    }
}
