//! One budget for everybody who has not proved a login: connections, bytes that come, bytes that go.
//!
//! Each request begins as a stranger's, and is one until its login is proved. Strangers share half of the connections
//! and a fixed number of bytes, each network of them a part of it ([`share`]). A full share costs the network itself;
//! where everything is full, the network with the largest share pays. So a flood takes places from itself, and neither
//! from other strangers nor from who is logged in. [`guard`] stands in front of all routes and asks this budget; what is
//! kept for strangers elsewhere, such as greetings and logins that wait, stands in tables of the same kind.

pub(crate) mod share;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use share::{FairTable, ShareLimits};

/// Part of the strangers' connections that one network has.
const NETWORK_PART: usize = 8;
/// Bytes of a stranger's body. A password in JSON has 6 KiB at most.
pub(crate) const STRANGER_BODY: usize = 16 << 10;
/// Size in bytes from which on an answer counts.
const LARGE_ANSWER: usize = 4 << 10;
/// Bytes of answers that are on their way to the strangers of one network, and to all of them.
const ANSWER_LIMITS: ShareLimits = ShareLimits { per_network: 32 << 20, in_all: 128 << 20 };

/// The budget; clones share it.
#[derive(Debug, Clone)]
pub struct StrangerBudget {
    shared: Arc<SharedBudget>,
}

#[derive(Debug)]
struct SharedBudget {
    connections: Mutex<ConnectionTable>,
    answers: Mutex<AnswerTable>,
}

#[derive(Debug)]
struct ConnectionTable {
    strangers: FairTable<u64, CancellationToken>,
    /// Number of connections whose login is proved, and the most of them.
    proved: usize,
    most_proved: usize,
    next: u64,
}

#[derive(Debug)]
struct AnswerTable {
    /// The connections on which large answers go, by the number of the answer.
    sent: FairTable<u64, CancellationToken>,
    next: u64,
}

impl StrangerBudget {
    /// A budget for this number of connections.
    #[must_use]
    pub fn new(connections: usize) -> Self {
        let in_all = connections.div_ceil(2);
        let limits = ShareLimits { per_network: in_all.div_ceil(NETWORK_PART), in_all };
        let connections = ConnectionTable {
            strangers: FairTable::new(limits),
            proved: 0,
            most_proved: connections - in_all,
            next: 0,
        };
        let answers = AnswerTable { sent: FairTable::new(ANSWER_LIMITS), next: 0 };
        let shared = SharedBudget { connections: Mutex::new(connections), answers: Mutex::new(answers) };
        Self { shared: Arc::new(shared) }
    }

    /// Counts a connection from this address. Others may have to go for it.
    pub(crate) fn connect(&self, peer: IpAddr) -> Arc<Connection> {
        let closed = CancellationToken::new();
        let mut table = self.shared.connections();
        let id = table.next;
        table.next += 1;
        table.admit(peer, id, &closed);
        Arc::new(Connection { budget: self.clone(), id, closed, is_proved: AtomicBool::new(false) })
    }
}

impl SharedBudget {
    fn connections(&self) -> MutexGuard<'_, ConnectionTable> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, AnswerTable> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    fn admit(&mut self, from: IpAddr, id: u64, closed: &CancellationToken) {
        for (_, closed) in self.strangers.insert(from, id, 1, closed.clone()) {
            closed.cancel();
        }
    }
}

/// One connection, and the request that is on it. It leaves the budget when it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    budget: StrangerBudget,
    id: u64,
    closed: CancellationToken,
    is_proved: AtomicBool,
}

impl Connection {
    /// Counts a request from this address, which has proved nothing yet.
    pub(crate) fn begin(&self, client: IpAddr) {
        let mut table = self.budget.shared.connections();
        if self.is_proved.swap(false, Ordering::AcqRel) {
            table.proved -= 1;
        } else if table.strangers.remove(&self.id).is_none() {
            // It had to go for others.
            return;
        }
        table.admit(client, self.id, &self.closed);
    }

    /// Notes that the login of the request is proved: it is no stranger's.
    pub(crate) fn prove(&self) {
        let mut table = self.budget.shared.connections();
        if table.proved < table.most_proved && table.strangers.remove(&self.id).is_some() {
            table.proved += 1;
            self.is_proved.store(true, Ordering::Release);
        }
    }

    /// Returns true if the login of the request is proved.
    pub(crate) fn is_proved(&self) -> bool {
        self.is_proved.load(Ordering::Acquire)
    }

    /// Waits until the connection has to go for others.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Counts the bytes of an answer for as long as they are kept; none: there is no room for them.
    fn hold(&self, client: IpAddr, body: Bytes) -> Option<Bytes> {
        let mut table = self.budget.shared.answers();
        let id = table.next;
        table.next += 1;
        let gone = table.sent.insert(client, id, body.len(), self.closed.clone());
        let has_room = gone.iter().all(|(gone, _)| *gone != id);
        for (_, closed) in gone.into_iter().filter(|(gone, _)| *gone != id) {
            closed.cancel();
        }
        drop(table);
        has_room.then(|| Bytes::from_owner(CountedAnswer { body, id, budget: self.budget.clone() }))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = self.budget.shared.connections();
        table.strangers.remove(&self.id);
        if self.is_proved() {
            table.proved -= 1;
        }
    }
}

/// An answer whose bytes are counted.
struct CountedAnswer {
    body: Bytes,
    id: u64,
    budget: StrangerBudget,
}

impl AsRef<[u8]> for CountedAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for CountedAnswer {
    fn drop(&mut self) {
        self.budget.shared.answers().sent.remove(&self.id);
    }
}

/// A stranger's body is larger than it may be.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than {STRANGER_BODY} bytes, which is the most without a login")]
pub(crate) struct StrangerBodyTooLarge;

/// The address that a request counts for, and its connection.
#[derive(Debug, Clone)]
pub(crate) struct StrangerRequest {
    pub(crate) client: IpAddr,
    pub(crate) connection: Arc<Connection>,
}

/// Keeps what comes from a stranger and what goes to one within the budget, whatever the route.
pub(crate) async fn guard(mut request: Request, next: Next) -> Response {
    let Some(stranger) = request.extensions().get::<StrangerRequest>().cloned() else {
        return next.run(request).await;
    };
    if !request.body().is_end_stream() {
        let connection = Arc::clone(&stranger.connection);
        request = request.map(|body| bounded(body, connection));
    }
    let response = next.run(request).await;
    match response.body().size_hint().exact() {
        Some(size) if size >= LARGE_ANSWER as u64 && !stranger.connection.is_proved() => {
            counted(response, &stranger).await
        }
        _ => response,
    }
}

/// The same body, which ends with an error where a stranger sends too much.
fn bounded(body: Body, connection: Arc<Connection>) -> Body {
    let mut seen = 0;
    Body::from_stream(body.into_data_stream().map(move |piece| -> Result<Bytes, axum::BoxError> {
        let piece = piece?;
        seen += piece.len();
        if seen > STRANGER_BODY && !connection.is_proved() {
            return Err(StrangerBodyTooLarge.into());
        }
        Ok(piece)
    }))
}

/// The same answer, whose bytes count until they are sent.
async fn counted(response: Response, stranger: &StrangerRequest) -> Response {
    let (head, body) = response.into_parts();
    // It is in memory already: its size is known.
    let Ok(body) = body.collect().await else { return Problem::internal(&"an answer broke").into_response() };
    match stranger.connection.hold(stranger.client, body.to_bytes()) {
        Some(body) => Response::from_parts(head, Body::from(body)),
        None => Problem::busy().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn open(connections: &[Arc<Connection>]) -> usize {
        connections.iter().filter(|connection| !connection.closed.is_cancelled()).count()
    }

    #[test]
    fn a_network_that_takes_its_share_loses_its_oldest_connections_only() {
        let budget = StrangerBudget::new(64);
        let other = budget.connect(address(2));
        let flood: Vec<_> = (0..10).map(|_| budget.connect(address(1))).collect();
        assert_eq!((open(&flood), open(&[other])), (4, 1));
        assert!(flood[0].closed.is_cancelled() && !flood[9].closed.is_cancelled());
    }

    #[test]
    fn a_flood_from_everywhere_leaves_those_who_are_logged_in_and_room_for_more_of_them() {
        let budget = StrangerBudget::new(64);
        let slave = budget.connect(address(1));
        slave.begin(address(1));
        slave.prove();
        let flood: Vec<_> = (0..200).map(|last| budget.connect(address(last))).collect();
        assert_eq!((open(&flood), open(&[Arc::clone(&slave)])), (32, 1));

        let login = budget.connect(address(201));
        login.begin(address(201));
        login.prove();
        let more: Vec<_> = (0..200).map(|last| budget.connect(address(last))).collect();
        assert!(login.is_proved() && open(&[login, slave]) == 2 && open(&more) == 32);
    }

    #[test]
    fn a_request_is_a_strangers_until_its_own_login_is_proved_and_all_is_given_back() {
        let budget = StrangerBudget::new(8);
        let connection = budget.connect(address(1));
        connection.begin(address(7));
        connection.prove();
        connection.begin(address(8));
        assert!(!connection.is_proved(), "another client's request, behind a proxy");
        connection.prove();
        let strangers: Vec<_> = (0..4).map(|last| budget.connect(address(last))).collect();
        for stranger in &strangers {
            stranger.prove();
        }
        assert_eq!(strangers.iter().filter(|one| one.is_proved()).count(), 3, "half of all");
        drop((connection, strangers));
        let table = budget.shared.connections();
        assert_eq!((table.proved, table.strangers.len()), (0, 0));
    }

    #[test]
    fn answers_on_their_way_are_bounded_and_given_back_when_they_are_sent() {
        let budget = StrangerBudget::new(64);
        let (honest, flood) = (budget.connect(address(1)), budget.connect(address(2)));
        let large = Bytes::from(vec![0; 20 << 20]);
        let kept = honest.hold(address(1), large.clone()).unwrap();
        let first = flood.hold(address(2), large.clone()).unwrap();
        assert_eq!(open(&[Arc::clone(&flood)]), 1);
        let second = flood.hold(address(2), large.clone()).unwrap();
        assert_eq!(open(&[flood, honest]), 1, "the share of one network is 32 MiB");

        drop((kept, first, second));
        assert_eq!(budget.shared.answers().sent.len(), 0);
        let late = budget.connect(address(3));
        assert!(late.hold(address(3), Bytes::from(vec![0; 129 << 20])).is_none());
        assert_eq!(open(&[late]), 1);
    }
}
