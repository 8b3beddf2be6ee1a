//! Everything about an upstream that can be found out without touching a file: is it there, does it have the module,
//! does the login work, and which module was meant if not.

use std::net::SocketAddr;
use std::time::Duration;

use strsim::osa_distance;

use super::Timeouts;
use super::connection::{Connection, Greeting, Login, ModuleLine};
use super::digest::Digest;
use super::error::{ProtocolError, Refusal, RefusalKind};
use crate::secret::Secret;
use crate::source::Source;

/// The most modules that are compared with a name that is not among them.
const MAX_COMPARED: usize = 1000;
/// The longest name that is compared.
const MAX_COMPARED_NAME: usize = 255;

/// What an upstream says about itself. All texts are safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The address that took the connection.
    pub address: SocketAddr,
    /// Protocol and login digests.
    pub greeting: Greeting,
    /// Its message of the day.
    pub motd: String,
    /// Its modules; `None` when it does not list them.
    pub modules: Option<Vec<ModuleLine>>,
    /// What became of the module.
    pub module: ModuleState,
    /// What became of the login.
    pub login: LoginState,
    /// How long connecting took.
    pub connect_took: Duration,
    /// How long the greeting took after that.
    pub greeting_took: Duration,
}

/// Whether the source's module is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleState {
    /// It is.
    Found,
    /// It is not, or is hidden from this address.
    Missing {
        /// The module that is there and has the most similar name, if one is similar at all.
        nearest: Option<String>,
    },
    /// It is, and cannot be had: too many connections, no access, or the daemon is not set up well.
    Refused(Refusal),
}

/// Whether user and password are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginState {
    /// The daemon did not come so far as to ask.
    NotAsked,
    /// Everybody may enter.
    NotNeeded,
    /// They are, proven with this digest.
    Accepted(Digest),
    /// They are not, or are not set; with what was said.
    Refused(Refusal),
}

/// Asks the upstream for its modules, and then enters the source's module and leaves again. This takes two connections;
/// the second one counts as a client of the module for a moment.
///
/// # Errors
/// When there is no daemon, or it does not keep to the protocol. A no from the daemon is no error but an answer.
pub async fn probe(
    source: &Source,
    password: Option<&Secret>,
    timeouts: &Timeouts,
) -> Result<Probe, ProtocolError> {
    let first = Connection::open(source, timeouts).await?;
    let (address, greeting, (connect_took, greeting_took)) =
        (first.address(), first.greeting().clone(), first.latency());
    let modules = match first.modules().await {
        Ok(listed) => Some(listed.modules),
        Err(ProtocolError::Refused(_) | ProtocolError::Closed { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut second = Connection::open_at(source.host(), address, timeouts).await?;
    let (module, login) = match second.knock(source, password).await {
        Ok(Login::NotNeeded) => (ModuleState::Found, LoginState::NotNeeded),
        Ok(Login::Accepted(digest)) => (ModuleState::Found, LoginState::Accepted(digest)),
        Err(ProtocolError::Refused(refusal)) => {
            answer(refusal, source, modules.as_deref().unwrap_or_default())
        }
        Err(error) => return Err(error),
    };
    let motd = second.motd();
    Ok(Probe { address, greeting, motd, modules, module, login, connect_took, greeting_took })
}

fn answer(refusal: Refusal, source: &Source, modules: &[ModuleLine]) -> (ModuleState, LoginState) {
    match refusal.kind {
        RefusalKind::UnknownModule => {
            (ModuleState::Missing { nearest: nearest(source.module(), modules) }, LoginState::NotAsked)
        }
        RefusalKind::LoginNeeded | RefusalKind::LoginFailed => {
            (ModuleState::Found, LoginState::Refused(refusal))
        }
        RefusalKind::TooManyConnections | RefusalKind::AccessDenied | RefusalKind::Other => {
            (ModuleState::Refused(refusal), LoginState::NotAsked)
        }
    }
}

/// The module whose name needs the fewest changes to become `wanted`, at most a third of its letters.
fn nearest(wanted: &str, modules: &[ModuleLine]) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let most = wanted.chars().count().div_ceil(3);
    let names = modules.iter().map(|module| &module.name).filter(|name| name.len() <= MAX_COMPARED_NAME);
    let distances = names.take(MAX_COMPARED).map(|name| (osa_distance(&wanted, &name.to_lowercase()), name));
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::nearest;
    use crate::protocol::ModuleLine;

    #[test]
    fn a_misspelt_module_finds_its_neighbour_and_a_strange_one_finds_none() {
        let line = |name: &str| ModuleLine { name: name.to_owned(), comment: String::new() };
        let modules = ["debian", "debian-cd", "Ubuntu", "archlinux"].map(line);
        for (wanted, found) in [
            ("debain", Some("debian")),
            ("debian-dc", Some("debian-cd")),
            ("ubuntu", Some("Ubuntu")),
            ("arch-linux", Some("archlinux")),
            ("gentoo", None),
        ] {
            assert_eq!(nearest(wanted, &modules).as_deref(), found, "{wanted}");
        }
        assert_eq!(nearest("debian", &[]), None);
    }
}
