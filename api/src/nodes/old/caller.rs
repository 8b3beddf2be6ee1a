//! One message to one node of 2014, as that year's master sent it.

use std::net::Ipv6Addr;
use std::time::Duration;

use engine::Secret;
use reqwest::{Client, header};
use scheduler::Project;
use scheduler::account::Node;
use serde::Serialize;
use serde_json::Value;
use tokio::net::UdpSocket;

use crate::answer::{SHORT_ANSWER, read_document};
use crate::nodes::offer::{Offer, Place};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// rsync's own port, which no option has to name.
const RSYNC_PORT: u16 = 873;

/// Sends messages.
pub(super) struct Caller {
    http: Client,
}

/// The message, its keys in the order of 2014.
#[derive(Serialize)]
struct Message<'a> {
    project: &'a str,
    rsync_host: String,
    rsync_password: &'a str,
    rsync_options: OptionsOf2014,
    slave_id: u32,
}

#[derive(Serialize)]
struct OptionsOf2014 {
    basic: Vec<String>,
    defaults: Vec<String>,
    delete: String,
}

impl Caller {
    pub(super) fn new() -> reqwest::Result<Self> {
        let http = Client::builder().connect_timeout(CONNECT).timeout(ANSWER).no_proxy();
        Ok(Self { http: http.redirect(reqwest::redirect::Policy::none()).build()? })
    }

    /// Tells a node to sync a project. The error is one sentence.
    pub(super) async fn call(
        &self,
        place: &Place,
        offer: &Offer,
        project: &Project,
        node: &Node,
        password: &Secret,
    ) -> Result<(), String> {
        let name = project.place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !place.is_external() && !offer.is_together(name) {
            return Err(
                "it would not find the tree: a node of 2014 knows one module, so with `rsyncd: Managed` all \
                        projects must lie in one folder"
                    .to_owned(),
            );
        }
        let host = match node.hostname.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => node.hostname.clone(),
        };
        let url = format!("http://{host}:{}/sync_from_master/", node.port);
        let address = place.address();
        let rsync_host = match address.host {
            Some(host) => host,
            None => own_address(&format!("{host}:{}", node.port)).await?,
        };
        let mut basic = project.options.basic().to_vec();
        if address.port != RSYNC_PORT {
            basic.push(format!("--port={}", address.port));
        }
        let external = address.password.as_deref().unwrap_or_default();
        let message = Message {
            project: name,
            rsync_host,
            rsync_password: if place.is_external() { external } else { password.expose() },
            rsync_options: OptionsOf2014 {
                basic,
                defaults: project.options.defaults().to_vec(),
                delete: project.options.delete().map(|mode| mode.to_string()).unwrap_or_default(),
            },
            slave_id: node.id,
        };
        self.send(&url, &message).await
    }

    async fn send(&self, url: &str, message: &Message<'_>) -> Result<(), String> {
        let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/plain")
            .body(body);
        let answer = request.send().await.map_err(|error| {
            let cause =
                std::iter::successors(std::error::Error::source(&error), |cause| cause.source()).last();
            format!("it does not answer: {}", cause.map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
        // What cannot be understood was an answer all the same: in 2014 nobody looked at it.
        let answer: Value = read_document(answer, SHORT_ANSWER).await.unwrap_or_default();
        match answer["success"].as_bool() {
            Some(false) => Err("it answered that it failed".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The address by which a node reaches this machine, as far as this machine knows.
async fn own_address(node: &str) -> Result<String, String> {
    let address = async {
        let mut found = tokio::net::lookup_host(node).await?;
        let node = found.next().ok_or(std::io::ErrorKind::NotFound)?;
        let any = if node.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await?;
        // Sends nothing: the system says from where it would.
        socket.connect(node).await?;
        socket.local_addr()
    };
    let address = address.await.map_err(|error: std::io::Error| format!("it does not answer: {error}"))?;
    Ok(address.ip().to_string())
}
