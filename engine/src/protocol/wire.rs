//! A connection with a deadline for each step and a bound on each line.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::Timeouts;
use super::error::{ProtocolError, Step};
use super::numbers::{Cursor, Stop};
use crate::source::Source;

/// The longest line that is read: rsync's own bound.
pub(super) const MAX_LINE: usize = 5120;
/// The most addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;
/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// A TCP connection, and what came and was not looked at yet.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the part of `buffer` begins that was not looked at.
    at: usize,
    step: Step,
    limit: Duration,
    until: Instant,
}

impl Wire {
    /// Connects to the first address that takes it.
    pub(super) async fn connect(
        source: &Source,
        timeouts: &Timeouts,
    ) -> Result<(Self, SocketAddr, Duration), ProtocolError> {
        let host = || source.host().to_owned();
        let found = timeout(timeouts.connect, lookup_host((source.host(), source.port()))).await;
        let addresses = match found {
            Err(_) => return Err(ProtocolError::Timeout { step: Step::Resolve, limit: timeouts.connect }),
            Ok(Err(source)) => return Err(ProtocolError::Resolve { host: host(), source }),
            Ok(Ok(addresses)) => addresses,
        };
        let mut failures = Vec::new();
        for address in addresses.take(MAX_ADDRESSES) {
            match Self::connect_to(address, timeouts).await {
                Ok((wire, took)) => return Ok((wire, address, took)),
                Err(error) => failures.push((address, error)),
            }
        }
        Err(ProtocolError::Connect { host: host(), failures })
    }

    /// Connects to this address.
    pub(super) async fn connect_to(address: SocketAddr, timeouts: &Timeouts) -> io::Result<(Self, Duration)> {
        let begin = Instant::now();
        let stream = match timeout(timeouts.connect, TcpStream::connect(address)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
        };
        // Each side waits for the other's short lines, which is slow where they are held back.
        stream.set_nodelay(true)?;
        let wire = Self {
            stream,
            buffer: Vec::new(),
            at: 0,
            step: Step::Greeting,
            limit: Duration::ZERO,
            until: begin,
        };
        Ok((wire, begin.elapsed()))
    }

    /// Everything from here on must come within `limit`.
    pub(super) fn begin(&mut self, step: Step, limit: Duration) {
        self.step = step;
        self.limit = limit;
        self.until = Instant::now() + limit;
    }

    /// Every read of the list must come within `silence`, and none after `end`.
    pub(super) fn begin_read(&mut self, silence: Duration, end: Instant, whole: Duration) {
        let now = Instant::now();
        (self.until, self.limit) = if now + silence < end { (now + silence, silence) } else { (end, whole) };
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, ProtocolError> {
        let mut searched = 0;
        loop {
            let waiting = self.waiting();
            if let Some(length) = memchr(b'\n', &waiting[searched..]).map(|length| length + searched)
                && length <= MAX_LINE
            {
                let line = waiting[..length].strip_suffix(b"\r").unwrap_or(&waiting[..length]).to_vec();
                self.at += length + 1;
                return Ok(line);
            }
            if waiting.len() > MAX_LINE {
                return Err(ProtocolError::TooMuch { what: "bytes in one line", limit: MAX_LINE });
            }
            searched = waiting.len();
            self.fill().await?;
        }
    }

    /// The next bytes.
    pub(super) async fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        loop {
            if let Some(bytes) = self.waiting().first_chunk::<N>().copied() {
                self.at += N;
                return Ok(bytes);
            }
            self.fill().await?;
        }
    }

    /// The next number of one to five bytes.
    pub(super) async fn varint(&mut self) -> Result<i32, ProtocolError> {
        loop {
            let mut cursor = Cursor(self.waiting());
            let number = cursor.varint();
            let left = cursor.0.len();
            match number {
                Ok(number) => {
                    self.at = self.buffer.len() - left;
                    return Ok(number);
                }
                Err(Stop::Malformed(what)) => return Err(ProtocolError::Malformed { step: self.step, what }),
                Err(Stop::Short) => self.fill().await?,
            }
        }
    }

    /// The length of the text that follows: a byte, or two if the first one's highest bit is set.
    pub(super) async fn vstring_length(&mut self) -> Result<usize, ProtocolError> {
        let [first] = self.array().await?;
        if first & 0x80 == 0 {
            return Ok(usize::from(first));
        }
        let [second] = self.array().await?;
        Ok(usize::from(first & 0x7f) << 8 | usize::from(second))
    }

    /// Reads so many bytes and forgets them.
    pub(super) async fn skip(&mut self, length: usize) -> Result<(), ProtocolError> {
        for _ in 0..length {
            self.array::<1>().await?;
        }
        Ok(())
    }

    /// Whatever is there, and at least a byte of it; it counts as looked at.
    pub(super) async fn some(&mut self) -> Result<&[u8], ProtocolError> {
        if self.waiting().is_empty() {
            self.fill().await?;
        }
        let at = std::mem::replace(&mut self.at, self.buffer.len());
        Ok(&self.buffer[at..])
    }

    /// Sends all of it.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        match timeout_at(self.until, self.stream.write_all(bytes)).await {
            Ok(sent) => sent.map_err(|source| self.broke(source)),
            Err(_) => Err(self.late()),
        }
    }

    /// Waits until the daemon has ended. Closing our side before would be an error to it.
    pub(super) async fn part(mut self, most: usize) {
        let mut left = most;
        while let Ok(some) = self.some().await
            && let Some(less) = left.checked_sub(some.len())
        {
            left = less;
        }
    }

    fn waiting(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads something. May be dropped at any time without losing a byte.
    async fn fill(&mut self) -> Result<(), ProtocolError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.reserve(CHUNK);
        // A daemon's system holds each of its short words back until we acknowledge the one before, and ours would take
        // its time for that. It forgets this wish soon, and a wish that it does not grant costs only time.
        let _ = self.stream.set_quickack(true);
        match timeout_at(self.until, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(ProtocolError::Closed { step: self.step }),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(source)) => Err(self.broke(source)),
            Err(_) => Err(self.late()),
        }
    }

    fn broke(&self, source: io::Error) -> ProtocolError {
        match source.kind() {
            // A daemon that ends while something of ours is under way resets the connection.
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                ProtocolError::Closed { step: self.step }
            }
            _ => ProtocolError::Io { step: self.step, source },
        }
    }

    fn late(&self) -> ProtocolError {
        ProtocolError::Timeout { step: self.step, limit: self.limit }
    }
}
