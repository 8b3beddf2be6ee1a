//! What old payloads hold: texts that may come as numbers, and options in which a port may stand.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use engine::text::check;
use scheduler::ProjectId;
use serde_json::{Map, Value};

use crate::app::App;
use crate::http::body;
use crate::problem::Problem;
use crate::routes::input::{Asked, json, no_project};

/// The longest text.
const LONGEST: usize = 4096;

/// A payload.
pub(super) type Given = Map<String, Value>;

/// The body, which must be an object.
pub(super) async fn given(app: &App, input: Body) -> Result<Given, Problem> {
    match json(&body(input, app.max_body).await?)? {
        Value::Object(given) => Ok(given),
        _ => Err(Problem::bad_request("the body must be a JSON object")),
    }
}

/// A text, or a number in its place. Null and an empty text are nothing, as in 2014.
pub(super) fn text(given: &Given, key: &str) -> Result<Option<String>, Problem> {
    let text = match given.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(Problem::bad_request(format!("{key}: must be a text or a number"))),
    };
    if text.is_empty() {
        return Ok(None);
    }
    match check(&text, LONGEST) {
        Ok(()) => Ok(Some(text)),
        Err(error) => Err(Problem::bad_request(format!("{key}: {error}"))),
    }
}

/// A text that must be there.
pub(super) fn required(given: &Given, key: &str) -> Result<String, Problem> {
    text(given, key)?.ok_or_else(|| Problem::bad_request(format!("{key}: is missing")))
}

/// The project that a text names by its id.
pub(super) fn id(text: &str) -> Result<ProjectId, Problem> {
    text.parse().map_err(|_| no_project(text))
}

/// The query. What is unknown in it is passed over, as in 2014.
pub(super) struct Queried(pub(super) BTreeMap<String, String>);

impl Queried {
    /// A value that is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Queried {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Asked(query) = Asked::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare `v6`.
pub(super) fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match text.rsplit_once(':') {
        Some((host, digits)) if text.parse::<Ipv6Addr>().is_err() && !digits.contains(']') => {
            Ok((bare(host), Some(port(digits)?)))
        }
        _ => Ok((bare(text), None)),
    }
}

/// Takes `--port=N`, or `--port` and `N`, out of a list of options.
pub(super) fn take_port(options: &mut Vec<String>) -> Result<Option<u16>, String> {
    let mut found = None;
    let mut kept = Vec::with_capacity(options.len());
    let mut rest = options.drain(..);
    while let Some(option) = rest.next() {
        let digits = match option.strip_prefix("--port") {
            Some("") => rest.next().unwrap_or_default(),
            Some(value) if value.starts_with('=') => value.trim_start_matches('=').to_owned(),
            _ => {
                kept.push(option);
                continue;
            }
        };
        found = Some(port(&digits)?);
    }
    drop(rest);
    *options = kept;
    Ok(found)
}

fn port(digits: &str) -> Result<u16, String> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| plain && *port > 0);
    port.ok_or_else(|| format!("{digits:?} is not a port: give 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_carry_a_port() {
        let read = |text: &str| host_and_port(text);
        assert_eq!(read("h"), Ok(("h".to_owned(), None)));
        assert_eq!(read("h:8873"), Ok(("h".to_owned(), Some(8873))));
        assert_eq!(read("::1"), Ok(("::1".to_owned(), None)));
        assert_eq!(read("[::1]"), Ok(("::1".to_owned(), None)));
        assert_eq!(read("[::1]:8873"), Ok(("::1".to_owned(), Some(8873))));
        for wrong in ["h:", "h:x", "h:0", "h:65536", "h:+1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_among_the_options_is_taken_out() {
        let taken = |options: &[&str]| {
            let mut options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
            (take_port(&mut options), options)
        };
        assert_eq!(taken(&["-z", "--port=8873"]), (Ok(Some(8873)), vec!["-z".to_owned()]));
        assert_eq!(taken(&["--port", "8873", "-z"]), (Ok(Some(8873)), vec!["-z".to_owned()]));
        assert_eq!(taken(&["--portable"]), (Ok(None), vec!["--portable".to_owned()]));
        assert!(taken(&["--port"]).0.is_err() && taken(&["--port=x"]).0.is_err());
    }
}
