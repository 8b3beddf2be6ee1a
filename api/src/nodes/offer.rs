//! What a master offers its slaves: each project with its generation, and where to pull it from.
//!
//! Made once for all slaves whenever something changes; a slave that waits is given the same text as every other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use engine::rsyncd::service::Share;
use engine::{Secret, Source};
use scheduler::core::Entry;
use scheduler::member::Member;
use scheduler::project::{Repository, Standing};
use scheduler::{Event, EventKind, ProjectId, RunState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::NodesError;
use crate::config::{Config, Rsyncd, SecretSource};
use crate::view::time;

/// The offer of one moment.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    tag: String,
    projects: Box<RawValue>,
    shares: Vec<Share>,
    known: HashMap<ProjectId, (DateTime<Utc>, u64)>,
    history: Option<String>,
    /// Slaves wait for each other.
    waits: bool,
    /// Slaves publish some project together, so that the offer follows from what they report.
    follows_reports: bool,
}

/// One project as slaves are offered it.
#[derive(Debug, Serialize)]
struct Item<'a> {
    id: &'a str,
    name: &'a str,
    created: String,
    /// The history that its generations are of; none for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a str>,
    generation: u64,
    /// Where slaves publish together: the generation that they may put in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<u64>,
    /// And what of the tree is its index, which comes last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    index: Vec<String>,
    module: String,
    path: String,
    /// The project's bounds of an attempt, in seconds.
    timeout: f64,
    stall: f64,
    /// How much a slave may delete by itself.
    guard: OfferedGuard,
    /// What there was at the last look at the whole tree; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<OfferedTree>,
}

/// The guard of a project as slaves are told it.
#[derive(Debug, Serialize, Deserialize, Clone, Copy)]
pub(crate) struct OfferedGuard {
    pub(crate) max_delete_percent: u8,
    pub(crate) max_delete: u64,
}

/// A tree as its master has counted it.
#[derive(Debug, Serialize, Deserialize, Clone, Copy)]
pub(crate) struct OfferedTree {
    /// The generation that stood then.
    pub(crate) generation: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl OfferedTree {
    fn of(standing: &Standing) -> Option<Self> {
        let Standing { files, size_bytes, counted_at, .. } = standing;
        // Even an empty tree has its own folder: without entries, nothing is known.
        (*files > 0).then_some(Self { generation: *counted_at, entries: *files, bytes: *size_bytes })
    }
}

impl Offer {
    /// What these projects are offered as.
    pub(crate) fn of(
        entries: &[Arc<Entry>],
        place: &Place,
        history: Option<&str>,
        released: impl Fn(&Entry) -> Option<u64>,
    ) -> Self {
        let mut items = Vec::new();
        let mut offer = Self { history: history.map(str::to_owned), ..Self::default() };
        for entry in entries.iter().filter(|entry| entry.project.fan_out) {
            let (project, generation) = (&entry.project, entry.standing.generation);
            let (module, path) = place.of_project(&project.id, &project.place);
            offer.known.insert(project.id.clone(), (project.created, generation));
            offer.shares.push(Share {
                module: module.clone(),
                path: project.place.clone(),
                only: Vec::new(),
            });
            let created = time(project.created);
            let released = released(entry);
            offer.follows_reports |= released.is_some();
            offer.waits |= released.is_some_and(|released| released < generation);
            items.push(Item {
                id: project.id.as_str(),
                name: &project.name,
                created,
                history,
                generation,
                released,
                index: released.and(project.stages.as_ref()).map(index).unwrap_or_default(),
                module,
                path,
                guard: OfferedGuard {
                    max_delete_percent: project.guard.max_delete_percent,
                    max_delete: project.guard.max_delete,
                },
                tree: OfferedTree::of(&entry.standing),
                timeout: project.timeout.as_secs_f64(),
                stall: project.stall.as_secs_f64(),
            });
        }
        offer.shares.extend(place.together(entries));
        // Plain texts and numbers always have a JSON form.
        offer.projects = serde_json::value::to_raw_value(&items).unwrap_or_default();
        let address = serde_json::to_vec(&place.address()).unwrap_or_default();
        let digest = Sha256::new().chain_update(offer.projects.get()).chain_update(address).finalize();
        offer.tag = URL_SAFE_NO_PAD.encode(digest);
        offer
    }

    /// Names all that slaves are told of this offer; [`Self::shares`] can change under the same tag. Empty before the
    /// first.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The tag for one slave: it also names the wishes and approvals that are meant for this one.
    pub(crate) fn tag_for(&self, member: &Member) -> String {
        let tag = format!("{}-{}", self.tag, member.wish);
        if member.approved.is_empty() {
            return tag;
        }
        let texts = member.approved.iter().flat_map(|(project, approved)| [project.as_str(), &approved.plan]);
        let digest = texts.fold(Sha256::new(), |digest, text| digest.chain_update(text).chain_update([0]));
        format!("{tag}-{}", URL_SAFE_NO_PAD.encode(digest.finalize()))
    }

    /// Whether slaves wait for each other with some project.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Returns whether the offer can change with what slaves report.
    pub(super) fn follows_reports(&self) -> bool {
        self.follows_reports
    }

    /// The projects as JSON.
    pub(crate) fn projects(&self) -> &RawValue {
        &self.projects
    }

    /// What the daemon has to serve.
    pub(crate) fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Whether nodes of 2014 find the tree of this name in the one module that they know.
    pub(super) fn is_together(&self, name: &str) -> bool {
        self.shares.iter().any(|share| share.only.iter().any(|only| only == name))
    }

    /// The generation of a project that was created then, in this history; none: there is none.
    pub(crate) fn generation(
        &self,
        project: &ProjectId,
        created: DateTime<Utc>,
        history: Option<&str>,
    ) -> Option<u64> {
        if self.history.as_deref() != history {
            return None;
        }
        self.known
            .get(project)
            .filter(|(known, _)| time(*known) == time(created))
            .map(|(_, generation)| *generation)
    }
}

/// The patterns of what belongs to the index of a tree.
fn index(repository: &Repository) -> Vec<String> {
    repository.stages().map(|stages| stages.index().to_vec()).unwrap_or_default()
}

/// Waits until the offer may have changed, and takes what else has happened meanwhile with it.
pub(super) async fn news(events: &mut Receiver<Arc<Event>>) {
    loop {
        match events.recv().await {
            Ok(event) if is_news(&event.kind) => break,
            Ok(_) => {}
            // Missed some: look.
            Err(RecvError::Lagged(_)) => break,
            // The scheduler is gone, and so are its projects' news.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
    while let Ok(_) | Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_)) = events.try_recv() {}
}

fn is_news(kind: &EventKind) -> bool {
    match kind {
        EventKind::ProjectCreated | EventKind::ProjectUpdated | EventKind::ProjectDeleted => true,
        EventKind::RunEnded(run) => matches!(run.state, RunState::Ended { generation: Some(_), .. }),
        _ => false,
    }
}

/// Where slaves find the trees.
#[derive(Debug)]
pub(crate) struct Place {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Managed { address: Option<String>, port: u16, module: String },
    External { source: Source, password: Option<Secret>, roots: Vec<PathBuf> },
}

/// The same for a slave: the daemon, and how to log in where that is not the slave's own business.
#[derive(Debug, Serialize)]
pub(crate) struct Address {
    pub(super) host: Option<String>,
    pub(super) port: u16,
    user: Option<String>,
    pub(super) password: Option<String>,
}

impl Place {
    pub(super) fn of(rsyncd: &Rsyncd, config: &Config) -> Result<Self, NodesError> {
        let kind = match rsyncd {
            Rsyncd::Managed(managed) => Kind::Managed {
                address: managed.address.clone(),
                port: managed.listen.port(),
                module: managed.module.clone(),
            },
            Rsyncd::External(external) => {
                let source: Source = external
                    .url
                    .parse()
                    .map_err(|error: engine::source::SourceErrors| NodesError::Url(error.to_string()))?;
                let password = external.password.as_ref().map(SecretSource::resolve_password).transpose();
                let password =
                    password.map_err(|source| NodesError::Secret { key: "rsyncd.password", source })?;
                let user = external.user.as_deref();
                let parts = Source::new(user, source.host(), source.port(), source.module(), source.path());
                let source = parts
                    .map_err(|errors| NodesError::Url(engine::source::SourceErrors(errors).to_string()))?;
                let roots = config.allowed_roots.iter().map(|root| root.path.clone()).collect();
                Kind::External { source, password, roots }
            }
        };
        Ok(Self { kind })
    }

    /// The module and the path in it where a project is.
    fn of_project(&self, id: &ProjectId, dest: &Path) -> (String, String) {
        match &self.kind {
            Kind::Managed { module, .. } => (format!("{module}-{id}"), String::new()),
            Kind::External { source, roots, .. } => {
                let below = roots.iter().find_map(|root| dest.strip_prefix(root).ok());
                let below = below.or_else(|| dest.file_name().map(Path::new)).unwrap_or(dest);
                let path = format!("{}/{}", source.path(), below.display());
                (source.module().to_owned(), path.trim_matches('/').to_owned())
            }
        }
    }

    /// The one module in which nodes of 2014 look for each tree under its name: the folder above all trees, where there
    /// is one such folder.
    fn together(&self, entries: &[Arc<Entry>]) -> Option<Share> {
        let Kind::Managed { module, .. } = &self.kind else { return None };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        let mut places =
            entries.iter().filter(|entry| entry.project.fan_out).map(|entry| &entry.project.place);
        let path = places.clone().next()?.parent()?.to_owned();
        let alone = places.all(|place| place.parent() == Some(&path));
        let names = entries.iter().filter(|entry| entry.project.fan_out).filter_map(|entry| {
            let name = entry.project.place.file_name()?.to_str()?;
            name.chars().all(plain).then(|| name.to_owned())
        });
        let only: Vec<String> = names.collect();
        (alone && !only.is_empty()).then(|| Share { module: module.clone(), path, only })
    }

    /// Whether somebody else runs the daemon, and lays out its modules.
    pub(super) fn is_external(&self) -> bool {
        matches!(self.kind, Kind::External { .. })
    }

    /// The daemon for a slave.
    pub(crate) fn address(&self) -> Address {
        match &self.kind {
            Kind::Managed { address, port, .. } => {
                let (host, port) = match address {
                    Some(address) => split(address, *port),
                    None => (None, *port),
                };
                Address { host, port, user: None, password: None }
            }
            Kind::External { source, password, .. } => Address {
                host: Some(source.host().to_owned()),
                port: source.port(),
                user: source.user().map(str::to_owned),
                password: password.as_ref().map(|password| password.expose().to_owned()),
            },
        }
    }
}

/// `host`, or `host:port`.
fn split(address: &str, port: u16) -> (Option<String>, u16) {
    match address.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (Some(host.to_owned()), port),
        _ => (Some(address.to_owned()), port),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_address_that_slaves_are_told_may_name_a_port() {
        assert_eq!(split("m.example.org", 8730), (Some("m.example.org".to_owned()), 8730));
        assert_eq!(split("m.example.org:873", 8730), (Some("m.example.org".to_owned()), 873));
        assert_eq!(split("[::1]:873", 8730), (Some("[::1]".to_owned()), 873));
    }
}
