//! Whether an upstream that had failed is back, asked without an rsync.

use std::time::Duration;

use engine::protocol::{Connection, ProtocolError, Timeouts};
use tokio::time::timeout;

use super::{Next, Work};
use crate::project::Upstream;
use crate::run::Ending;

/// The longest that one upstream is asked.
const LONGEST: Duration = Duration::from_secs(10);

/// Ends the attempt when an upstream that comes before its own is there again, and takes the login: that one is to be
/// used, and to be counted.
pub(super) async fn first_that_is_back(work: &Work<'_>) -> Next<()> {
    for upstream in &work.start.ask_again {
        let address = upstream.source.to_string();
        match work.unless_cancelled(knock(upstream)).await? {
            Ok(()) => {
                work.journal.say(&format!("{address} answers again, and is used"));
                return Err(Ending::Returns { upstream: address });
            }
            Err(why) => work.journal.say(&format!("{address} is still not used: {why}")),
        }
    }
    Ok(())
}

async fn knock(upstream: &Upstream) -> Result<(), String> {
    let timeouts = Timeouts { connect: LONGEST / 2, handshake: LONGEST / 2, ..Timeouts::default() };
    let asked = async {
        let connection = Connection::open(&upstream.source, &timeouts).await?;
        connection.enter(&upstream.source, upstream.password.as_ref()).await.map(drop)
    };
    match timeout(LONGEST, asked).await {
        Ok(answer) => answer.map_err(|error: ProtocolError| error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", LONGEST.as_secs())),
    }
}
