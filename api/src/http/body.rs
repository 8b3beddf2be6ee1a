//! Reading a request's body, within a bound of size and of time.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::BODY_TIMEOUT;
use crate::problem::Problem;

/// The whole body, of at most `limit` bytes.
///
/// # Errors
/// 413 when it is too large, 408 when it does not come in time, 400 when the connection breaks.
pub async fn body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let limited = Limited::new(body, limit).collect();
    match tokio::time::timeout(BODY_TIMEOUT, limited).await {
        Err(_) => Err(Problem::too_slow()),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(limit)),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body did not arrive: {error}"))),
    }
}
