//! The rsync daemon that a master runs for its slaves: kept running, and ended with the master.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::Secret;
use engine::rsync::version::Version;
use engine::rsyncd::service::{Confinement, Files, Launch, Offer as Served, Service, Share};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::offer::Offer;
use crate::config::{Rsync, Rsyncd, RsyncdManaged};

/// How long to wait before a daemon that ended is started again, the first time.
const AGAIN: Duration = Duration::from_millis(250);
/// How long at most.
const AGAIN_AT_MOST: Duration = Duration::from_mins(1);
/// A daemon that ran so long was well.
const WELL: Duration = Duration::from_mins(1);

/// The daemon and its files.
pub(super) struct Daemon {
    config: RsyncdManaged,
    program: std::path::PathBuf,
    memory_max: u64,
    files: Files,
    confinement: Confinement,
    written: Mutex<Option<Served>>,
    /// Notified after each write that failed.
    failed: Notify,
    cuts: mpsc::Sender<oneshot::Sender<()>>,
    cut: tokio::sync::Mutex<mpsc::Receiver<oneshot::Sender<()>>>,
}

impl Daemon {
    /// The daemon of a configuration; none when somebody else runs it.
    pub(super) fn of(config: &Rsyncd, rsync: &Rsync, data_dir: &Path) -> std::io::Result<Option<Self>> {
        let Rsyncd::Managed(config) = config else { return Ok(None) };
        let folder = data_dir.join("rsyncd");
        let files = Files::new(&folder)?;
        let program = crate::serve::found(&rsync.program);
        let version = Version::of_program(&program, &folder).ok();
        let is_root = rustix::process::geteuid().is_root();
        let Some(confinement) = confinement(version, is_root, rsync.allow_old) else {
            tracing::error!(
                "no rsync daemon for slaves: links could lead out of a mirror with an rsync older than 3.5.0. Update rsync, \
                 run the server as root (each connection gets a chroot then), or set `rsync: (allow_old: true)` where the \
                 distribution has mended it"
            );
            return Ok(None);
        };
        let (cuts, cut) = mpsc::channel(16);
        let daemon = Self {
            config: config.clone(),
            program,
            memory_max: rsync.memory_max.0,
            files,
            confinement,
            written: Mutex::new(None),
            failed: Notify::new(),
            cuts,
            cut: tokio::sync::Mutex::new(cut),
        };
        Ok(Some(daemon))
    }

    /// Serves these trees to these users, from the next connection on.
    pub(super) fn write(&self, shares: Vec<Share>, users: Vec<(String, Secret)>) {
        let max_connections = self.config.max_connections;
        let (hosts_allow, confinement) = (self.config.hosts_allow.clone(), self.confinement);
        let served = Served { shares, users, max_connections, hosts_allow, confinement };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.as_ref() == Some(&served) {
            return;
        }
        match self.files.write(&served) {
            Ok(left_out) => {
                for module in left_out {
                    tracing::warn!(
                        module,
                        "slaves cannot pull this project: rsync's configuration cannot hold its path"
                    );
                }
                *written = Some(served);
            }
            Err(error) => {
                tracing::error!("the rsync daemon's files cannot be written, the old ones stay: {error}");
                self.failed.notify_one();
            }
        }
    }

    /// Waits for a write that failed.
    pub(super) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Ends every connection, and waits until that is done. Where no daemon runs there is none.
    pub(super) async fn cut(&self) {
        let (done, wait) = oneshot::channel();
        if self.cuts.send(done).await.is_ok() {
            // An answer that never comes says that the daemon has ended, and its connections with it.
            let _ = tokio::time::timeout(Duration::from_secs(10), wait).await;
        }
    }

    /// Keeps it running until the end. It begins with the first slave that could join.
    pub(super) async fn run(
        &self,
        locks: &Path,
        needed: impl Fn() -> bool,
        mut news: watch::Receiver<Arc<Offer>>,
        stop: &CancellationToken,
    ) {
        let launch = Launch {
            program: self.program.clone(),
            guardian: engine::guardian::argv(),
            locks: locks.to_owned(),
            listen: self.config.listen,
            memory_max: self.memory_max,
        };
        let mut cuts = self.cut.lock().await;
        let mut pause = AGAIN;
        while !stop.is_cancelled() {
            if !needed() || self.written.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    Some(done) = cuts.recv() => { let _ = done.send(()); }
                    _ = news.changed() => {}
                    () = tokio::time::sleep(AGAIN) => {}
                }
                continue;
            }
            let since = Instant::now();
            match Service::start(&launch, &self.files).await {
                Ok(service) => {
                    tracing::info!("rsync daemon for slaves on {}", self.config.listen);
                    let Some(why) = Self::serve(service, &mut cuts, stop).await else { return };
                    tracing::warn!("the rsync daemon for slaves has ended: {why}");
                }
                Err(error) => tracing::error!("no rsync daemon for slaves: {error}"),
            }
            pause = if since.elapsed() >= WELL { AGAIN } else { pause };
            let again = humantime::format_duration(pause);
            tracing::info!("the rsync daemon for slaves is started again in {again}");
            let until = Instant::now() + pause;
            while tokio::select! {
                () = stop.cancelled() => false,
                Some(done) = cuts.recv() => { let _ = done.send(()); true }
                () = tokio::time::sleep_until(until) => false,
            } {}
            pause = (pause * 2).min(AGAIN_AT_MOST);
        }
    }

    /// Watches a running daemon; gives why it ended, none after a stop.
    async fn serve(
        mut service: Service,
        cuts: &mut mpsc::Receiver<oneshot::Sender<()>>,
        stop: &CancellationToken,
    ) -> Option<String> {
        loop {
            tokio::select! {
                why = service.ended() => return Some(why),
                () = stop.cancelled() => {
                    service.stop().await;
                    return None;
                }
                Some(done) = cuts.recv() => {
                    service.cut().await;
                    // Who asked may have gone.
                    let _ = done.send(());
                }
            }
        }
    }
}

/// Returns what keeps slaves within the trees that they pull, or `None` where nothing surely does.
fn confinement(version: Option<Version>, is_root: bool, allow_old: bool) -> Option<Confinement> {
    match version {
        Some(version) if version.confines_modules() => Some(Confinement::Rsync),
        _ if is_root => Some(Confinement::Chroot),
        // The operator says that the distribution has mended it.
        _ if allow_old => Some(Confinement::Rsync),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_rsync_serves_slaves_behind_a_chroot_or_on_the_operators_word_only() {
        let version = |number: &str| {
            Version::parse(format!("rsync  version {number}  protocol version 31").as_bytes()).ok()
        };
        for number in ["3.5.0", "3.5.1", "4.0.0"] {
            assert_eq!(confinement(version(number), false, false), Some(Confinement::Rsync), "{number}");
        }
        for old in [version("3.4.1"), version("3.4.9"), version("3.2.7"), None] {
            assert_eq!(confinement(old, true, false), Some(Confinement::Chroot), "{old:?}");
            assert_eq!(confinement(old, true, true), Some(Confinement::Chroot), "{old:?}");
            assert_eq!(confinement(old, false, true), Some(Confinement::Rsync), "{old:?}");
            assert_eq!(confinement(old, false, false), None, "{old:?}");
        }
    }
}
