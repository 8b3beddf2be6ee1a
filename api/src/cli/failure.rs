//! How a command fails, and the exit code that says so to scripts.

use std::process::ExitCode;

use serde_json::Value;

use super::terminal::{plain, warn};

/// Why a command did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was asked for did not work (1).
    Failed(String),
    /// A run ended badly, which has been told already (1).
    BadRun,
    /// What was typed, or what stands in a file, is wrong (2).
    Usage(String),
    /// There is no such thing (3).
    NotFound(String),
    /// This user may not do that (4).
    NotAllowed(String),
    /// The server does not answer (5).
    Unreachable(String),
    /// Nobody reads the output any more, as in `heliostat runs | head`: not a failure (0).
    NobodyReads,
}

impl Failure {
    /// From an answer of the server that is not a good one.
    pub(super) fn of_answer(status: u16, body: &str) -> Self {
        let problem: Value = serde_json::from_str(body).unwrap_or_default();
        let mut text = match problem["detail"].as_str().or(problem["title"].as_str()) {
            Some(detail) => plain(detail),
            None => format!("the server answered {status}: is this the address of a Heliostat?"),
        };
        for error in problem["errors"].as_array().into_iter().flatten() {
            let part = |key: &str| plain(error[key].as_str().unwrap_or_default());
            text.push_str(&format!("\n  {}: {}", part("field"), part("message")));
        }
        match status {
            401 => Self::NotAllowed(format!(
                "{text}\nGive --user NAME:PASSWORD or --token, or set HELIOSTAT_USER"
            )),
            403 => Self::NotAllowed(text),
            404 => Self::NotFound(text),
            400 | 422 => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }

    /// Tells a person, and gives the exit code.
    pub(super) fn tell(self) -> ExitCode {
        let (code, text) = match self {
            Self::NobodyReads => return ExitCode::SUCCESS,
            Self::BadRun => return ExitCode::FAILURE,
            Self::Failed(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::NotFound(text) => (3, text),
            Self::NotAllowed(text) => (4, text),
            Self::Unreachable(text) => (5, text),
        };
        warn(&format!("heliostat: {text}"));
        ExitCode::from(code)
    }
}
