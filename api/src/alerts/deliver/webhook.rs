//! A message as an HTTP request; also how signs of life are sent.

use std::sync::OnceLock;
use std::time::Duration;

use engine::text::{self, clipped};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode, Url};

use super::secret;
use crate::alerts::message::Message;
use crate::config::{Form, SecretSource, Webhook};

/// How much of a refusal is repeated in a sentence.
const SAID: usize = 200;

/// Posts a message.
pub(super) async fn send(webhook: &Webhook, message: &Message, site: &str) -> Result<(), String> {
    let body = match webhook.form {
        Form::Json => message.json(site),
        Form::Slack => message.slack(site),
    };
    let request = client()?.post(address(&webhook.url).await?).timeout(webhook.timeout);
    let request = request.header(CONTENT_TYPE, "application/json");
    let mut request = request.body(text::json(body.to_string().as_bytes()).into_owned());
    if let Some(source) = &webhook.secret {
        request = request.bearer_auth(secret(source).await?.expose());
    }
    let response = request.send().await.map_err(|error| reason(&error))?;
    taken(response).await
}

/// Asks for an address, with a text for who reads it there.
pub(in crate::alerts) async fn ping(url: Url, text: &str, timeout: Duration) -> Result<(), String> {
    let request = client()?.post(url).timeout(timeout).body(text::lines(text.as_bytes()));
    taken(request.send().await.map_err(|error| reason(&error))?).await
}

/// The address in a secret.
pub(in crate::alerts) async fn address(source: &SecretSource) -> Result<Url, String> {
    let text = secret(source).await?;
    let url = Url::parse(text.expose()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "its `url` is not an address that begins with https:// or http://".to_owned())
}

fn client() -> Result<&'static Client, String> {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    // A redirect would carry the secret elsewhere.
    let made = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("heliostat/", env!("CARGO_PKG_VERSION")))
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| error.without_url().to_string())?;
    Ok(CLIENT.get_or_init(|| made))
}

async fn taken(mut response: Response) -> Result<(), String> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let mut said = Vec::new();
    while said.len() < SAID
        && let Ok(Some(part)) = response.chunk().await
    {
        said.extend_from_slice(&part);
    }
    said.truncate(SAID);
    let said = clipped(String::from_utf8_lossy(&said).trim(), SAID);
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (check `secret`)",
        StatusCode::NOT_FOUND | StatusCode::GONE => " (check `url`)",
        status if status.is_redirection() => " (redirects are not followed: give the final address)",
        _ => "",
    };
    Err(format!("the receiver answered {}{hint}: {said}", status.as_u16()))
}

/// What went wrong, without the address: that can be a secret.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the receiver did not answer in time".to_owned();
    }
    // The innermost says what happened; what is around it repeats the address.
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match error.is_connect() {
        true => format!("the receiver cannot be reached: {inner}"),
        false => format!("the request failed: {inner}"),
    }
}
