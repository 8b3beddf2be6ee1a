//! An SMTP server that keeps every mail, in the clear or by STARTTLS (RFC 5321 and RFC 3207, as far as a client of one mail
//! needs them).

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use api::tls::Certificate;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::wait_for;

/// A server that ends with the process.
pub(crate) struct Smtp {
    port: u16,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    mails: Mutex<Vec<String>>,
    in_the_clear: Mutex<String>,
}

impl Smtp {
    /// One that knows no TLS.
    pub(crate) fn start() -> Self {
        Self::serve(None)
    }

    /// One that offers STARTTLS with this certificate. It would take a login in the clear, too.
    pub(crate) fn with_tls(cert: &Path, key: &Path) -> Self {
        api::tls::install();
        let files = api::config::Tls { cert: cert.to_owned(), key: key.to_owned() };
        Self::serve(Some(Certificate::load(&files).unwrap()))
    }

    #[expect(clippy::disallowed_methods, reason = "nothing waits for it: it ends with the test's process")]
    fn serve(certificate: Option<Certificate>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let (certificate, heard) = (certificate.map(Arc::new), Arc::clone(&server.heard));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let (certificate, heard) = (certificate.clone(), Arc::clone(&heard));
                    tokio::spawn(async move {
                        // A client that goes away in the middle is none of ours.
                        let _ = session(stream, certificate.as_deref(), &heard).await;
                    });
                }
            });
        });
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Each mail: the envelope's commands, an empty line, and what was sent as data.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.heard.mails.lock().unwrap().clone()
    }

    /// Every line that came before or without TLS.
    pub(crate) fn in_the_clear(&self) -> String {
        self.heard.in_the_clear.lock().unwrap().clone()
    }

    /// Waits until it has so many.
    pub(crate) fn wait(&self, number: usize) -> Vec<String> {
        wait_for(&format!("{number} mails to arrive"), || {
            Some(self.mails()).filter(|mails| mails.len() >= number)
        })
    }
}

async fn session(stream: TcpStream, certificate: Option<&Certificate>, heard: &Heard) -> io::Result<()> {
    let mut clear = BufReader::new(stream);
    clear.write_all(b"220 test ESMTP\r\n").await?;
    let offers = if certificate.is_some() { "250-STARTTLS\r\n" } else { "" };
    let goes_on = talk(&mut clear, offers, heard, Some(&heard.in_the_clear)).await?;
    if let Some(certificate) = certificate.filter(|_| goes_on) {
        let sealed = certificate.acceptor().accept(clear.into_inner()).await?;
        talk(&mut BufReader::new(sealed), "", heard, None).await?;
    }
    Ok(())
}

/// Answers until the client has gone, or wants to go on by TLS: gives whether it does.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut BufReader<S>,
    offers: &str,
    heard: &Heard,
    overheard: Option<&Mutex<String>>,
) -> io::Result<bool> {
    let mut envelope = String::new();
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        if let Some(overheard) = overheard {
            overheard.lock().unwrap().push_str(&line);
        }
        let answer = match line.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => format!("250-test\r\n{offers}250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"),
            "STARTTLS" => {
                wire.write_all(b"220 go on\r\n").await?;
                return Ok(true);
            }
            "DATA" => {
                wire.write_all(b"354 go on\r\n").await?;
                let mail = format!("{envelope}\n{}", data(wire).await?);
                heard.mails.lock().unwrap().push(mail);
                envelope.clear();
                "250 kept\r\n".to_owned()
            }
            "QUIT" => {
                wire.write_all(b"221 bye\r\n").await?;
                return Ok(false);
            }
            "AUTH" => {
                envelope += &line;
                "235 welcome\r\n".to_owned()
            }
            "MAIL" | "RCPT" => {
                envelope += &line;
                "250 ok\r\n".to_owned()
            }
            _ => "250 ok\r\n".to_owned(),
        };
        wire.write_all(answer.as_bytes()).await?;
        wire.flush().await?;
    }
}

async fn data<S: AsyncRead + Unpin>(wire: &mut BufReader<S>) -> io::Result<String> {
    let mut data = String::new();
    while !data.ends_with("\r\n.\r\n") {
        if wire.read_line(&mut data).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(data)
}
