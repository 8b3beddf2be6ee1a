//! An rsync daemon as a service for other machines: it serves many trees to many users, and is changed while it runs.
//!
//! rsync reads its configuration and its secrets anew for every connection, so [`Files::write`] is all that a change
//! needs. What has begun already goes on with what it read; [`Service::cut`] ends it.
//!
//! Each tree is a module of its own. One module over a folder of symlinks to the trees would need a daemon that follows
//! symlinks out of the module, which is the very hole that must stay closed; for the same reason a client may not ask
//! the daemon to follow links (`refuse options`).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::time::{Instant, sleep};

use super::{Answer, RsyncdError, answers};
use crate::durable;
use crate::guardian::{Guarded, Said, Spec};
use crate::secret::Secret;
use crate::text::escaped;

/// The longest line of the daemon's log that is kept.
const LONGEST_LINE: u64 = 4096;
/// How long connections that were killed may take to be gone: one may be waiting for a disk.
const CUT_WITHIN: Duration = Duration::from_secs(5);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(2);

/// One tree that is served, read only and not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The module's name; one that [`Source`](crate::Source) accepts.
    pub module: String,
    /// The folder.
    pub path: PathBuf,
    /// The names in it that are served, of letters, digits and `. _ + -`; none: everything.
    pub only: Vec<String>,
}

/// What a daemon serves, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// The trees.
    pub shares: Vec<Share>,
    /// The users, with their passwords. Names hold letters, digits and `. _ -` only.
    pub users: Vec<(String, Secret)>,
    /// Connections at once, all modules together.
    pub max_connections: u32,
    /// Addresses and networks that may connect; empty: all.
    pub hosts_allow: Vec<String>,
    /// What keeps a connection within its tree.
    pub confinement: Confinement,
}

/// What keeps a connection of the daemon within its tree, whatever links are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confinement {
    /// rsync itself; see [`Version::confines_modules`](crate::rsync::version::Version::confines_modules).
    #[default]
    Rsync,
    /// The kernel: each connection has the tree as its root folder. Only root can start such a daemon.
    Chroot,
}

/// The daemon's files: configuration and secrets, readable by us alone.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Keeps them in `folder`, which is made.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(folder: &Path) -> io::Result<Self> {
        durable::make_private_folder(folder)?;
        // Without links on the way, as the guardian wants it.
        Ok(Self { folder: folder.canonicalize()? })
    }

    /// Puts an offer in force, from the next connection on. Gives the modules whose path rsync's configuration cannot
    /// hold; they are left out.
    ///
    /// # Errors
    /// When the system refuses; what was in force stays.
    pub fn write(&self, offer: &Offer) -> io::Result<Vec<String>> {
        let mut left_out = Vec::new();
        let mut config = self.heading(offer);
        let users: Vec<&str> = offer.users.iter().map(|(user, _)| user.as_str()).collect();
        for share in &offer.shares {
            match writable(&share.path).filter(|_| !users.is_empty()) {
                Some(path) => {
                    let users = users.join(",");
                    let _ = write!(config, "[{}]\npath = {path}\nauth users = {users}\n", share.module);
                    if !share.only.is_empty() {
                        let only =
                            share.only.iter().fold(String::new(), |all, name| all + "+ /" + name + " ");
                        let _ = writeln!(config, "filter = {only}- /*");
                    }
                }
                None if users.is_empty() => {}
                None => left_out.push(share.module.clone()),
            }
        }
        let secrets: String = offer
            .users
            .iter()
            .fold(String::new(), |all, (user, password)| all + user + ":" + password.expose() + "\n");
        // Secrets first: a removed user must be out even if the second file cannot be written. Both are durable, since a
        // daemon of the system's may read them after a power cut before this server starts.
        durable::replace(&self.folder.join("secrets"), secrets.as_bytes())?;
        durable::replace(&self.folder.join("rsyncd.conf"), config.as_bytes())?;
        Ok(left_out)
    }

    fn heading(&self, offer: &Offer) -> String {
        let mut heading = format!(
            "use chroot = {}\nmunge symlinks = no\nread only = yes\nlist = no\nreverse lookup = no\n\
             socket options = TCP_NODELAY\ntransfer logging = no\ntimeout = 600\n\
             refuse options = copy-links copy-dirlinks copy-unsafe-links\n\
             max connections = {}\nlock file = {}\nsecrets file = {}\n",
            if offer.confinement == Confinement::Chroot { "yes" } else { "no" },
            offer.max_connections,
            self.folder.join("connections.lock").display(),
            self.folder.join("secrets").display(),
        );
        if rustix::process::geteuid().is_root() {
            // Otherwise rsync serves as nobody, who may not read what a mirror may hold.
            heading.push_str("uid = 0\ngid = 0\n");
        }
        if !offer.hosts_allow.is_empty() {
            let _ = writeln!(heading, "hosts allow = {}\nhosts deny = *", offer.hosts_allow.join(" "));
        }
        heading
    }
}

/// A path as rsync's configuration takes it; none when it would read something else.
fn writable(path: &Path) -> Option<&str> {
    let text = path.to_str().filter(|_| path.is_absolute())?;
    let plain =
        !text.contains(|c: char| c.is_control() || c == '%') && !text.ends_with('\\') && text.trim() == text;
    plain.then_some(text)
}

/// How a daemon is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// rsync, by name or path.
    pub program: PathBuf,
    /// The argv of a guardian.
    pub guardian: Vec<OsString>,
    /// The folder of locks, by which the next start finds a daemon that nobody ended.
    pub locks: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Most bytes of memory that each of its processes may have.
    pub memory_max: u64,
}

/// A running daemon. Dropping it ends it.
#[derive(Debug)]
pub struct Service {
    guarded: Guarded,
    pid: Option<Pid>,
    log: tokio_util::task::AbortOnDropHandle<()>,
}

impl Service {
    /// Starts a daemon with these files, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start or answer.
    pub async fn start(launch: &Launch, files: &Files) -> Result<Self, RsyncdError> {
        let spec = spec(launch, &files.folder);
        let spawned = Guarded::spawn(&launch.guardian, &spec).await;
        let (mut guarded, stdout, _) = spawned.map_err(|error| RsyncdError::Start(error.to_string()))?;
        let pid = match guarded.said().await {
            Said::Started(pid) => i32::try_from(pid).ok().and_then(Pid::from_raw),
            Said::Failed(why) => return Err(RsyncdError::Start(why)),
            Said::Busy => {
                return Err(RsyncdError::Start("another server's daemon uses its folder".to_owned()));
            }
            said => return Err(RsyncdError::Start(format!("{said:?}"))),
        };
        match answers(&mut guarded, launch.listen).await {
            Answer::Yes => {
                let handle = tokio::runtime::Handle::current().spawn(read_log(stdout));
                Ok(Self { guarded, pid, log: tokio_util::task::AbortOnDropHandle::new(handle) })
            }
            Answer::Ended(Said::Exited(super::PORT_TAKEN)) => {
                Err(RsyncdError::Start(format!("{} is taken by another program", launch.listen)))
            }
            Answer::Ended(said) => Err(RsyncdError::Start(format!("it ended at once: {said:?}"))),
            Answer::No => Err(RsyncdError::Silent(launch.listen)),
        }
    }

    /// Waits until it has ended by itself. May be dropped at any await.
    pub async fn ended(&mut self) -> String {
        loop {
            match self.guarded.said().await {
                Said::Exited(code) => return format!("it exited with {code}"),
                Said::Signalled(signal) => return format!("signal {signal} ended it"),
                Said::Gone => return "its guardian was ended".to_owned(),
                _ => {}
            }
        }
    }

    /// Ends every connection that it serves now, at once, and waits until they have ended. New ones are answered.
    pub async fn cut(&self) {
        let Some(daemon) = self.pid else { return };
        let mut ended = Vec::new();
        for pid in children(daemon) {
            // Looked at again once the descriptor holds it: the number may have gone to somebody else.
            if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
                && children(daemon).contains(&pid)
            {
                // One that has ended meanwhile needs no end.
                let _ = pidfd_send_signal(handle, Signal::KILL);
                ended.push(pid);
            }
        }
        let deadline = Instant::now() + CUT_WITHIN;
        while children(daemon).iter().any(|pid| ended.contains(pid)) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    /// Ends it and its connections, and waits until all have ended.
    pub async fn stop(mut self) {
        self.cut().await;
        self.guarded.stop().await;
        while !matches!(self.guarded.said().await, Said::Exited(_) | Said::Signalled(_) | Said::Gone) {}
        self.guarded.wait().await;
        drop(self.log);
    }
}

/// The processes that this one has started and not reaped.
fn children(of: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", of.as_raw_nonzero())).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>()
        })
        .collect()
}

fn spec(launch: &Launch, folder: &Path) -> Spec {
    let words = [
        "--daemon".to_owned(),
        "--no-detach".to_owned(),
        format!("--address={}", launch.listen.ip()),
        format!("--port={}", launch.listen.port()),
        format!("--config={}", folder.join("rsyncd.conf").display()),
        "--log-file=/dev/stdout".to_owned(),
    ];
    Spec {
        then: None,
        environment: Vec::new(),
        ask_group: false,
        program: launch.program.clone(),
        args: words.into_iter().map(String::into_bytes).collect(),
        home: folder.to_owned(),
        input: None,
        locks: Some(launch.locks.clone()),
        dest: Some(folder.to_owned()),
        dest_identity: None,
        grace_ms: 2000,
        memory_max: Some(launch.memory_max),
        group: None,
    }
}

/// Passes on what the daemon logs; its pipe must never be full.
async fn read_log(stdout: Option<impl AsyncRead + Unpin>) {
    let Some(stdout) = stdout else { return };
    let (mut reader, mut line) = (BufReader::new(stdout), Vec::new());
    loop {
        line.clear();
        match (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => tracing::debug!("rsync daemon: {}", escaped(line.trim_ascii_end())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_files_are_private_and_hold_each_tree_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path()).unwrap();
        let share = |module: &str, path: &str| Share {
            module: module.to_owned(),
            path: path.into(),
            only: Vec::new(),
        };
        let offer = Offer {
            shares: vec![
                share("mirror-a", "/srv/a b"),
                share("mirror-b", "/srv/%HOME%"),
                share("mirror-c", "/srv/c\\"),
            ],
            users: vec![("ftp-1".to_owned(), Secret::new("x1")), ("ftp-2".to_owned(), Secret::new("x2"))],
            max_connections: 7,
            hosts_allow: vec!["10.0.0.0/8".to_owned()],
            confinement: Confinement::Chroot,
        };
        assert_eq!(files.write(&offer).unwrap(), ["mirror-b", "mirror-c"]);
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let config = read("rsyncd.conf");
        assert!(config.contains("[mirror-a]\npath = /srv/a b\nauth users = ftp-1,ftp-2\n"), "{config}");
        assert!(
            config.contains("max connections = 7\n")
                && config.contains("hosts allow = 10.0.0.0/8\nhosts deny = *\n")
        );
        assert!(!config.contains("x1") && config.contains("use chroot = yes\n"), "{config}");
        assert_eq!(read("secrets"), "ftp-1:x1\nftp-2:x2\n");
        for name in ["secrets", "rsyncd.conf"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn without_users_nothing_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path()).unwrap();
        let share = Share { module: "m".to_owned(), path: "/srv".into(), only: Vec::new() };
        files.write(&Offer { shares: vec![share], max_connections: 1, ..Offer::default() }).unwrap();
        assert!(!fs::read_to_string(folder.path().join("rsyncd.conf")).unwrap().contains('['));
    }
}
