//! Why a hook cannot answer, and whether asking once more may help.

use std::fmt::{self, Display};

use crate::{HookError, dest, http, kv};

/// What hooks and policies return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a hook or a policy has no answer.
///
/// It counts by the failure policy that the operator chose for the plugin: `open`, the run goes on as if the plugin were
/// not there, or `closed`, the run fails. A [retryable](Error::retryable) one is asked once more first.
///
/// Every [`std::error::Error`] becomes one with `?`. Time-outs and broken connections of [`http`], and a store that
/// does not answer, are retryable by themselves.
///
/// ```
/// use heliostat_plugin::{Error, Result};
///
/// fn parse(text: &str) -> Result<u64> {
///     Ok(text.trim().parse()?)
/// }
///
/// assert_eq!(parse("17").unwrap(), 17);
/// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// assert!(Error::retryable("the gateway is down").is_retryable());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    retryable: bool,
}

impl Error {
    /// An error that asking again would not change.
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), retryable: false }
    }

    /// An error that may be gone in a moment: the host asks once more.
    pub fn retryable(message: impl Display) -> Self {
        Self { message: message.to_string(), retryable: true }
    }

    /// Whether the host should ask once more.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Says first what was being done: `reading project/trace/master: not found`.
    #[must_use]
    pub fn while_doing(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let any: &dyn std::error::Error = &error;
        if let Some(error) = any.downcast_ref::<http::Error>() {
            return match error {
                http::Error::Denied(why) => Self::new(format_args!("the request is not allowed: {why}")),
                http::Error::Timeout => Self::retryable("the request took too long"),
                http::Error::TooLarge => Self::new("the answer to the request is too large"),
                http::Error::Transport(why) => Self::retryable(format_args!("the request failed: {why}")),
            };
        }
        if let Some(error) = any.downcast_ref::<kv::Error>() {
            return match error {
                kv::Error::Quota => Self::new("the quota for stored values is used up (grant: kv_kib)"),
                kv::Error::Denied => Self::new("storing values is not granted (grant: kv_kib)"),
                kv::Error::Unavailable(why) => {
                    Self::retryable(format_args!("stored values cannot be reached: {why}"))
                }
            };
        }
        if let Some(error) = any.downcast_ref::<dest::Error>() {
            return match error {
                dest::Error::NotFound => Self::new("not found"),
                dest::Error::Denied => Self::new("not granted (grants: dest_read, dest_write)"),
                dest::Error::TooLarge => Self::new("too large"),
                dest::Error::Io(why) => Self::new(why),
            };
        }
        Self::new(error)
    }
}

impl From<Error> for HookError {
    fn from(error: Error) -> Self {
        if error.retryable { Self::Retryable(error.message) } else { Self::Failed(error.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_host_say_what_to_do_and_whether_to_ask_again() {
        let timeout: Error = http::Error::Timeout.into();
        assert!(timeout.is_retryable());
        let denied: Error = dest::Error::Denied.into();
        assert_eq!(
            denied.while_doing("writing a").to_string(),
            "writing a: not granted (grants: dest_read, dest_write)"
        );
        assert_eq!(HookError::from(Error::retryable("x")), HookError::Retryable("x".to_owned()));
        assert_eq!(HookError::from(Error::new("x")), HookError::Failed("x".to_owned()));
    }
}
