//! An rsync daemon of our own: made from a configuration that we write, guarded like every rsync, ended with its owner.

pub mod service;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::guardian::{Guarded, Said, Spec};
use crate::secret::Secret;

/// How an rsync daemon begins.
const GREETING: &[u8; 8] = b"@RSYNCD:";
/// How often another port is tried when one turns out to be taken.
const TRIES: usize = 10;
/// How long a daemon may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// rsync's exit when its port is taken.
const PORT_TAKEN: i32 = 10;

/// A running daemon. Dropping it ends it.
#[derive(Debug)]
pub struct Rsyncd {
    guarded: Guarded,
    address: SocketAddr,
}

/// One tree that a daemon serves, read only.
#[derive(Debug, Clone)]
pub struct Module {
    name: String,
    path: PathBuf,
    login: Option<(String, Secret)>,
}

impl Module {
    /// Serves `path` to everybody who reaches the daemon.
    #[must_use]
    pub fn new(name: &str, path: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned(), login: None }
    }

    /// Asks for this user and password.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: Secret) -> Self {
        self.login = Some((user.to_owned(), password));
        self
    }
}

/// Why a daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RsyncdError {
    /// Its folder or its files could not be written.
    #[error("cannot write the rsync daemon's files in {path}: {source}")]
    Files {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be started.
    #[error("the rsync daemon did not start: {0}")]
    Start(String),
    /// It runs, and does not answer.
    #[error("the rsync daemon does not answer on {0}")]
    Silent(SocketAddr),
}

impl Rsyncd {
    /// Starts a daemon on a free port of this machine only, with its files in `folder`, and waits until it answers.
    ///
    /// # Errors
    /// When its files cannot be written, or it does not start or answer.
    pub async fn start(
        program: &Path,
        guardian: &[OsString],
        folder: &Path,
        modules: &[Module],
    ) -> Result<Self, RsyncdError> {
        let files = |source| RsyncdError::Files { path: folder.to_owned(), source };
        let config = write_files(folder, modules).map_err(files)?;
        for _ in 0..TRIES {
            // rsync takes port 0 for 873, so a free one is looked for here, and may be gone a moment later.
            let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(files)?;
            let address = probe.local_addr().map_err(files)?;
            drop(probe);
            let spec = spec(program, folder, &config, address);
            let (mut guarded, ..) = Guarded::spawn(guardian, &spec)
                .await
                .map_err(|error| RsyncdError::Start(error.to_string()))?;
            match answers(&mut guarded, address).await {
                Answer::Yes => return Ok(Self { guarded, address }),
                Answer::Ended(Said::Exited(PORT_TAKEN)) => {}
                Answer::Ended(said) => return Err(RsyncdError::Start(format!("{said:?}"))),
                Answer::No => return Err(RsyncdError::Silent(address)),
            }
        }
        Err(RsyncdError::Start("every port that was free a moment before was taken".to_owned()))
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends it, and waits until it has ended.
    pub async fn stop(mut self) {
        self.guarded.stop().await;
        while !matches!(self.guarded.said().await, Said::Exited(_) | Said::Signalled(_) | Said::Gone) {}
        self.guarded.wait().await;
    }
}

enum Answer {
    Yes,
    No,
    Ended(Said),
}

async fn answers(guarded: &mut Guarded, address: SocketAddr) -> Answer {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        tokio::select! {
            said = guarded.said() => if !matches!(said, Said::Started(_)) {
                return Answer::Ended(said);
            },
            greeted = greeted(address) => match greeted {
                true => return Answer::Yes,
                false if Instant::now() > deadline => return Answer::No,
                false => sleep(ASK_EVERY).await,
            }
        }
    }
}

/// Whether an rsync daemon answers there. A connection alone says nothing: it may be to somebody else who has the port,
/// or, since the port is one that clients are given too, to itself.
async fn greeted(address: SocketAddr) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(address).await?;
        let mut start = [0; GREETING.len()];
        stream.read_exact(&mut start).await?;
        io::Result::Ok(start == *GREETING)
    };
    matches!(timeout(READY_WITHIN, greeting).await, Ok(Ok(true)))
}

fn spec(program: &Path, folder: &Path, config: &Path, address: SocketAddr) -> Spec {
    let words = [
        "--daemon".to_owned(),
        "--no-detach".to_owned(),
        format!("--address={}", address.ip()),
        format!("--port={}", address.port()),
        format!("--config={}", config.display()),
        format!("--log-file={}", folder.join("log").display()),
    ];
    Spec {
        then: None,
        environment: Vec::new(),
        ask_group: false,
        program: program.to_owned(),
        args: words.into_iter().map(String::into_bytes).collect(),
        home: folder.to_owned(),
        input: None,
        locks: None,
        dest: None,
        dest_identity: None,
        grace_ms: 2000,
        memory_max: None,
        group: None,
    }
}

/// Writes configuration and secrets, readable by us alone.
fn write_files(folder: &Path, modules: &[Module]) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut config = String::from("use chroot = no\nread only = yes\nsocket options = TCP_NODELAY\n");
    for module in modules {
        let _ = write!(config, "[{}]\npath = {}\n", module.name, module.path.display());
        if let Some((user, password)) = &module.login {
            let secrets = folder.join(format!("{}.secrets", module.name));
            private(&secrets, &format!("{user}:{}\n", password.expose()))?;
            let _ = write!(config, "auth users = {user}\nsecrets file = {}\n", secrets.display());
        }
    }
    let path = folder.join("rsyncd.conf");
    private(&path, &config)?;
    Ok(path)
}

fn private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
