//! The right to a change, looked at in the step that makes it.
//!
//! Between a request and its change the login may end, and the project may become another one of the same name. So the
//! right travels with the command, and the core asks for it with the project as it is then.

use std::fmt::Debug;

use crate::project::Project;

/// The right of somebody to a change.
pub trait ChangePermit: Debug + Send + Sync {
    /// Looks at the right to a change of `before`, or to one that makes a project. `after` has the settings that are
    /// wanted, where settings are changed.
    ///
    /// # Errors
    /// When there is no such right now.
    fn check(&self, before: Option<&Project>, after: Option<&Project>) -> Result<(), PermitDenial>;
}

/// Reason why there is no right to a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermitDenial {
    /// The login that asked has ended meanwhile.
    #[error("the login has ended")]
    LoginEnded,
    /// Whoever asked may not do that.
    #[error("{0}")]
    Forbidden(String),
}
