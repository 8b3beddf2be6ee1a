//! The HTTP server: connections, bounds against slow and large clients, and a stop that ends in time.
//!
//! `axum::serve` sets no time-out on a request's head, so this module accepts connections itself. A client has
//! [`HEAD_TIMEOUT`] for each request's head (an idle connection counts as one), [`BODY_TIMEOUT`] for its body, and
//! there are at most as many of them as the configuration says. What the routes answer is elsewhere.

mod body;

pub use body::body;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer;
use tower_http::normalize_path::NormalizePathLayer;

use crate::tls::Certificate;

/// How long a client may take for the head of a request, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take for the body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests that are being answered get when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the system gives no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on `listener` until `stop`, then lets the open ones end for a while. With a certificate it speaks
/// HTTPS. There are at most `most` connections at once; more are closed at once.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    router: Router,
    most: usize,
    stop: CancellationToken,
) {
    // It stands outside the router, so that `/x/` is `/x` before a route is looked for.
    let service = NormalizePathLayer::trim_trailing_slash().layer(router);
    let slots = Arc::new(Semaphore::new(most));
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
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let service = tower::util::MapRequest::new(service.clone(), move |mut request: hyper::Request<_>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            request
        });
        let (watcher, acceptor) =
            (graceful.watcher(), certificate.as_ref().map(|certificate| certificate.acceptor()));
        connections.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            let service = TowerToHyperService::new(service);
            let stream = quick(stream);
            let ended = match acceptor {
                None => watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await,
                Some(acceptor) => match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await
                    }
                    // Port scanners and clients that distrust us: news to nobody.
                    Ok(Err(_)) | Err(_) => Ok(()),
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, "connection ended: {error}");
            }
            drop(slot);
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
