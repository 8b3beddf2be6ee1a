//! Checking by sample whether what a slave holds is still what the master has.
//!
//! A pull by change does not see what somebody changed on the slave itself. So from time to time some places are
//! compared, and what differs there leads to a sync that looks at everything.

use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::text::escaped;
use scheduler::ProjectId;
use tokio_util::sync::CancellationToken;

use super::Slave;
use super::master::Remote;
use crate::nodes::sample::{Folder, Inside, Sample, entry, text};

impl Slave {
    /// Checks every project from time to time, until the end.
    pub(super) async fn check(&self, stop: &CancellationToken) {
        if self.sample_every.is_zero() {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(self.sample_every)).await.is_some() {
            let Some(news) = self.news.borrow().clone() else { continue };
            for remote in &news.projects {
                let Ok(id) = remote.id.parse::<ProjectId>() else { continue };
                let checked = self.check_project(&id, remote, news.wish);
                if stop.run_until_cancelled(checked).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Compares one project, if it is current and nothing moves.
    async fn check_project(&self, id: &ProjectId, remote: &Remote, wish: u64) {
        let target = remote.target(wish, false);
        let is_still = || self.held().has(id, &target) && !self.held().is_busy(id);
        let Some(project) = self.scheduler.board().project(id).filter(|_| is_still()) else { return };
        let Some(sample) = self.link.sample(id.as_str(), &target).await else { return };
        if sample.generation != remote.generation {
            return;
        }
        let root = project.project.place.clone();
        let found = tokio::task::spawn_blocking(move || difference(&root, &sample)).await;
        let Some((what, by_content)) = found.unwrap_or_default().filter(|_| is_still()) else { return };
        tracing::warn!(project = %id, "this slave's tree is not what it pulled, and is synced whole: {what}");
        self.held().drifted(id, what, by_content);
        self.save();
    }
}

/// The first place that differs, in words, and whether only its content tells.
fn difference(root: &Path, sample: &Sample) -> Option<(String, bool)> {
    sample.folders.iter().find_map(|folder| differs(root, folder))
}

fn differs(root: &Path, folder: &Folder) -> Option<(String, bool)> {
    let path = bytes(&folder.path)?;
    // Whoever says otherwise is no master of ours.
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let at = root.join(&path);
    let shown = |name: &Path| escaped(path.join(name).as_os_str().as_encoded_bytes());
    let Some(inside) = Inside::read(&at) else {
        return Some((format!("{} cannot be read", shown(Path::new(""))), false));
    };
    let own = || inside.files.iter().map(|(name, _)| name).chain(&inside.folders);
    if let Some(names) = &folder.names {
        let stray = own().find(|name| !names.contains(&text(name)));
        if let Some(stray) = stray {
            return Some((format!("{} is not at the master", shown(stray)), false));
        }
        let lost = names.iter().find(|name| !own().any(|own| text(own) == **name));
        if let Some(lost) = lost {
            return Some((format!("{} is not here", shown(&bytes(lost)?)), false));
        }
    }
    folder.files.iter().find_map(|theirs| {
        let (name, meta) = inside.files.iter().find(|(name, _)| text(name) == theirs.name)?;
        let ours = entry(&at, name, meta, theirs.digest.is_some());
        let by_content = (ours.size, ours.modified) == (theirs.size, theirs.modified);
        (ours != *theirs).then(|| (format!("{} differs", shown(name)), by_content))
    })
}

fn bytes(text: &str) -> Option<PathBuf> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}
