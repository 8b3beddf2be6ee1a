//! The way to the master: joining, asking for news, and reporting.
//!
//! Before a slave shows its token, the master has to prove that it knows the enrolment secret: at the first question, and
//! again after every one that failed, since then somebody else may answer at that address.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine::Secret;
use engine::durable::replace;
use engine::text::clipped;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use scheduler::{Project, Scheduler};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ulid::Ulid;

use super::held::{Report, Target};
use super::master::{self, Login, News, Remote};
use super::{SlaveError, http};
use crate::answer::{AnswerError, LONG_ANSWER, SHORT_ANSWER, read_answer, read_document};
use crate::config;
use crate::nodes::proof::{Meeting, Nonce, SHORTEST, same};
use crate::nodes::sample::Sample;
use crate::view::time;

/// How long the master may keep a question for news.
const WAIT: Duration = Duration::from_secs(30);
/// How long an answer may take beyond that.
const ANSWER: Duration = Duration::from_secs(20);

/// Why the master was not reached, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// No connection, or it broke.
    #[error("the master does not answer: {0}")]
    Unreachable(String),
    /// It does not know the enrolment secret.
    #[error(
        "whoever answers at the master's address does not know the enrolment secret: nothing was sent to it"
    )]
    NotTheMaster,
    /// The master refused.
    #[error("the master refused: {0}")]
    Refused(String),
    /// The master knows this slave no more.
    #[error(
        "the master knows this slave no more: it was removed there. To join again, remove node.json from the data folder, \
         and restart"
    )]
    Removed,
    /// The answer makes no sense.
    #[error("the master's answer cannot be understood: {0}")]
    Answer(String),
    /// What was agreed on cannot be kept.
    #[error("node.json cannot be written: {0}")]
    File(#[from] std::io::Error),
}

/// The master's answer to a greeting.
#[derive(Deserialize)]
struct MasterGreeting {
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    proof: String,
}

impl From<AnswerError> for LinkError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Broken(error) => Self::Unreachable(http::cause(&error)),
            AnswerError::TooLong(_) | AnswerError::Meaning(_) => Self::Answer(error.to_string()),
        }
    }
}

/// Who this slave is to its master.
#[derive(Debug, Clone)]
struct Identity {
    token: Secret,
    password: Secret,
    /// The master has answered to it.
    known: bool,
}

/// The identity in its file.
#[derive(Serialize, Deserialize)]
struct IdentityFile {
    name: String,
    token: String,
    password: String,
    known: bool,
}

/// The way to one master.
pub(super) struct Link {
    http: Client,
    master: Url,
    name: String,
    secret: Secret,
    path: PathBuf,
    identity: Mutex<Option<Identity>>,
    /// The master has proved itself, and nothing has failed since.
    proved: AtomicBool,
    /// Names this process.
    process: String,
}

impl Link {
    pub(super) fn new(config: &config::Slave, data_dir: &Path) -> Result<Self, SlaveError> {
        let path = data_dir.join("node.json");
        let secret = config.enrolment.as_ref().ok_or(SlaveError::NoSecret)?;
        let secret = secret.resolve().map_err(SlaveError::Secret)?;
        if secret.expose().len() < SHORTEST {
            tracing::warn!("the enrolment secret is shorter than {SHORTEST} bytes: no master accepts that");
        }
        let failed = |source| SlaveError::File { path: path.clone(), source };
        let identity = match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice::<IdentityFile>(&bytes).ok().filter(|file| file.name == config.name)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let identity = identity.map(|file| Identity {
            token: Secret::new(file.token),
            password: Secret::new(file.password),
            known: file.known,
        });
        let master = Url::parse(&config.master).map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(Self {
            http: http::client(config)?,
            master,
            name: config.name.clone(),
            secret,
            path,
            identity: Mutex::new(identity),
            proved: AtomicBool::new(false),
            process: Ulid::generate().to_string(),
        })
    }

    /// The master's address.
    pub(super) fn master(&self) -> &str {
        self.master.as_str()
    }

    /// Asks for news, and joins first where that has to be. Waits until there is something that `known` does not name,
    /// for half a minute at most.
    pub(super) async fn news(&self, known: Option<&str>) -> Result<News, LinkError> {
        let asked = self.ask(known).await;
        if asked.is_err() {
            self.proved.store(false, Ordering::Release);
        }
        asked
    }

    async fn ask(&self, known: Option<&str>) -> Result<News, LinkError> {
        let identity = self.identity().map_or_else(|| None, Some);
        let identity = match identity {
            Some(identity) => {
                if !self.proved.load(Ordering::Acquire) {
                    self.greet().await?;
                    self.proved.store(true, Ordering::Release);
                }
                identity
            }
            None => self.join().await?,
        };
        // Right after a failure the answer comes at once: it says that the way is open.
        let wait = if known.is_some() { WAIT } else { Duration::ZERO };
        let request =
            self.request(Method::GET, "/api/v1/nodes/self/generations").bearer_auth(identity.token.expose());
        let request =
            request.query(&[("process", self.process.as_str()), ("wait", &wait.as_secs().to_string())]);
        let request = known.iter().fold(request, |request, known| request.query(&[("since", known)]));
        let answer = match self.send(request.timeout(wait + ANSWER)).await {
            Err(LinkError::Removed) if !identity.known => {
                // The master never heard of the join that this came from.
                self.keep(None)?;
                return Err(LinkError::Refused(
                    "it did not hear of this slave yet: joining again".to_owned(),
                ));
            }
            answer => answer?,
        };
        if !identity.known {
            self.keep(Some(Identity { known: true, ..identity }))?;
        }
        Ok(read_document(answer, LONG_ANSWER).await?)
    }

    /// Lets the master prove itself; gives what both have thrown.
    async fn greet(&self) -> Result<Meeting<'_>, LinkError> {
        let slave = Nonce::random();
        let body = json!({ "name": self.name, "nonce": slave.text() });
        let request = self.request(Method::POST, "/api/v1/nodes/hello").json(&body).timeout(ANSWER);
        // Whoever answers has proved nothing yet.
        let answer: MasterGreeting = read_document(self.send(request).await?, SHORT_ANSWER).await?;
        let master = Nonce::parse(&answer.nonce).ok_or(LinkError::NotTheMaster)?;
        let meeting = Meeting { secret: &self.secret, name: &self.name, slave, master };
        if !same(&meeting.master_proof(), &answer.proof) {
            return Err(LinkError::NotTheMaster);
        }
        Ok(meeting)
    }

    /// Joins. What both sides will know is kept before the master is told: an answer that is lost costs nothing.
    async fn join(&self) -> Result<Identity, LinkError> {
        let meeting = self.greet().await?;
        let identity = Identity { token: meeting.token(), password: meeting.password(), known: false };
        self.keep(Some(identity.clone()))?;
        let body = json!({ "nonce": meeting.master.text(), "proof": meeting.slave_proof() });
        let request = self.request(Method::POST, "/api/v1/nodes/join").json(&body).timeout(ANSWER);
        match self.send(request).await {
            Ok(_) => {
                tracing::info!(name = self.name, "joined the master");
                self.proved.store(true, Ordering::Release);
                Ok(identity)
            }
            Err(error) => {
                if matches!(error, LinkError::Refused(_)) {
                    self.keep(None)?;
                }
                Err(error)
            }
        }
    }

    /// Tells the master of one project.
    pub(super) async fn report(&self, report: &Report) -> Result<(), LinkError> {
        let identity = self.identity().filter(|_| self.proved.load(Ordering::Acquire));
        let identity = identity.ok_or_else(|| LinkError::Unreachable("not in touch with it".to_owned()))?;
        let request =
            self.request(Method::POST, "/api/v1/nodes/self/report").bearer_auth(identity.token.expose());
        match self.send(request.json(report).timeout(ANSWER)).await {
            // A project that is there no more, or another one by now: nobody waits for this.
            Ok(_) | Err(LinkError::Answer(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What has changed of a project between two generations; none when the master does not know it whole, or does not
    /// answer.
    pub(super) async fn changes(&self, project: &str, target: &Target, from: u64) -> Option<Vec<u8>> {
        let identity = self.identity().filter(|_| self.proved.load(Ordering::Acquire))?;
        let request =
            self.request(Method::GET, "/api/v1/nodes/self/changes").bearer_auth(identity.token.expose());
        let between = [("from", from.to_string()), ("to", target.generation.to_string())];
        let request = request.query(&of_project(project, target)).query(&between);
        let answer = self.send(request.timeout(ANSWER)).await.ok()?;
        read_answer(answer, LONG_ANSWER).await.ok()
    }

    /// Some places of a project, to compare with; none while it changes there, or without an answer.
    pub(super) async fn sample(&self, project: &str, target: &Target) -> Option<Sample> {
        let identity = self.identity().filter(|_| self.proved.load(Ordering::Acquire))?;
        let request =
            self.request(Method::GET, "/api/v1/nodes/self/sample").bearer_auth(identity.token.expose());
        let request = request.query(&of_project(project, target));
        let answer = self.send(request.timeout(ANSWER)).await.ok()?;
        read_document(answer, LONG_ANSWER).await.ok()
    }

    /// The slave's project for one of the master's.
    pub(super) fn project(
        &self,
        news: &News,
        remote: &Remote,
        public_dir: &Path,
        scheduler: &Scheduler,
    ) -> Result<Project, String> {
        let identity = self.identity().ok_or("this slave has not joined")?;
        let host = self.master.host_str().unwrap_or_default();
        let login = Login { host, user: &self.name, password: &identity.password };
        let landing = scheduler.landing();
        let resolve = |dest: &Path| landing.resolve(dest).map_err(|error| format!("`public_dir` {error}"));
        master::project(news, remote, &login, public_dir, resolve)
    }

    fn identity(&self) -> Option<Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, identity: Option<Identity>) -> Result<(), LinkError> {
        match &identity {
            Some(Identity { token, password, known }) => {
                let (token, password) = (token.expose().to_owned(), password.expose().to_owned());
                let file = IdentityFile { name: self.name.clone(), token, password, known: *known };
                replace(&self.path, &serde_json::to_vec(&file).unwrap_or_default())?;
            }
            None => std::fs::remove_file(&self.path)?,
        }
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.master.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&(base + path));
        self.http.request(method, url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, LinkError> {
        let response = request.send().await.map_err(|error| LinkError::Unreachable(http::cause(&error)))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => Err(LinkError::Removed),
            status @ (StatusCode::FORBIDDEN | StatusCode::CONFLICT) => {
                Err(LinkError::Refused(detail(response).await.unwrap_or_else(|| status.to_string())))
            }
            StatusCode::UNPROCESSABLE_ENTITY => {
                Err(LinkError::Answer(detail(response).await.unwrap_or_default()))
            }
            status => Err(LinkError::Unreachable(status.to_string())),
        }
    }
}

/// The query that names a project, and its history where the master has said one: an older master knows no such key.
fn of_project(project: &str, target: &Target) -> Vec<(&'static str, String)> {
    let history = target.history.clone().map(|history| ("history", history));
    let named = [("project", project.to_owned()), ("created", time(target.created))];
    named.into_iter().chain(history).collect()
}

/// The sentence of a problem document.
async fn detail(response: Response) -> Option<String> {
    let problem: Value = read_document(response, SHORT_ANSWER).await.ok()?;
    let detail = problem["detail"].as_str()?;
    Some(clipped(detail, 500))
}
