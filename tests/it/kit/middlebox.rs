//! A TCP proxy before an rsync daemon, which drops the line when a client asks for a rehearsal.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A proxy that lives as long as the test.
pub(crate) struct Middlebox {
    port: u16,
    dropped: Arc<AtomicUsize>,
}

impl Middlebox {
    /// Stands before the daemon on this port.
    pub(crate) fn before(daemon: u16) -> Self {
        let port = super::free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dropped);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", daemon)) else { continue };
                let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let count = Arc::clone(&count);
                std::thread::spawn(move || pass(server, back, |_| false));
                std::thread::spawn(move || {
                    pass(client, forth, |piece| {
                        let drops = asks_for_rehearsal(piece);
                        count.fetch_add(usize::from(drops), Ordering::SeqCst);
                        drops
                    });
                });
            }
        });
        Self { port, dropped }
    }

    /// Address of a module behind it.
    pub(crate) fn url(&self, module: &str) -> String {
        format!("rsync://127.0.0.1:{}/{module}", self.port)
    }

    /// Number of connections that it dropped.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// Passes on what comes until one side ends, or a piece is to end both.
fn pass(mut from: TcpStream, mut to: TcpStream, ends: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if ends(&buffer[..length]) {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Returns true if a piece holds the letters of an rsync server with `n` among them, as in
/// `-vnlHogDtpre.iLsfxCIvu`.
fn asks_for_rehearsal(piece: &[u8]) -> bool {
    piece.split(|byte| matches!(byte, 0 | b'\n')).any(|word| {
        let end = word.windows(2).position(|pair| pair == b"e.");
        let letters = end.and_then(|end| word.get(..end)).unwrap_or_default();
        letters.starts_with(b"-") && !letters.starts_with(b"--") && letters.contains(&b'n')
    })
}
