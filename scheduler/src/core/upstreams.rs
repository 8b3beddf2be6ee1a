//! Which of a project's upstreams an attempt asks, and what becomes of one that failed.
//!
//! The first in order is asked, unless it has failed and has not been seen to answer since, or its host is left alone.
//! An upstream that fails in a way that may be its own is remembered in the standing, and the run goes on with the next
//! one at once; only when all have failed it backs off. Before a later run, the ones remembered are asked without an
//! rsync, and the first that answers is used again.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use engine::{Class, Source};

use super::{Answer, Core, Entry, Step};
use crate::project::{FailedUpstream, ProjectId, Standing, Upstream};
use crate::refusal::RehearsalNews;
use crate::run::{AttemptEnd, Run, RunId};

/// Ends that another upstream may not come to.
const ELSEWHERE: [Class; 7] = [
    Class::Network,
    Class::Timeout,
    Class::Stalled,
    Class::UpstreamBusy,
    Class::Auth,
    Class::UpstreamConfig,
    Class::Protocol,
];

impl Core {
    /// Lets a run wait for its turn with the upstream that is to be asked as things stand.
    pub(super) fn enqueue(&mut self, now: DateTime<Utc>, id: RunId, since: DateTime<Utc>) {
        let Some(entry) = self.runs.get(&id).and_then(|run| self.entries.get(&run.project)) else { return };
        let upstream = self.pick(now, entry);
        self.queue.push(id, &entry.project, upstream, since);
    }

    /// The number of the upstream to ask; 0 is the first.
    fn pick(&self, now: DateTime<Utc>, entry: &Entry) -> usize {
        let (project, standing) = (&entry.project, &entry.standing);
        if project.upstreams.is_empty() {
            return 0;
        }
        // Who failed last stands last.
        let place = |url: String| standing.failed_upstreams.iter().position(|failed| failed.url == url);
        let failed: Vec<Option<usize>> =
            project.sources().map(|(source, _)| place(source.to_string())).collect();
        let alone = |number: usize| self.queue.is_left_alone(project.source_of(number).0.host(), now);
        let whole = || (0..failed.len()).filter(|number| failed.get(*number).is_some_and(Option::is_none));
        let first = || (0..failed.len()).min_by_key(|number| failed.get(*number).copied().flatten());
        whole().find(|number| !alone(*number)).or_else(|| whole().next()).or_else(first).unwrap_or(0)
    }

    /// The upstreams before this one that have failed: they may be back.
    pub(super) fn to_ask_again(entry: &Entry, picked: usize) -> Vec<Upstream> {
        let failed = |upstream: &Upstream| entry.standing.failed(&upstream.source.to_string()).is_some();
        let before = entry.project.sources().take(picked);
        before.map(|(source, password)| Upstream::new(source, password)).filter(failed).collect()
    }

    /// Remembers what the end of an attempt says of the upstream that it asked. True when another one is to be asked
    /// now.
    pub(super) fn note_upstream(&mut self, now: DateTime<Utc>, id: RunId, end: &AttemptEnd) -> bool {
        let Some(run) = self.runs.get(&id) else { return false };
        let Some(entry) = self.entries.get_mut(&run.project) else { return false };
        let Some(url) = run.attempts.last().map(|attempt| attempt.upstream.clone()) else { return false };
        let failed = ELSEWHERE.iter().any(|class| class.as_str() == end.class);
        if entry.project.upstreams.is_empty() || !entry.project.sources().any(|(it, _)| it.to_string() == url)
        {
            return false;
        }
        entry.standing.forget_failure(&url);
        if failed {
            entry.standing.failed_upstreams.push(FailedUpstream { url, at: now, class: end.class.clone() });
        }
        let tried = tried(run);
        failed && entry.project.sources().any(|(source, _)| !tried.contains(source.to_string().as_str()))
    }

    /// Goes on with another upstream, without a wait.
    pub(super) fn try_elsewhere(&mut self, now: DateTime<Utc>, id: RunId, step: &mut Step) {
        let Some(run) = self.runs.get(&id) else { return };
        if let Some(entry) = self.entries.get(&run.project) {
            step.store_standing(run.project.clone(), entry.standing.clone());
        }
        self.requeue(now, id, step);
    }

    /// An upstream that had failed answers: it is used again.
    pub(super) fn upstream_is_back(&mut self, now: DateTime<Utc>, id: RunId, url: &str, step: &mut Step) {
        let project = self.runs.get(&id).map(|run| run.project.clone());
        if let Some(entry) = project.and_then(|project| self.entries.get_mut(&project)) {
            entry.standing.forget_failure(url);
        }
        self.try_elsewhere(now, id, step);
    }

    /// Remembers, or forgets, that an upstream refuses rehearsals.
    pub(super) fn note_rehearsal(&mut self, id: &ProjectId, news: Option<RehearsalNews>, step: &mut Step) {
        let (Some(entry), Some(news)) = (self.entries.get_mut(id), news) else { return };
        let standing = &mut entry.standing;
        let changed = match news {
            RehearsalNews::Accepted(upstream) => standing.forget_refusal(&upstream),
            RehearsalNews::Refused(refusal) => {
                // Those of upstreams that the project no longer has go with it.
                let project = &entry.project;
                standing.refusals.retain(|known| {
                    known.upstream != refusal.upstream
                        && project.sources().any(|(source, _)| source.to_string() == known.upstream)
                });
                standing.refusals.push(refusal);
                true
            }
        };
        if changed {
            step.store_standing(id.clone(), entry.standing.clone());
        }
    }

    /// Forgets in every project that the daemon of this upstream refuses rehearsals.
    pub(super) fn forget_upstream(&mut self, source: &Source, step: &mut Step) -> Answer {
        let mut projects = 0;

        for (id, entry) in &mut self.entries {
            let refusals = &mut entry.standing.refusals;
            let before = refusals.len();
            refusals.retain(|refusal| !refusal.is_of_daemon(source));
            if refusals.len() < before {
                projects += 1;
                step.store_standing(id.clone(), entry.standing.clone());
            }
        }
        Answer::Forgotten(projects)
    }

    /// Forgets what would let the next run of a project look at less than everything.
    pub(super) fn forget_shortcuts(&mut self, id: &ProjectId, step: &mut Step) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let standing = &mut entry.standing;
        if standing.seen.take().is_some() | !std::mem::take(&mut standing.refusals).is_empty() {
            step.store_standing(id.clone(), entry.standing.clone());
        }
    }
}

/// The upstreams that the attempts of a run have asked.
fn tried(run: &Run) -> BTreeSet<&str> {
    run.attempts.iter().map(|attempt| attempt.upstream.as_str()).collect()
}

/// How many attempts count against the project's retries: the first one at each upstream counts once in all.
pub(super) fn counted_failures(run: &Run) -> u32 {
    let others = u32::try_from(tried(run).len().saturating_sub(1)).unwrap_or(u32::MAX);
    run.failed_attempts().saturating_sub(others)
}

impl Standing {
    /// When and how this upstream failed, if it is not known to answer since.
    #[must_use]
    pub fn failed(&self, url: &str) -> Option<&FailedUpstream> {
        self.failed_upstreams.iter().find(|failed| failed.url == url)
    }

    fn forget_failure(&mut self, url: &str) {
        self.failed_upstreams.retain(|failed| failed.url != url);
    }
}
