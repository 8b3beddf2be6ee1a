//! `import`: another program's configuration as a projects file, without a server.

use std::path::PathBuf;

use clap::Subcommand;

use super::Output;
use super::failure::Failure;
use super::terminal::{document, plain, say, warn};
use crate::import::{Import, mirror_sync_api, tunasync};

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Read the store of the mirror-sync-api of 2014: its projects, and a list of its users and slaves
    #[command(
        after_help = "Example: (umask 077; heliostat import mirror-sync-api /srv/mirror-sync-api > projects.ron)"
    )]
    MirrorSyncApi {
        /// The folder that holds jobs.sqlite, and master.db or master/master.db
        dir: PathBuf,
    },
    /// Read the worker.conf of tunasync, and say what of it cannot be mapped
    #[command(
        after_help = "Example: (umask 077; heliostat import tunasync /etc/tunasync/worker.conf > projects.ron)"
    )]
    Tunasync {
        /// The file
        #[arg(value_name = "worker.conf")]
        file: PathBuf,
    },
}

pub(super) fn run(command: &ImportCommand, output: Output) -> Result<(), Failure> {
    let read = match command {
        ImportCommand::MirrorSyncApi { dir } => mirror_sync_api::read(dir),
        ImportCommand::Tunasync { file } => tunasync::read(file),
    };
    let import: Import = read.map_err(|error| Failure::Usage(plain(&error.to_string())))?;
    for line in import.report() {
        warn(&format!("heliostat: {line}"));
    }
    match output {
        Output::Json => document(&import.json()),
        Output::Table => say(&import.ron()),
    }
}
