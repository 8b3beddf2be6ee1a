//! `plugin`: components that vote before a sync, judge after it, or decide what runs next.

mod check;
mod new;
mod server;
mod trial;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Connection;
use super::client::Client;
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
    /// List the server's plugins: what is loaded, what each may, and how its calls went
    #[command(after_help = "Example: heliostat plugin list")]
    List,
    /// Say what a plugin is and needs, or why a server would refuse it
    #[command(
        after_help = "Example: heliostat plugin check trace-file.wasm   (ends with 2 when it would be refused)\n         \
                            heliostat plugin check --config /etc/heliostat/heliostat.ron"
    )]
    Check {
        /// The component
        #[arg(required_unless_present = "config", conflicts_with = "config")]
        file: Option<PathBuf>,
        /// Every plugin of this configuration instead, as it is configured: digest, grants, hooks, projects
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Ask a plugin once, on this machine; what it writes and sends is real
    #[command(
        after_help = "Example: heliostat plugin test guard.wasm --hook pre-sync --context ctx.json --set max_age=6h\n         \
                            heliostat plugin test guard.wasm --hook post-sync --run 01KB5X0Q4J7N8T3M2W9V6R1YDE"
    )]
    Test {
        /// The component
        file: PathBuf,
        /// What it is asked
        #[arg(long, value_enum)]
        hook: trial::Hook,
        /// A file of JSON with the run that it is asked about; what is left out has a value for a try
        #[arg(long, value_name = "FILE")]
        context: Option<PathBuf>,
        /// A run of the server, about which it is asked as if it came now
        #[arg(long, value_name = "RUN", conflicts_with = "context")]
        run: Option<String>,
        #[command(flatten)]
        rights: trial::Rights,
    },
    /// Compile the component on standard input into a cache, within bounds: what the server starts for each plugin
    #[command(hide = true)]
    Compile {
        /// Most bytes of memory
        memory: u64,
        /// Most seconds of processor time
        seconds: u64,
        /// The folder of the cache
        cache: PathBuf,
    },
    /// Ask a policy again what a server recorded, and show where it decides otherwise
    #[command(
        after_help = "Example: heliostat plugin replay policy.wasm decisions.jsonl   (ends with 1 when it differs)"
    )]
    Replay {
        /// The component
        file: PathBuf,
        /// The recording
        recording: PathBuf,
        #[command(flatten)]
        rights: trial::Rights,
    },
}

pub(super) fn run(command: &PluginCommand, connection: &Connection) -> Result<(), Failure> {
    let output = connection.output;
    if let PluginCommand::New { name, sdk } = command {
        return new::run(name, sdk.as_deref());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match command {
            PluginCommand::New { .. } | PluginCommand::Compile { .. } => Ok(()),
            PluginCommand::Check { config: Some(config), .. } => check::configured(config, output).await,
            PluginCommand::Check { file, .. } => {
                check::run(file.as_deref().unwrap_or(Path::new("")), output).await
            }
            PluginCommand::List => server::list(&Client::new(connection)?).await,
            PluginCommand::Test { file, hook, context, run, rights } => {
                let context = match (run, context) {
                    (Some(run), _) => server::context(&Client::new(connection)?, run).await?.to_string(),
                    (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
                        Failure::Usage(format!("{} cannot be read: {error}", path.display()))
                    })?,
                    (None, None) => "{}".to_owned(),
                };
                trial::test(file, *hook, &context, rights, output).await
            }
            PluginCommand::Replay { file, recording, rights } => {
                trial::replay(file, recording, rights, output).await
            }
        }
    })
}
