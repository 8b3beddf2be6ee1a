//! What a policy is asked, and how it is kept from harm: its failures open a breaker, and who asked decides alone.

mod breaker;
mod recording;

pub(crate) use breaker::Breaker;
pub(crate) use recording::Recorder;
pub use recording::{Answer, Entry, Question, ReplayError, read_recording};

pub(crate) use scheduler::policy::status;
pub use scheduler::policy::{Candidate, Finished, News, Past, View};
