//! Servers that are no rsync daemon: some send what they are told, one stands between a client and a daemon.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A server that lives as long as this.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves every connection, one after the other.
pub(crate) async fn serve<F, Served>(each: F) -> Server
where
    F: Fn(TcpStream) -> Served + Send + 'static,
    Served: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = TaskTracker::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            each(stream).await;
        }
    });
    Server { address, task }
}

/// Sends these bytes whatever the client says, then nothing more until the client goes.
pub(crate) async fn saying(bytes: Vec<u8>) -> Server {
    serve(move |stream| say(stream, bytes.clone())).await
}

async fn say(stream: TcpStream, bytes: Vec<u8>) {
    let (mut read, mut write) = stream.into_split();
    let _ = write.write_all(&bytes).await;
    let mut heard = [0; 4096];
    while matches!(read.read(&mut heard).await, Ok(1..)) {}
}

/// Sends `first`, and then `again` for as long as the client takes it.
pub(crate) async fn endless(first: Vec<u8>, again: Vec<u8>) -> Server {
    serve(move |mut stream| {
        let (first, again) = (first.clone(), again.clone());
        async move {
            let mut sent = stream.write_all(&first).await;
            while sent.is_ok() {
                sent = stream.write_all(&again).await;
            }
        }
    })
    .await
}

/// What becomes of a greeting.
pub(crate) type Rewrite = fn(&str) -> String;

/// Stands before a daemon. Greetings of both sides pass through `greeting`; what the daemon sends is recorded.
pub(crate) async fn between(daemon: SocketAddr, greeting: Rewrite) -> (Server, Recording) {
    let recording = Recording::default();
    let kept = recording.clone();
    let server = serve(move |client| pass(client, daemon, greeting, kept.clone())).await;
    (server, recording)
}

/// What daemons sent.
#[derive(Clone, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<u8>>>);

impl Recording {
    /// What was sent up to now; the recording begins anew.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

async fn pass(client: TcpStream, daemon: SocketAddr, greeting: Rewrite, recording: Recording) {
    let daemon = TcpStream::connect(daemon).await.unwrap();
    let (client_read, mut client_write) = client.into_split();
    let (daemon_read, mut daemon_write) = daemon.into_split();
    let (mut client_read, mut daemon_read) = (BufReader::new(client_read), BufReader::new(daemon_read));
    let up = async {
        let mut line = String::new();
        let _ = client_read.read_line(&mut line).await;
        let _ = daemon_write.write_all(greeting(&line).as_bytes()).await;
        let _ = copy(&mut client_read, &mut daemon_write).await;
        let _ = daemon_write.shutdown().await;
    };
    let down = async {
        let mut line = String::new();
        let _ = daemon_read.read_line(&mut line).await;
        let mut piece = greeting(&line).into_bytes();
        while !piece.is_empty() {
            recording.add(&piece);
            if client_write.write_all(&piece).await.is_err() {
                break;
            }
            piece = daemon_read.fill_buf().await.unwrap_or_default().to_vec();
            daemon_read.consume(piece.len());
        }
        let _ = client_write.shutdown().await;
    };
    tokio::join!(up, down);
}
