//! What a slave holds of each project, which run is to bring what, and what the master has not heard yet: one small
//! file, replaced in one piece.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use engine::durable::replace;
use scheduler::{Outcome, ProjectId, Run, RunId, RunState};
use serde::{Deserialize, Serialize};

use super::SlaveError;

/// What one sync is to bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// When the master's project was created: another one of the same name is another project.
    pub(crate) created: DateTime<Utc>,
    /// The master's history that the generation is of; none: its first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<String>,
    /// The master's generation before the sync starts.
    pub(crate) generation: u64,
    /// The master's wish that it answers.
    pub(crate) wish: u64,
    /// It is fetched, and not put in place.
    #[serde(default)]
    pub(crate) stage: bool,
}

impl Target {
    /// Whether both are generations of one project in one history: only then do their numbers say which is newer.
    fn is_of_same(&self, other: &Self) -> bool {
        self.created == other.created && self.history == other.history
    }
}

/// What the master is told of one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    project: String,
    created: DateTime<Utc>,
    /// Told only to a master that has said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    history: Option<String>,
    generation: Option<u64>,
    #[serde(default)]
    staged: Option<u64>,
    #[serde(default)]
    drift: Option<String>,
    run: String,
    state: String,
    reason: Option<String>,
    /// The plan of a run that is held. Only a master that asks for that is told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    ended: DateTime<Utc>,
    took_ms: u64,
    received: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    held: Option<Target>,
    /// What was fetched and is not in place.
    #[serde(default)]
    staged: Option<Target>,
    /// What was tried last.
    tried: Option<Target>,
    /// By run.
    targets: BTreeMap<String, Target>,
    report: Option<Report>,
    told: bool,
    /// What was found not to be as it was pulled, and is to be told.
    #[serde(default)]
    drift: Option<String>,
    /// The contents of files must be compared, since size and time do not tell.
    #[serde(default)]
    by_content: bool,
    /// When everything was looked at last.
    #[serde(default)]
    whole_at: Option<DateTime<Utc>>,
}

/// The file and what is in it.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    items: BTreeMap<String, Item>,
    saved: BTreeMap<String, Item>,
}

impl Held {
    /// Reads the file; none is an empty one.
    pub(crate) fn load(path: &Path) -> Result<Self, SlaveError> {
        let failed = |source| SlaveError::File { path: path.to_owned(), source };
        let items: BTreeMap<String, Item> = match std::fs::read(path) {
            // A file that cannot be understood says nothing: everything is synced once more.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path: path.to_owned(), saved: items.clone(), items })
    }

    /// Writes it, if it has changed; gives whether it had.
    pub(crate) fn save(&mut self) -> io::Result<bool> {
        if self.items == self.saved {
            return Ok(false);
        }
        replace(&self.path, &serde_json::to_vec(&self.items).unwrap_or_default())?;
        self.saved = self.items.clone();
        Ok(true)
    }

    /// Every run that is to bring something.
    pub(crate) fn targets(&self) -> Vec<(ProjectId, RunId, Target)> {
        let each = self
            .items
            .iter()
            .flat_map(|(id, item)| item.targets.iter().map(move |(run, target)| (id, run, target)));
        each.filter_map(|(id, run, target)| Some((id.parse().ok()?, run.parse().ok()?, target.clone())))
            .collect()
    }

    /// A run that is no more brings nothing.
    pub(crate) fn forget(&mut self, project: &ProjectId, run: RunId) {
        self.item(project).targets.remove(&run.to_string());
    }

    /// Notes what a run is to bring.
    pub(crate) fn aim(&mut self, project: &ProjectId, run: RunId, target: Target) {
        let item = self.item(project);
        item.tried = Some(target.clone());
        item.targets.insert(run.to_string(), target);
    }

    /// Notes how a run ended. What was cut off, its heir brings.
    pub(crate) fn settle(
        &mut self,
        project: &ProjectId,
        run: &Run,
        target: &Target,
        heir: Option<RunId>,
        whole: bool,
    ) {
        let RunState::Ended { at, outcome, reason, .. } = &run.state else { return };
        let item = self.item(project);
        item.targets.remove(&run.id.to_string());
        if let Some(heir) = heir {
            item.targets.entry(heir.to_string()).or_insert_with(|| target.clone());
        }
        // What stands below a folder whose place a file still has comes with the rest only.
        let is_fetched = outcome.is_good() || *outcome == Outcome::Partial;
        if is_fetched && target.stage {
            item.staged = Some(target.clone());
        } else if outcome.is_good() && item.held.as_ref() != Some(target) {
            item.held = Some(target.clone());
        }
        if outcome.is_good() && whole && !target.stage {
            item.by_content = false;
            item.whole_at = Some(*at);
        }
        let took = run.started().map_or(0, |started| (*at - started).num_milliseconds());
        item.report = Some(Report {
            project: project.to_string(),
            created: target.created,
            history: target.history.clone(),
            generation: generation_of(item.held.as_ref(), target),
            staged: generation_of(item.staged.as_ref(), target),
            drift: item.drift.take(),
            run: run.id.to_string(),
            state: outcome.as_str().to_owned(),
            reason: reason.clone(),
            plan: None,
            ended: *at,
            took_ms: u64::try_from(took).unwrap_or(0),
            received: run.stats().map_or(0, |stats| stats.received),
        });
        item.told = false;
    }

    /// Notes that a run waits for a person with the plan that it has now.
    pub(crate) fn note_hold(&mut self, project: &ProjectId, run: &Run, target: &Target) {
        let Some(hold) = run.open_hold().filter(|_| run.state == RunState::Held) else { return };
        let item = self.item(project);
        let (run, plan) = (run.id.to_string(), Some(hold.plan.digest.clone()));
        if item.report.as_ref().is_some_and(|report| report.run == run && report.plan == plan) {
            return;
        }
        item.report = Some(Report {
            project: project.to_string(),
            created: target.created,
            history: target.history.clone(),
            generation: generation_of(item.held.as_ref(), target),
            staged: generation_of(item.staged.as_ref(), target),
            drift: item.drift.take(),
            run,
            state: RunState::Held.as_str().to_owned(),
            reason: Some(hold.plan.reason.clone()),
            plan,
            ended: hold.plan.at,
            took_ms: 0,
            received: 0,
        });
        item.told = false;
    }

    /// Whether this is held.
    pub(crate) fn has(&self, project: &ProjectId, target: &Target) -> bool {
        self.items.get(project.as_str()).and_then(|item| item.held.as_ref()) == Some(target)
    }

    /// Whether this was fetched already.
    pub(crate) fn has_staged(&self, project: &ProjectId, target: &Target) -> bool {
        self.items.get(project.as_str()).and_then(|item| item.staged.as_ref()) == Some(target)
    }

    /// Whether a run of it is not settled yet.
    pub(crate) fn is_busy(&self, project: &ProjectId) -> bool {
        self.items.get(project.as_str()).is_some_and(|item| !item.targets.is_empty())
    }

    /// Notes that it is not what was pulled: everything must be looked at.
    pub(crate) fn drifted(&mut self, project: &ProjectId, what: String, by_content: bool) {
        let item = self.item(project);
        item.drift = Some(what);
        item.by_content |= by_content;
        item.whole_at = None;
    }

    /// Whether the contents of files must be compared.
    pub(crate) fn is_by_content(&self, project: &ProjectId) -> bool {
        self.items.get(project.as_str()).is_some_and(|item| item.by_content)
    }

    /// Whether a run that is not settled yet is to put something in place.
    pub(crate) fn is_publishing(&self, project: &ProjectId) -> bool {
        self.items.get(project.as_str()).is_some_and(|item| item.targets.values().any(|aim| !aim.stage))
    }

    /// When a whole sync of this project was done last.
    pub(crate) fn whole_at(&self, project: &ProjectId) -> Option<DateTime<Utc>> {
        self.items.get(project.as_str())?.whole_at
    }

    /// The generation from which a list of changes leads to this target; none where only a whole sync does.
    pub(crate) fn base(&self, project: &ProjectId, target: &Target) -> Option<u64> {
        let held = self.items.get(project.as_str())?.held.as_ref()?;
        let same = held.is_of_same(target) && held.wish == target.wish;
        (same && held.generation < target.generation).then_some(held.generation)
    }

    /// Whether this was the last that was tried.
    pub(crate) fn tried(&self, project: &ProjectId, target: &Target) -> bool {
        self.items.get(project.as_str()).and_then(|item| item.tried.as_ref()) == Some(target)
    }

    /// Whether a run whose end is not settled yet is to bring this.
    pub(crate) fn is_on_the_way(&self, project: &ProjectId, target: &Target) -> bool {
        self.items.get(project.as_str()).is_some_and(|item| item.targets.values().any(|aim| aim == target))
    }

    /// What the master has not heard.
    pub(crate) fn untold(&self) -> Vec<(String, Report)> {
        let untold = self.items.iter().filter(|(_, item)| !item.told);
        untold.filter_map(|(id, item)| Some((id.clone(), item.report.clone()?))).collect()
    }

    /// The master has heard this.
    pub(crate) fn told(&mut self, project: &str, report: &Report) {
        if let Some(item) = self.items.get_mut(project).filter(|item| item.report.as_ref() == Some(report)) {
            item.told = true;
        }
    }

    fn item(&mut self, project: &ProjectId) -> &mut Item {
        self.items.entry(project.to_string()).or_default()
    }
}

/// The generation of what a slave has, if it is of the project that a target is of.
fn generation_of(had: Option<&Target>, target: &Target) -> Option<u64> {
    had.filter(|had| had.is_of_same(target)).map(|had| had.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(generation: u64) -> Target {
        Target { created: DateTime::UNIX_EPOCH, history: None, generation, wish: 0, stage: false }
    }

    #[test]
    fn what_is_aimed_at_outlives_a_restart_and_a_damaged_file_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held.json");
        let (id, run): (ProjectId, RunId) =
            ("p".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
        let mut held = Held::load(&path).unwrap();
        held.aim(&id, run, target(3));
        assert!(held.save().unwrap() && !held.save().unwrap());
        let held = Held::load(&path).unwrap();
        assert_eq!(held.targets(), [(id.clone(), run, target(3))]);
        assert!(held.is_on_the_way(&id, &target(3)) && !held.is_on_the_way(&id, &target(4)));
        assert!(held.tried(&id, &target(3)) && !held.has(&id, &target(3)));
        let restored = Target { history: Some("another".to_owned()), ..target(3) };
        assert!(!held.is_on_the_way(&id, &restored), "the same number of another history");
        std::fs::write(&path, "{").unwrap();
        assert!(Held::load(&path).unwrap().targets().is_empty());
    }
}
