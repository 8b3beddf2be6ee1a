//! A message as a mail, by SMTP (RFC 5321).

use engine::text;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::secret;
use crate::alerts::message::Message;
use crate::config::{Encryption, Mail};

/// `host` or `host:port`.
#[must_use]
pub(crate) fn server(text: &str) -> Option<(&str, Option<u16>)> {
    let plain = |host: &str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    if let Some(end) = text.find(']').filter(|_| text.starts_with('[')) {
        let (host, rest) = text.split_at(end + 1);
        let inner: Result<std::net::Ipv6Addr, _> = host.trim_matches(['[', ']']).parse();
        return match (inner, rest.strip_prefix(':')) {
            (Ok(_), None) if rest.is_empty() => Some((host, None)),
            (Ok(_), Some(port)) => Some((host, Some(port.parse().ok()?))),
            _ => None,
        };
    }
    match text.split_once(':') {
        None => plain(text).then_some((text, None)),
        Some((host, port)) => plain(host).then_some((host, Some(port.parse().ok()?))),
    }
}

/// Sends a message to every receiver in one mail.
pub(super) async fn send(mail: &Mail, message: &Message, site: &str) -> Result<(), String> {
    let letter = letter(mail, message, site)?;
    let transport = transport(mail).await?;
    match tokio::time::timeout(mail.timeout, transport.send(letter)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err("the mail server did not take it in time".to_owned()),
    }
}

fn letter(mail: &Mail, message: &Message, site: &str) -> Result<lettre::Message, String> {
    let mailbox = |address: &str| {
        address.parse::<Mailbox>().map_err(|error| format!("\"{address}\" is not an address: {error}"))
    };
    let from = mailbox(&mail.from)?;
    let domain = from.email.domain().to_owned();
    let mut builder = lettre::Message::builder()
        .from(from)
        .subject(text::escaped(format!("[{site}] {}", message.title).as_bytes()))
        .date(message.time.into())
        // The same in every try, so that a reader can leave out what it has seen.
        .message_id(Some(format!("<{}@{domain}>", message.id)));
    for address in &mail.to {
        builder = builder.to(mailbox(address)?);
    }
    let body = MultiPart::mixed().singlepart(
        SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text::lines(message.text.as_bytes())),
    );
    let mut letter = builder.multipart(body).map_err(|error| error.to_string())?;
    // RFC 3834: nobody's absence is to answer it.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    letter.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
    Ok(letter)
}

async fn transport(mail: &Mail) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let (host, port) = server(&mail.server).ok_or("its `server` is not a host or host:port")?;
    let host = host.trim_matches(['[', ']']);
    let parameters = || TlsParameters::new(host.to_owned()).map_err(|error| chain(&error));
    let (tls, usual) = match mail.encryption {
        Encryption::StartTls => (Tls::Required(parameters()?), 587),
        Encryption::Tls => (Tls::Wrapper(parameters()?), 465),
        Encryption::None => (Tls::None, 25),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(port.unwrap_or(usual))
        .tls(tls)
        .timeout(Some(mail.timeout));
    if let (Some(user), Some(password)) = (&mail.user, &mail.password) {
        let password = secret(password).await?;
        password.check_password().map_err(|error| format!("its `password` {error}"))?;
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

/// An error with its causes: what a mail server says is in the innermost.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let said = inner.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        assert_eq!(server("smtp.example.org"), Some(("smtp.example.org", None)));
        assert_eq!(server("localhost:2525"), Some(("localhost", Some(2525))));
        assert_eq!(server("[::1]:25"), Some(("[::1]", Some(25))));
        for wrong in ["", ":25", "smtp://host", "host:", "host:99999", "a b", "[x]:25", "[::1]x"] {
            assert_eq!(server(wrong), None, "{wrong}");
        }
    }
}
