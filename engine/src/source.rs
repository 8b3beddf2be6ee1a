//! Where a mirror comes from: an rsync daemon, a module, and a path in it; or a program of this site, by its name.
//!
//! Nothing is resolved or asked here; a source is only known to be something that rsync cannot misunderstand.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port of an rsync daemon unless said otherwise.
pub const DEFAULT_PORT: u16 = 873;

/// One tree of an rsync daemon, or a program of this site that brings one. Its parts are checked: no part can change the
/// meaning of another, or be taken for an option, a remote shell or a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Daemon {
        user: Option<String>,
        host: String,
        port: u16,
        module: String,
        path: String,
    },
    /// `command:NAME`, whole.
    Command(String),
}

/// What stands before the name of a command.
const COMMAND: &str = "command:";

/// One part of a source that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}{}{message}", if .field.is_empty() { "" } else { ": " })]
pub struct SourceError {
    /// The part: `user`, `host`, `port`, `module`, `path`, or empty for the whole.
    pub field: &'static str,
    /// What is wrong and what is expected.
    pub message: String,
}

/// All that is wrong with a source given as one text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SourceErrors(pub Vec<SourceError>);

impl Source {
    /// Checks and keeps the parts; every wrong one is reported at once. An IPv6 address comes without brackets or
    /// with them. Slashes around `path` do not matter.
    pub fn new(
        user: Option<&str>,
        host: &str,
        port: u16,
        module: &str,
        path: &str,
    ) -> Result<Self, Vec<SourceError>> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let path = path.trim_matches('/');
        let checks = [
            ("user", user.map_or(Ok(()), check_user)),
            ("host", check_host(host)),
            ("port", if port == 0 { Err("must be 1 to 65535".to_owned()) } else { Ok(()) }),
            ("module", check_module(module)),
            ("path", check_path(path)),
        ];
        let errors: Vec<_> = checks
            .into_iter()
            .filter_map(|(field, check)| check.err().map(|message| SourceError { field, message }))
            .collect();
        if errors.is_empty() {
            let user = user.map(str::to_owned);
            let (host, module, path) = (host.to_owned(), module.to_owned(), path.to_owned());
            Ok(Self(Kind::Daemon { user, host, port, module, path }))
        } else {
            Err(errors)
        }
    }

    /// A program that the configuration knows by this name.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn command(name: &str) -> Result<Self, SourceError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
        if name.is_empty() || name.len() > 64 || name.starts_with('-') || !name.bytes().all(allowed) {
            let message = "must be 1 to 64 letters, digits or . _ - + and not begin with -".to_owned();
            return Err(SourceError { field: "command", message });
        }
        Ok(Self(Kind::Command(format!("{COMMAND}{name}"))))
    }

    /// The same tree at this port, unless it names a port of its own.
    #[must_use]
    pub fn with_default_port(self, default: u16) -> Self {
        match self.0 {
            Kind::Daemon { user, host, port: DEFAULT_PORT, module, path } => {
                Self(Kind::Daemon { user, host, port: default, module, path })
            }
            other => Self(other),
        }
    }

    /// The name of the command; none: it is an rsync daemon's tree.
    #[must_use]
    pub fn command_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Command(whole) => whole.strip_prefix(COMMAND),
            Kind::Daemon { .. } => None,
        }
    }

    /// The user name given to the daemon, if any.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &self.0 {
            Kind::Daemon { user, .. } => user.as_deref(),
            Kind::Command(_) => None,
        }
    }

    /// Host name or address, an IPv6 address without brackets. A command is a host of its own, `command:NAME`.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.0 {
            Kind::Daemon { host, .. } | Kind::Command(host) => host,
        }
    }

    /// The daemon's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.0 {
            Kind::Daemon { port, .. } => *port,
            Kind::Command(_) => DEFAULT_PORT,
        }
    }

    /// The daemon's module; empty for a command.
    #[must_use]
    pub fn module(&self) -> &str {
        match &self.0 {
            Kind::Daemon { module, .. } => module,
            Kind::Command(_) => "",
        }
    }

    /// The path below the module, without slashes at its ends; empty for the whole module.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.0 {
            Kind::Daemon { path, .. } => path,
            Kind::Command(_) => "",
        }
    }

    /// The operand for rsync. Its trailing slash makes rsync copy what is in the tree, not the tree's own name.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{self}/")
    }

    /// The operand for rsync with a list of paths: the whole module. Each line of the list leads from there into the tree, as
    /// [`to_tree`](Self::to_tree) has it. A daemon of 3.5.0 without chroot lists what lies below a path, and then does not find it.
    pub(crate) fn url_for_list(&self) -> String {
        let url = self.url();
        let inside = if self.path().is_empty() { 0 } else { self.path().len() + 1 };
        url.get(..url.len() - inside).unwrap_or_default().to_owned()
    }

    /// What stands before `./` and a path of the tree in a list: where both meet, what is copied begins (rsync(1),
    /// `--relative`). Empty where the tree is the whole module.
    #[must_use]
    pub fn to_tree(&self) -> String {
        if self.path().is_empty() { String::new() } else { format!("{}/", self.path()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, host, port, module, path) = match &self.0 {
            Kind::Command(whole) => return f.write_str(whole),
            Kind::Daemon { user, host, port, module, path } => (user, host, *port, module, path),
        };
        f.write_str("rsync://")?;
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        if host.contains(':') {
            write!(f, "[{host}]")?;
        } else {
            f.write_str(host)?;
        }
        if port != DEFAULT_PORT {
            write!(f, ":{port}")?;
        }
        write!(f, "/{module}")?;
        if !path.is_empty() {
            write!(f, "/{path}")?;
        }
        Ok(())
    }
}

impl FromStr for Source {
    type Err = SourceErrors;

    /// Reads `rsync://[user@]host[:port]/module[/path]`, or `command:NAME`.
    fn from_str(text: &str) -> Result<Self, SourceErrors> {
        let whole =
            |message: &str| SourceErrors(vec![SourceError { field: "", message: message.to_owned() }]);
        if let Some(name) = text.strip_prefix(COMMAND) {
            return Self::command(name).map_err(|error| SourceErrors(vec![error]));
        }
        let rest = text.strip_prefix("rsync://").ok_or_else(|| {
            whole("must be rsync://[user@]host[:port]/module[/path]; other protocols are not read")
        })?;
        let (authority, tree) =
            rest.split_once('/').ok_or_else(|| whole("names no module: write rsync://host/module"))?;
        let (user, host_port) = match authority.rsplit_once('@') {
            Some((user, host_port)) => (Some(user), host_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)
            .map_err(|message| SourceErrors(vec![SourceError { field: "port", message }]))?;
        let (module, path) = tree.split_once('/').unwrap_or((tree, ""));
        Self::new(user, host, port, module, path).map_err(SourceErrors)
    }
}

/// Cuts `host`, `host:port`, `[v6]` and `[v6]:port`.
fn split_port(text: &str) -> Result<(&str, u16), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Ok((text, DEFAULT_PORT)),
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits => Ok((host, number)),
        _ => Err(format!("{port:?} is not a port: expected 1 to 65535 (an IPv6 address stands in brackets)")),
    }
}

fn check_user(user: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    if user.is_empty() || user.len() > 64 || user.starts_with('-') || !user.bytes().all(allowed) {
        return Err("must be 1 to 64 letters, digits or . _ - + and not begin with -".to_owned());
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), String> {
    if host.contains(':') {
        return match host.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("{host:?} is not an IPv6 address; a port belongs into its own field")),
        };
    }
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && label.bytes().all(allowed)
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    if host.len() > 253 || !name.split('.').all(label) {
        return Err("must be a host name (letters, digits, - and dots) or an IP address".to_owned());
    }
    Ok(())
}

fn check_module(module: &str) -> Result<(), String> {
    if module.is_empty() {
        return Err("is missing: without a module the daemon only lists what it has".to_owned());
    }
    if module.len() > 255 {
        return Err("is longer than 255 bytes".to_owned());
    }
    if module.starts_with('-') || module.starts_with('#') || module == "." || module == ".." {
        return Err("must not begin with - or #, nor be . or ..".to_owned());
    }
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '*' | '?' | '[' | '\\');
    match module.chars().find(|&c| refused(c)) {
        Some(c) => Err(format!("must not contain {c:?}: blanks, / and * ? [ \\ have a meaning of their own")),
        None => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.len() > 4096 {
        return Err("is longer than 4096 bytes".to_owned());
    }
    if path.split('/').any(|part| part == "..") {
        return Err("must not contain ..: name the tree from the module down".to_owned());
    }
    match path.chars().find(|&c| c.is_control() || matches!(c, '*' | '?' | '[' | '\\')) {
        Some(c) => Err(format!("must not contain {c:?}: rsync daemons read it as a pattern")),
        None => Ok(()),
    }
}
