//! What routes read from a request: addresses, queries and bodies, each with a clear error.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use bytes::Bytes;
use scheduler::{Project, ProjectId, RunId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::Problem;

/// How many items a page holds unless the client says.
const PAGE: usize = 100;
/// How many items a page holds at most.
const LARGEST_PAGE: usize = 1000;

/// The query, of which nothing unknown may be part.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => {
                Err(Problem::bad_request(format!("the query cannot be read: {}", error.body_text())))
            }
        }
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

/// The body as JSON. No body is an empty object where that is enough.
pub(super) fn json(body: &Bytes) -> Result<Value, Problem> {
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
    format!("\"{}\"", project.version)
}

/// The version that `If-Match` asks for; `*` asks for any.
pub(super) fn if_match(headers: &axum::http::HeaderMap) -> Option<u64> {
    let value = headers.get(axum::http::header::IF_MATCH)?;
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return None;
    }
    let version = text.trim_start_matches("W/").trim_matches('"').parse();
    // A tag that is not ours matches no version.
    Some(version.unwrap_or(u64::MAX))
}
