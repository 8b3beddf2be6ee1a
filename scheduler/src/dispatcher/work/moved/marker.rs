//! The upstream's marker, asked for within a bound of time.

use std::time::Duration;

use engine::protocol::ProtocolError;
use tokio::time::timeout;

use super::super::{Next, Work};
use crate::freshness::{Marker, Question};

/// The longest that an upstream is asked for its marker.
const LONGEST: Duration = Duration::from_secs(10);

/// What the upstream shows, or why it could not be asked.
pub(super) async fn look(work: &Work<'_>) -> Next<Result<Option<Marker>, String>> {
    let known = work.start.standing.seen.as_ref().and_then(|seen| seen.marker.as_ref());
    let known = known.map(|marker| marker.path.as_str());
    asked(work, where_to(work).marker(&work.start.project.freshness.marker, known)).await
}

/// The answer to a question, or why there is none.
pub(super) async fn asked(
    work: &Work<'_>,
    question: impl Future<Output = Result<Option<Marker>, ProtocolError>>,
) -> Next<Result<Option<Marker>, String>> {
    Ok(match work.unless_cancelled(timeout(LONGEST, question)).await? {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", LONGEST.as_secs())),
    })
}

/// The upstream of this attempt.
pub(super) fn where_to<'a>(work: &'a Work<'_>) -> Question<'a> {
    let attempt = &work.start.attempt;
    Question { source: &attempt.source, password: attempt.password.as_ref() }
}
