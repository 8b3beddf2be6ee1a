//! Answers of other machines, read in pieces and never beyond a bound, whatever they say of their own length.
//!
//! Every client of this program reads through here: clippy.toml forbids the ways of reqwest that read all there is.

use reqwest::Response;
use serde::de::DeserializeOwned;

/// Bound of an answer that is a sentence or a few fields, in bytes.
pub(crate) const SHORT_ANSWER: usize = 64 << 10;
/// Bound of an answer that lists what a whole site has, in bytes.
pub(crate) const LONG_ANSWER: usize = 64 << 20;

/// Reason why an answer was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The answer has more bytes than its bound.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The connection broke, or the time ran out.
    #[error("the answer broke off: {0}")]
    Broken(reqwest::Error),
    /// The answer is another document than the one that was asked for.
    #[error("the answer cannot be understood: {0}")]
    Meaning(serde_json::Error),
}

/// Reads the body of an answer that has at most `limit` bytes.
pub(crate) async fn read_answer(mut response: Response, limit: usize) -> Result<Vec<u8>, AnswerError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(AnswerError::Broken)? {
        if piece.len() > limit - body.len() {
            return Err(AnswerError::TooLong(limit));
        }
        body.extend_from_slice(&piece);
    }

    Ok(body)
}

/// Reads an answer of at most `limit` bytes as a JSON document.
pub(crate) async fn read_document<T: DeserializeOwned>(
    response: Response,
    limit: usize,
) -> Result<T, AnswerError> {
    let body = read_answer(response, limit).await?;
    serde_json::from_slice(&body).map_err(AnswerError::Meaning)
}
