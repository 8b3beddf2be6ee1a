//! `config check`, `config show`, `config init`: all on this machine, without a server.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};

use super::failure::Failure;
use super::terminal::{say, warn};
use crate::config::{self, Config, Loaded, RoleKind};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with a configuration (exit code 2), or that nothing is
    #[command(after_help = "Example: heliostat config check --config heliostat.ron")]
    Check {
        /// The file; without it the one that `serve` would read
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the configuration in force, every default filled in, secrets masked
    #[command(after_help = "Example: heliostat config show")]
    Show {
        /// The file; without it the one that `serve` would read
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print a commented starting file
    #[command(after_help = "Example: heliostat config init --role master > heliostat.ron")]
    Init {
        /// For which role
        #[arg(long, value_enum)]
        role: InitRole,
    },
}

/// A role that a starting file can be for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum InitRole {
    /// Pulls from upstreams.
    Master,
    /// Pulls from a master.
    Slave,
}

pub(super) fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { config } => {
            let Loaded { path, warnings, .. } = load(config.as_deref())?;
            for warning in warnings {
                warn(warning.trim_end());
            }
            match path {
                Some(path) => say(&format!("{} is right", path.display())),
                None => say("there is no file: the built-in configuration applies, and is right"),
            }
        }
        ConfigCommand::Show { config } => say(&config::show(&load(config.as_deref())?.config)),
        ConfigCommand::Init { role } => say(config::template(match role {
            InitRole::Master => RoleKind::Master,
            InitRole::Slave => RoleKind::Slave,
        })),
    }
}

fn load(explicit: Option<&Path>) -> Result<Loaded, Failure> {
    Config::load(explicit)
        .map_err(|errors| Failure::Usage(config::check_report(&errors).trim_end().to_owned()))
}
