//! Reading a request's body, within a bound of size and of time.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::BODY_TIMEOUT;
use crate::problem::Problem;
use crate::strangers::{STRANGER_BODY, StrangerBodyTooLarge};

/// How much more than the bound is read and thrown away, in bytes. A client that still sends when it is answered would
/// see a broken connection and not the answer.
const THROWN_AWAY: usize = 64 << 20;

/// The whole body, of at most `limit` bytes.
///
/// # Errors
/// 413 when it is too large, 408 when it does not come in time, 400 when the connection breaks.
pub async fn body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, collect(body, limit)).await {
        Err(_) => Err(Problem::too_slow()),
        Ok(Ok(Some(collected))) => Ok(collected),
        Ok(Ok(None)) => Err(Problem::too_large(limit)),
        Ok(Err(error)) if is_too_large(&error) => Err(Problem::too_large(STRANGER_BODY)),
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body did not arrive: {error}"))),
    }
}

/// Returns true if a body ended because a stranger sent too much.
fn is_too_large(error: &axum::Error) -> bool {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .any(|error| error.downcast_ref::<StrangerBodyTooLarge>().is_some())
}

/// The body, or nothing when it is larger than `limit`.
async fn collect(mut body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let (mut kept, mut seen) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else if seen > limit.saturating_add(THROWN_AWAY) {
            break;
        }
    }
    Ok((seen <= limit).then(|| kept.freeze()))
}
