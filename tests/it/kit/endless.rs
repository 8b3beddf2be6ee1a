//! A server whose answers have no end, for clients that must not read them to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One piece of an answer.
const PIECE: usize = 64 << 10;
/// Bytes after which a client counts as one that reads on for ever.
const PATIENT: usize = 512 << 20;

/// A server on a port of its own.
pub(crate) struct Endless {
    port: u16,
    most: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Endless {
    /// Answers every request with this status, and a body in pieces without end.
    pub(crate) fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (most, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (largest, count) = (Arc::clone(&most), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (largest, count) = (Arc::clone(&largest), Arc::clone(&count));
                std::thread::spawn(move || {
                    let Some(sent) = answer(stream, status) else { return };
                    largest.fetch_max(sent, Ordering::SeqCst);
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, most, ended }
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until so many answers were given up, and gives the bytes of the longest one.
    pub(crate) fn given_up(&self, answers: usize) -> usize {
        super::wait_for("answers to be given up", || {
            (self.ended.load(Ordering::SeqCst) >= answers).then(|| self.most.load(Ordering::SeqCst))
        })
    }
}

/// Reads a request, and answers until the client has enough; gives the bytes that it took.
fn answer(stream: TcpStream, status: u16) -> Option<usize> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;

    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes()).ok()?;
    let piece = [format!("{PIECE:x}\r\n").as_bytes(), &vec![b' '; PIECE], b"\r\n"].concat();
    let mut sent = 0;
    while sent < PATIENT && stream.write_all(&piece).is_ok() {
        sent += PIECE;
    }
    Some(sent)
}
