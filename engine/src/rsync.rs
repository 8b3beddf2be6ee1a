//! Everything that knows rsync's own language: its options, its output, its exits.
//!
//! Facts in these modules come from rsync 3.5.0's manual pages and source, and from transcripts in
//! `fixtures/rsync/`.

pub mod args;
pub mod edits;
pub mod exit;
pub mod filters;
pub mod messages;
pub mod options;
pub mod output;
pub mod stages;
pub mod stats;
pub mod version;
