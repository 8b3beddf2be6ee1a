//! `plugin`: components that vote before a sync, judge after it, or decide what runs next.

mod new;

use std::path::PathBuf;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Write a project that builds a plugin in Rust
    #[command(
        after_help = "Example: heliostat plugin new my-plugin && cd my-plugin && cargo build --release --target wasm32-wasip2"
    )]
    New {
        /// Its name, and that of the new folder: lower-case letters, digits and hyphens
        name: String,
        /// Where the crate heliostat-plugin is on this machine; without it, the published one is used
        #[arg(long, value_name = "PATH")]
        sdk: Option<PathBuf>,
    },
}

pub(super) fn run(command: &PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::New { name, sdk } => new::run(name, sdk.as_deref()),
    }
}
