//! What routes read from a request: addresses, queries and bodies, each with a clear error.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use bytes::Bytes;
use engine::text::{LONGEST_TEXT, check, check_lines, clipped};
use scheduler::project::SettingsVersion;
use scheduler::{Project, ProjectId, RunId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{FieldError, Problem};

/// How many items a page holds unless the client says.
const PAGE: usize = 100;
/// How many items a page holds at most.
const LARGEST_PAGE: usize = 1000;
/// How many wrong texts an answer lists.
const MOST_ERRORS: usize = 100;
/// Longest name of a field, such as that of a label.
const LONGEST_KEY: usize = 200;

/// The query, of which nothing unknown may be part.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let unreadable = |error: QueryRejection| {
            Problem::bad_request(format!("the query cannot be read: {}", error.body_text()))
        };
        let Query(texts) =
            Query::<Vec<(String, String)>>::from_request_parts(parts, state).await.map_err(unreadable)?;
        for (key, text) in texts {
            if let Err(error) = check_lines(&text, LONGEST_TEXT) {
                let key = clipped(&key, LONGEST_KEY);
                return Err(Problem::bad_request(format!("`{key}` in the query {error}")));
            }
        }
        Query::from_request_parts(parts, state).await.map(|Query(query)| Self(query)).map_err(unreadable)
    }
}

/// The project that the address names.
pub(super) struct InPath<T>(pub(super) T);

impl<S: Send + Sync> FromRequestParts<S> for InPath<ProjectId> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        text.parse().map(Self).map_err(|_| no_project(&text))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InPath<RunId> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text(parts, state).await?;
        text.parse().map(Self).map_err(|_| Problem::not_found(format!("there is no run `{text}`")))
    }
}

async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    texts(parts, state).await
}

async fn texts<T, S>(parts: &mut Parts, state: &S) -> Result<T, Problem>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    match Path::<T>::from_request_parts(parts, state).await {
        Ok(Path(texts)) => Ok(texts),
        Err(error) => Err(Problem::bad_request(format!("the address cannot be read: {}", error.body_text()))),
    }
}

/// A text that the address names.
pub(super) struct TextInPath(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for TextInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        text(parts, state).await.map(Self)
    }
}

/// Two texts that the address names, in its order.
pub(super) struct TextsInPath(pub(super) (String, String));

impl<S: Send + Sync> FromRequestParts<S> for TextsInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        texts(parts, state).await.map(Self)
    }
}

/// There is no project of this name.
pub(super) fn no_project(id: &str) -> Problem {
    Problem::not_found(format!("there is no project `{id}`"))
}

/// A body that a person gives, as JSON. Every text in it is checked here, whatever field it is in.
///
/// # Errors
/// When it is not JSON, or a text in it is too long or holds what is not plain; the field is named.
pub(super) fn json(body: &Bytes) -> Result<Value, Problem> {
    let document = document(body)?;
    let mut errors = Vec::new();
    check_texts("", &document, &mut errors);
    if errors.is_empty() { Ok(document) } else { Err(Problem::invalid(errors)) }
}

/// A body that another machine gives, as JSON. What it says is escaped and cut: to refuse it would lose the rest.
///
/// # Errors
/// When it is not JSON.
pub(super) fn json_of_machine(body: &Bytes) -> Result<Value, Problem> {
    let mut document = document(body)?;
    escape_texts(&mut document);
    Ok(document)
}

/// Notes every text of a document that no field takes, with its place. Fields that take less look again.
fn check_texts(place: &str, value: &Value, errors: &mut Vec<FieldError>) {
    // One wrong document is not answered with a larger one.
    if errors.len() == MOST_ERRORS {
        return;
    }
    match value {
        Value::String(text) => {
            if let Err(error) = check_lines(text, LONGEST_TEXT) {
                let place = if place.is_empty() { "body" } else { place };
                errors.push(FieldError::new(place, error.to_string()));
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                check_texts(&format!("{place}[{number}]"), item, errors);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let shown = clipped(key, LONGEST_KEY);
                let place = if place.is_empty() { shown } else { format!("{place}.{shown}") };
                if let Err(error) = check(key, LONGEST_KEY) {
                    errors.push(FieldError::new(&place, format!("is a name that {error}")));
                }
                check_texts(&place, value, errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Makes every text of a document one that can be shown.
fn escape_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = clipped(text, LONGEST_TEXT),
        Value::Array(items) => items.iter_mut().for_each(escape_texts),
        Value::Object(fields) => fields.values_mut().for_each(escape_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn document(body: &Bytes) -> Result<Value, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not JSON: {error} (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// The page's size.
pub(super) fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(PAGE),
        Some(limit) if (1..=LARGEST_PAGE).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::bad_request(format!("`limit` is {limit}: give 1 to {LARGEST_PAGE}"))),
    }
}

/// A cursor of ours.
pub(super) fn cursor<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let parse =
        |text: &str| text.parse().map_err(|_| Problem::bad_request("`cursor` is not a `next` of ours"));
    cursor.map(parse).transpose()
}

/// A project's `ETag`.
pub(super) fn etag(project: &Project) -> String {
    let SettingsVersion { number, life } = project.settings_version();
    format!("\"{number}-{}\"", life.unwrap_or_default())
}

/// The version that `If-Match` asks for; `*` asks for any. A number alone asks for that version of whichever project has the
/// name now.
pub(super) fn if_match(headers: &axum::http::HeaderMap) -> Option<SettingsVersion> {
    let value = headers.get(axum::http::header::IF_MATCH)?;
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return None;
    }
    let tag = text.trim_start_matches("W/").trim_matches('"');
    let (number, life) = match tag.split_once('-') {
        Some((number, life)) => (number.parse().ok(), life.parse().ok().map(Some)),
        None => (tag.parse().ok(), Some(None)),
    };
    // A tag that is not ours matches no version.
    let version = number.zip(life).map(|(number, life)| SettingsVersion { number, life });
    Some(version.unwrap_or(SettingsVersion { number: u64::MAX, life: None }))
}
