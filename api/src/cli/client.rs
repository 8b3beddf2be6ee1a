//! Requests to the server, and what its answers mean for a command.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};

use super::failure::Failure;
use super::{Connection, Output};
use crate::answer::{AnswerError, LONG_ANSWER, SHORT_ANSWER, read_answer, read_document};
use crate::config::Config;

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_mins(1);
/// How long it may take over what waits for others.
const PATIENT: Duration = Duration::from_mins(6);
/// How many items one request asks for.
const PAGE: usize = 1000;
/// Bound of all pages of a list together, in bytes.
const ALL_PAGES: usize = 4 * LONG_ANSWER;

/// The server as a client command sees it.
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    credentials: Credentials,
    /// How its answers are printed.
    pub(super) output: Output,
}

/// Who asks.
enum Credentials {
    Nobody,
    Token(String),
    User(String, String),
}

impl Client {
    /// A client of the server that the command line names.
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        let server = Url::parse(&connection.server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let server = server.ok_or_else(|| {
            Failure::Usage(format!(
                "--server `{}` is not an address such as http://127.0.0.1:5000",
                connection.server
            ))
        })?;
        let credentials = match (&connection.token, &connection.user) {
            (Some(token), _) => Credentials::Token(token.clone()),
            (None, Some(user)) => {
                let (name, password) = user
                    .split_once(':')
                    .ok_or_else(|| Failure::Usage("--user needs NAME:PASSWORD".to_owned()))?;
                Credentials::User(name.to_owned(), password.to_owned())
            }
            (None, None) => root_of_this_machine(&server),
        };
        // A proxy from the environment is for the world outside, not for one's own mirror.
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT).no_proxy();
        if let Some(file) = &connection.ca {
            let wrong = |error: String| Failure::Usage(format!("--ca {}: {error}", file.display()));
            let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let trust = crate::tls::trust::in_certificates(&pem).map_err(wrong)?;
            builder = builder.tls_backend_preconfigured(trust);
        }
        let http = builder.build();
        let http = http.map_err(|error| Failure::Failed(format!("cannot make requests: {error}")))?;
        Ok(Self { http, server, credentials, output: connection.output })
    }

    /// The password with which it signs in, if it does so with one.
    pub(super) fn password(&self) -> Option<&str> {
        match &self.credentials {
            Credentials::User(_, password) => Some(password),
            Credentials::Token(_) | Credentials::Nobody => None,
        }
    }

    /// GET, and the document.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.fetch(self.request(Method::GET, path).timeout(ANSWER)).await
    }

    /// POST without a body, and the document.
    pub(super) async fn post(&self, path: &str) -> Result<Value, Failure> {
        self.fetch(self.request(Method::POST, path).timeout(ANSWER)).await
    }

    /// The same for what may take minutes on the server.
    pub(super) async fn post_patiently(&self, path: &str) -> Result<Value, Failure> {
        self.fetch(self.request(Method::POST, path).timeout(PATIENT)).await
    }

    /// A document sent, and the document answered.
    pub(super) async fn submit(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        self.fetch(self.request(method, path).timeout(ANSWER).json(body)).await
    }

    /// DELETE.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(self.request(Method::DELETE, path).timeout(ANSWER)).await.map(drop)
    }

    /// Every item of a list, page by page, as one page.
    pub(super) async fn all(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let limit = PAGE.to_string();
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        let mut left = ALL_PAGES;
        loop {
            let request =
                self.request(Method::GET, path).timeout(ANSWER).query(query).query(&[("limit", &limit)]);
            let request = cursor.iter().fold(request, |request, cursor| request.query(&[("cursor", cursor)]));
            let body = read_answer(self.send(request).await?, left).await.map_err(|error| unread(&error))?;
            left -= body.len();
            let mut page: Value = serde_json::from_slice(&body)
                .map_err(AnswerError::Meaning)
                .map_err(|error| unread(&error))?;
            items.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(json!({ "items": items, "next": null })),
            }
        }
    }

    /// A stream that goes on for as long as it likes.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        last: Option<&str>,
    ) -> Result<Response, Failure> {
        let request = self.request(Method::GET, path).query(query);
        self.send(last.into_iter().fold(request, |request, id| request.header("Last-Event-ID", id))).await
    }

    /// A request that is not sent yet. `path` may end in a query.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.server.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&(base + path));
        url.set_query(query);
        let request = self.http.request(method, url);
        match &self.credentials {
            Credentials::Nobody => request,
            Credentials::Token(token) => request.bearer_auth(token),
            Credentials::User(name, password) => request.basic_auth(name, Some(password)),
        }
    }

    /// Sends it, and reads the document that the answer holds.
    pub(super) async fn fetch(&self, request: RequestBuilder) -> Result<Value, Failure> {
        read_document(self.send(request).await?, LONG_ANSWER).await.map_err(|error| unread(&error))
    }

    /// Sends it; an answer that is not good is a failure.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = read_answer(response, SHORT_ANSWER).await.unwrap_or_default();
        Err(Failure::of_answer(status, &String::from_utf8_lossy(&body)))
    }

    /// What a connection that failed means.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = crate::slave::http::cause(error);
        Failure::Unreachable(format!(
            "the server at {} does not answer: {cause}\nIs it running (`heliostat serve`)? Elsewhere: --server URL",
            self.server.as_str().trim_end_matches('/')
        ))
    }
}

/// A part of an address, such as an id that somebody typed.
pub(super) fn segment(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => written.push(char::from(byte)),
            b'.' if !text.trim_matches('.').is_empty() => written.push('.'),
            // `..` and `%2E%2E` would both leave the folder: encoded twice, they name nothing.
            b'.' => written.push_str("%252E"),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

/// Returns the failure that an answer is which cannot be read.
fn unread(error: &AnswerError) -> Failure {
    match error {
        AnswerError::Broken(_) => Failure::Unreachable(error.to_string()),
        AnswerError::TooLong(_) => Failure::Failed(error.to_string()),
        AnswerError::Meaning(_) => {
            Failure::Failed("the server's answer is not JSON: is this the address of a Heliostat?".to_owned())
        }
    }
}

/// Root's password where the server of this machine left it, for whoever may read it.
fn root_of_this_machine(server: &Url) -> Credentials {
    let here = matches!(server.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let password = || {
        let Ok(loaded) = Config::load(None) else {
            eprintln!(
                "note: the configuration here has errors (`heliostat config check`), so root's password is not known"
            );
            return None;
        };
        let data_dir = loaded.config.data_dir;
        let text = std::fs::read_to_string(data_dir.join("root-password")).ok()?;
        Some(Credentials::User("root".to_owned(), text.trim_end().to_owned()))
    };
    here.then(password).flatten().unwrap_or(Credentials::Nobody)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_typed_stays_one_part_of_the_address() {
        assert_eq!(segment("debian-cd.2_x~"), "debian-cd.2_x~");
        assert_eq!(segment("../x?y#z"), "..%2Fx%3Fy%23z");
        assert_eq!(segment(".."), "%252E%252E");
        assert_eq!(segment("ä b"), "%C3%A4%20b");
    }
}
