//! A connection on which a stranger has to read its answer: one that does not, for too long, ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::strangers::Connection;

/// The connection.
pub(super) struct PatientStream {
    inner: TcpStream,
    connection: Arc<Connection>,
    /// Time that a stranger has to read something of its answer.
    patience: Duration,
    /// Runs while the client does not read.
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl PatientStream {
    pub(super) fn new(inner: TcpStream, connection: Arc<Connection>, patience: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(patience));
        Self { inner, connection, patience, timer, is_waiting: false }
    }

    /// Gives the result of a write, or the end of the patience with a client that lets it wait.
    fn timed<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.is_waiting = false;
            return result;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.start_timer();
        }

        while self.timer.as_mut().poll(cx).is_ready() {
            // Somebody who is logged in may stop a stream on their terminal.
            if !self.connection.is_proved() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.start_timer();
        }
        Poll::Pending
    }

    fn start_timer(&mut self) {
        let end = Instant::now() + self.patience;
        self.timer.as_mut().reset(end);
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.timed(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.timed(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::strangers::StrangerBudget;

    /// Writes to a client that reads nothing, until that fails.
    async fn write_on(listener: &TcpListener, budget: &StrangerBudget, is_proved: bool) -> io::Error {
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let connection = budget.connect(peer.ip());
        if is_proved {
            connection.prove();
        }
        let mut stream = PatientStream::new(stream, connection, Duration::from_millis(50));
        let piece = vec![0; 1 << 16];
        loop {
            if let Err(error) = stream.write_all(&piece).await {
                return error;
            }
        }
    }

    #[tokio::test]
    async fn a_stranger_that_does_not_read_is_cut_off_and_somebody_logged_in_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let budget = StrangerBudget::new(8);
        let mut proved = Box::pin(write_on(&listener, &budget, true));
        tokio::select! {
            biased;
            _ = &mut proved => panic!("somebody who is logged in was cut off"),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }

        let stranger = tokio::select! {
            biased;
            _ = &mut proved => panic!("somebody who is logged in was cut off"),
            error = write_on(&listener, &budget, false) => error,
        };
        assert_eq!(stranger.kind(), io::ErrorKind::TimedOut);
    }
}
