//! Requests to addresses that were granted.
//!
//! An address counts as it is read by the library that sends the request, so that both mean the same place. The name
//! is resolved once, what it resolves to is judged, and just that is connected to. Redirects are answers like any other.

mod address;
mod echo;
mod resolver;

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::Secret;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};

use crate::settings::Grants;
use resolver::{PrivateAddress, Resolver};

/// The largest body, of a request and of a response.
const BODY: usize = 1024 * 1024;
/// The most headers, of a request and of a response.
const HEADERS: usize = 64;
/// The longest header value of a response.
const VALUE: usize = 8 * 1024;
/// How long a request may take when the guest does not say, and at most.
const USUAL: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(1);
/// Headers that say where a request goes or where it ends: they are the host's alone.
const OURS: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends the requests of all plugins. Connections are not kept: each request is judged by where it goes.
#[derive(Debug, Default)]
pub(crate) struct Client {
    public: OnceLock<Result<reqwest::Client, String>>,
    private: OnceLock<Result<reqwest::Client, String>>,
}

/// What a guest wants to send.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Value)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
}

/// A header's value.
#[derive(Debug)]
pub(crate) enum Value {
    Literal(String),
    /// The name of a secret.
    Secret(String),
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Denied(String),
    Timeout,
    TooLarge,
    Transport(String),
}

impl Client {
    /// Sends a request, if these grants cover it.
    pub(crate) async fn send(&self, grants: &Grants, request: Request) -> Result<Response, Failure> {
        let url = allowed(grants, &request.url)?;
        let method = method(&request.method)?;
        let (headers, used) = headers(grants, request.headers)?;
        if request.body.as_ref().is_some_and(|body| body.len() > BODY) {
            return Err(Failure::TooLarge);
        }
        let timeout = if request.timeout.is_zero() { USUAL } else { request.timeout.min(LONGEST) };
        let client = self.client(grants.private_addresses)?;
        let builder = client.request(method, url).headers(headers).timeout(timeout);
        let builder = request.body.into_iter().fold(builder, reqwest::RequestBuilder::body);
        receive(builder.send().await.map_err(failure)?, &used).await
    }

    fn client(&self, private: bool) -> Result<&reqwest::Client, Failure> {
        let cell = if private { &self.private } else { &self.public };
        let made = cell.get_or_init(|| build(private).map_err(|error| error.without_url().to_string()));
        made.as_ref().map_err(|why| Failure::Transport(format!("requests cannot be made: {why}")))
    }
}

fn build(private: bool) -> reqwest::Result<reqwest::Client> {
    // A second call finds it installed, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("heliostat/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(Resolver { private }))
        .build()
}

/// The address, if it is granted.
fn allowed(grants: &Grants, text: &str) -> Result<Url, Failure> {
    let denied = |why: String| Failure::Denied(why);
    let url = Url::parse(text).map_err(|error| denied(format!("the url is no absolute address: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(denied("the url has user information: send a header with a granted secret".to_owned()));
    }
    // Some servers decode these before they look for the path, and then see another one than the grant did.
    let path = url.path().to_ascii_lowercase();
    if ["%2f", "%5c", "%00"].iter().any(|hidden| path.contains(hidden)) {
        return Err(denied("the url's path has an encoded slash, backslash or NUL".to_owned()));
    }
    if !grants.http.iter().any(|grant| grant.covers(&url)) {
        let origin = url.origin().ascii_serialization();
        return Err(denied(format!("{origin}{} is not granted", url.path())));
    }
    let literal = url.host_str().and_then(address::literal);
    if !grants.private_addresses && literal.is_some_and(address::is_private) {
        return Err(denied(PrivateAddress.to_string()));
    }
    Ok(url)
}

fn method(text: &str) -> Result<Method, Failure> {
    match text {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" => {
            Method::from_bytes(text.as_bytes()).map_err(|error| Failure::Denied(error.to_string()))
        }
        _ => Err(Failure::Denied("the method is none of GET, HEAD, POST, PUT, PATCH, DELETE".to_owned())),
    }
}

/// The headers with their secrets, and the secrets that were used.
fn headers(grants: &Grants, wanted: Vec<(String, Value)>) -> Result<(HeaderMap, Vec<Secret>), Failure> {
    let denied = |name: &str, why: &str| {
        Failure::Denied(format!("header `{}` {why}", engine::text::clipped(name, 64)))
    };
    if wanted.len() > HEADERS {
        return Err(Failure::Denied(format!("more than {HEADERS} headers")));
    }
    let (mut headers, mut used) = (HeaderMap::new(), Vec::new());
    for (name, value) in wanted {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| denied(&name, "has no header's name"))?;
        if OURS.contains(&header.as_str()) {
            return Err(denied(&name, "is set by the host"));
        }
        let value = match value {
            Value::Literal(text) => HeaderValue::from_str(&text),
            Value::Secret(secret) => {
                let Some(secret) = grants.secrets.get(&secret) else {
                    return Err(denied(&name, "asks for a secret that is not granted"));
                };
                used.push(secret.clone());
                HeaderValue::from_str(secret.expose()).map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
            }
        };
        headers.append(header, value.map_err(|_| denied(&name, "has a value that no header can have"))?);
    }
    Ok((headers, used))
}

async fn receive(mut response: reqwest::Response, secrets: &[Secret]) -> Result<Response, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > BODY {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let text = |value: &HeaderValue| {
        let value = echo::without(value.as_bytes(), secrets);
        String::from_utf8_lossy(&value[..value.len().min(VALUE)]).into_owned()
    };
    let headers = response.headers().iter().take(HEADERS);
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(Response { status: response.status().as_u16(), headers, body: echo::without(&body, secrets) })
}

fn failure(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    let error = error.without_url();
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<PrivateAddress>() {
            return Failure::Denied(PrivateAddress.to_string());
        }
        why = format!("{why}: {inner}");
        cause = inner.source();
    }
    Failure::Transport(why)
}

#[cfg(test)]
mod tests;
