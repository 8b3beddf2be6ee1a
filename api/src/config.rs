//! The configuration: one RON file, read completely, checked completely, and shown again.
//!
//! [`Config::load`] finds the file, [`Config::parse`] reads a text; both report *every* problem with its place. The
//! types say what can be configured, and one declaration per type (`value::record!`) gives reading, showing,
//! comparing and the list of keys, so that these cannot drift apart. Nothing is started, opened or resolved here:
//! a secret is a [`SecretSource`] until somebody asks for it.

mod alerts;
mod check;
mod commands;
mod duration;
mod hosts;
mod plugins;
mod power;
mod problems;
mod proxies;
mod read;
mod reader;
mod reload;
mod roots;
mod secret;
mod share;
mod show;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod value;

pub use self::plugins::{Plugin, Plugins};
pub use alerts::{Alerts, Channel, Day, Digest, Encryption, Form, Mail, Ping, Program, ProjectPing, Webhook};
pub use commands::{CommandKeys, Commands};
pub use duration::Size;
pub use hosts::{Host, Quiet};
pub use problems::{ConfigErrors, Position, Problem, check_report};
pub use proxies::ProxyNetwork;
pub use read::{ENVIRONMENT, Loaded};
pub use reload::Reload;
pub use roots::AllowedRoot;
pub use secret::{SecretError, SecretSource, read_private};
pub use share::Share;
pub use show::show;
pub use template::{MASTER, RoleKind, SLAVE, template};
pub use types::{
    Config, Defaults, Disk, Guard, History, Http, Lag, Log, LogFormat, Master, MasterOf2014, Retry, Role,
    Rsync, Rsyncd, RsyncdExternal, RsyncdManaged, Site, Slave, Tls,
};
