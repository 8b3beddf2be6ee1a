//! Requests to the addresses that were granted with `http`.
//!
//! The host refuses every other address, follows no redirect, and puts secrets in itself: a plugin knows their names,
//! never their values.

use std::time::Duration;

use crate::bindings::imports::heliostat::plugin::http::{self as wire, HeaderValue};
use crate::host::http;

#[doc(inline)]
pub use wire::{Error, Response};

/// How long a request may take unless it says otherwise. The plugin's own limit holds as well.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request on its way.
///
/// ```no_run
/// use heliostat_plugin::http::Request;
///
/// let response = Request::post("https://hooks.example.org/mirror")
///     .secret_header("Authorization", "webhook")
///     .json(r#"{"text": "debian failed"}"#)
///     .send()?;
/// assert!(response.is_success());
/// # Ok::<(), heliostat_plugin::http::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request(wire::Request);

impl Request {
    /// A request with any method to an absolute address without user information.
    pub fn new(method: &str, url: &str) -> Self {
        Self(wire::Request {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_ms: milliseconds(TIMEOUT),
        })
    }

    /// Asks for a document.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// Sends a document.
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push((name.to_owned(), HeaderValue::Literal(value.to_owned())));
        self
    }

    /// Adds a header whose value is the secret that was granted as `secret`.
    pub fn secret_header(mut self, name: &str, secret: &str) -> Self {
        self.0.headers.push((name.to_owned(), HeaderValue::Secret(secret.to_owned())));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Sets the body, and says that it is JSON.
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// Sets how long it may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout_ms = milliseconds(timeout);
        self
    }

    /// Sends it, and waits for the answer. An answer with a status such as 404 or 500 is an answer, not an error.
    pub fn send(self) -> Result<Response, Error> {
        http::send(&self.0)
    }
}

impl Response {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text; what is not UTF-8 in it is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
