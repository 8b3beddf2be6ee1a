//! The HTTP server: connections, bounds against slow and large clients, and a stop that ends in time.
//!
//! `axum::serve` sets no time-out on a request's head, so this module accepts connections itself. A client has
//! [`HEAD_TIMEOUT`] for each request's head (an idle connection counts as one), [`BODY_TIMEOUT`] for its body, and
//! there are at most as many of them as the configuration says; [`StrangerBudget`] says which of them go for others.
//! What the routes answer is elsewhere.

mod body;
mod origin;
mod patient;

pub use body::body;
pub use origin::RequestOrigin;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer;
use tower_http::normalize_path::NormalizePathLayer;

use crate::config;
use crate::strangers::{Connection, StrangerBudget, StrangerRequest};
use crate::tls::Certificate;
use origin::TrustedProxies;
use patient::PatientStream;

/// How long a client may take for the head of a request, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take for the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client that is not logged in may take to read something of its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a head, which are also read at a time: what comes with the last piece may be as much again.
const MAX_HEAD: usize = 16 << 10;
/// How long requests that are being answered get when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the system gives no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The way that requests take to the routes.
#[derive(Clone)]
pub struct FrontDoor {
    certificate: Option<Arc<Certificate>>,
    proxies: Arc<TrustedProxies>,
    budget: StrangerBudget,
}

impl FrontDoor {
    /// A door for this number of connections. With a certificate it speaks HTTPS.
    #[must_use]
    pub fn new(certificate: Option<Arc<Certificate>>, http: &config::Http, connections: usize) -> Self {
        let networks = http.trusted_proxies.iter().map(|network| network.0).collect();
        let proxies = TrustedProxies::new(networks, certificate.is_some());
        Self { certificate, proxies: Arc::new(proxies), budget: StrangerBudget::new(connections) }
    }

    /// Notes whose request it is, for all that counts, remembers or tells of it.
    fn receive<B>(&self, request: &mut hyper::Request<B>, peer: IpAddr, connection: &Arc<Connection>) {
        let origin = self.proxies.origin(peer, request.uri(), request.headers());
        connection.begin(origin.address);
        let stranger = StrangerRequest { client: origin.address, connection: Arc::clone(connection) };
        request.extensions_mut().insert(stranger);
        request.extensions_mut().insert(origin);
    }
}

/// Answers requests on `listener` until `stop`, then lets the open ones end for a while.
pub async fn serve(listener: TcpListener, router: Router, door: FrontDoor, stop: CancellationToken) {
    // It stands outside the router, so that `/x/` is `/x` before a route is looked for.
    let service = NormalizePathLayer::trim_trailing_slash().layer(router);
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = peer.ip();
        let connection = door.budget.connect(peer);
        let (watcher, acceptor) =
            (graceful.watcher(), door.certificate.as_ref().map(|certificate| certificate.acceptor()));
        let stream = PatientStream::new(quick(stream), Arc::clone(&connection), READ_TIMEOUT);
        let (received, door) = (Arc::clone(&connection), door.clone());
        let service = tower::util::MapRequest::new(service.clone(), move |mut request: hyper::Request<_>| {
            door.receive(&mut request, peer, &received);
            request
        });

        connections.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
            let service = TowerToHyperService::new(service);
            let served = async {
                match acceptor {
                    None => watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await,
                    Some(acceptor) => {
                        match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => {
                                watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await
                            }
                            // Port scanners and clients that distrust us: news to nobody.
                            Ok(Err(_)) | Err(_) => Ok(()),
                        }
                    }
                }
            };
            tokio::select! {
                ended = served => if let Err(error) = ended {
                    tracing::debug!(%peer, "connection ended: {error}");
                },
                () = connection.closed() => tracing::debug!(%peer, "connection closed in favor of others"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("closing connections that did not end by themselves");
    }
}

/// Small answers go out at once.
fn quick(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    stream
}
