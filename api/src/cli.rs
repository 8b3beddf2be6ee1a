//! The command line: what a person can type, and how each command ends.
//!
//! `serve`, `demo` and `config` work on this machine; every other command is a client of the HTTP API and knows no
//! more than any other client does. Tables are for people, `--output json` is for programs and gives the API's own
//! documents. Everything that came from a server is printed with its control characters escaped.

mod accounts;
mod alert;
mod apply;
mod client;
mod config;
mod events;
mod failure;
mod follow;
mod hold;
mod import;
mod node;
mod plugin;
mod probe;
mod project;
mod project_flags;
mod runs;
mod site;
mod status;
mod store;
mod table;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use client::Client;
use failure::Failure;
use plugins::CompileBounds;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "heliostat",
    version,
    about = "Keeps software mirrors turned to their sources",
    arg_required_else_help = true,
    after_help = "A first mirror:\n  heliostat serve &\n  heliostat project add debian-cd \
                  rsync://cdimage.debian.org/debian-cd /srv/debian-cd --every 6h\n  heliostat sync debian-cd --follow\n\n\
                  Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration, 3 not found, 4 not allowed, \
                  5 server not reachable."
)]
pub struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

/// How client commands reach the server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
struct Connection {
    /// Where the server is
    #[arg(
        long,
        global = true,
        env = "HELIOSTAT_SERVER",
        default_value = "http://127.0.0.1:5000",
        value_name = "URL"
    )]
    server: String,
    /// A token; better given in the environment, where other users cannot read it
    #[arg(long, global = true, env = "HELIOSTAT_TOKEN", hide_env_values = true, conflicts_with = "user")]
    token: Option<String>,
    /// A user; without one, root's password file is used where it can be read
    #[arg(long, global = true, env = "HELIOSTAT_USER", hide_env_values = true, value_name = "NAME:PASSWORD")]
    user: Option<String>,
    /// The certificate authority that signed the server's certificate, where that is one of your own
    #[arg(long, global = true, env = "HELIOSTAT_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// For people or for programs
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns and sentences.
    Table,
    /// The API's JSON.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the role in the configuration, in the foreground, until TERM or INT
    #[command(after_help = "Example: heliostat serve --config /etc/heliostat/heliostat.ron")]
    Serve {
        /// The configuration; without it the one in `HELIOSTAT_CONFIG`, ./heliostat.ron, /etc/heliostat/heliostat.ron, or none
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show the main job on real rsync, on this machine only, leaving nothing behind
    #[command(after_help = "Example: heliostat demo --for 600   (then look at it with the other commands)")]
    Demo {
        /// Leave the folder with the data at the end
        #[arg(long)]
        keep: bool,
        /// Leave the master running for so long at the end
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Check, show or begin a configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Turn another mirror program's configuration into a projects file for `project apply`
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Write, check and try plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    #[command(flatten)]
    Client(ClientCommand),
    /// Print a completion script
    #[command(after_help = "Example: heliostat completions bash > /etc/bash_completion.d/heliostat")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of heliostat, or of one of its commands
    #[command(after_help = "Example: heliostat man project add | man -l -")]
    Man {
        /// Which command; none: heliostat itself
        command: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// One screen: what runs, what waits, what ended last, what fails, how full the disks are
    #[command(after_help = "Example: heliostat status --watch")]
    Status {
        /// Stay, and show it anew every second
        #[arg(long)]
        watch: bool,
        /// Show instead how many runs start in each ten minutes of the next 24 hours
        #[arg(long, conflicts_with = "watch")]
        schedule: bool,
    },
    /// Add, list, change and remove projects
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Ask an upstream, through the server, what it has and whether it lets us in
    #[command(
        after_help = "Example: heliostat probe rsync://ftp.example.org/debian   (ends with 1 when it says no)"
    )]
    Probe(probe::ProbeArguments),
    /// Bring a project up to date now
    #[command(after_help = "Example: heliostat sync debian --follow   (ends with 1 when the run failed)")]
    Sync {
        /// The project
        id: String,
        /// Watch it to its end
        #[arg(long)]
        follow: bool,
        /// Look at everything: forget the marker of the last good run, and what the upstream refused
        #[arg(long)]
        whole: bool,
    },
    /// Stop a run, waiting or running
    #[command(after_help = "Example: heliostat cancel 01KAT6Y2V4Q8X0M5C3N7B9D1FH")]
    Cancel {
        /// The run
        run: String,
    },
    /// Let a held run delete exactly what it shows
    #[command(after_help = "Example: heliostat approve 01KAT6Y2V4Q8X0M5C3N7B9D1FH")]
    Approve {
        /// The run
        run: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// End a held run; nothing of its plan is done
    #[command(after_help = "Example: heliostat reject 01KAT6Y2V4Q8X0M5C3N7B9D1FH --yes")]
    Reject {
        /// The run
        run: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List runs, newest first
    #[command(after_help = "Example: heliostat runs debian --state failed")]
    Runs {
        /// Only of this project
        id: Option<String>,
        /// Only in this state
        #[arg(long)]
        state: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one run: its attempts, how they ended, what they changed
    #[command(after_help = "Example: heliostat run 01KAT6Y2V4Q8X0M5C3N7B9D1FH --changes")]
    Run {
        /// The run
        run: String,
        /// List the paths that it created, updated and deleted
        #[arg(long)]
        changes: bool,
    },
    /// Print a run's log
    #[command(after_help = "Example: heliostat log 01KAT6Y2V4Q8X0M5C3N7B9D1FH --follow")]
    Log {
        /// The run
        run: String,
        /// Go on until the run ends
        #[arg(long)]
        follow: bool,
        /// Only the last so many lines
        #[arg(long, value_name = "LINES")]
        tail: Option<usize>,
    },
    /// List slaves and what they hold, add and remove them
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// List what needs a person, and try whether they can be reached
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Add, list and remove users, and change passwords
    #[command(subcommand)]
    User(accounts::UserCommand),
    /// Make, list and end tokens
    #[command(subcommand)]
    Token(accounts::TokenCommand),
    /// Check, back up and restore what the server remembers
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Let the server read its configuration again
    #[command(after_help = "Example: heliostat reload")]
    Reload,
}

/// Runs what was typed.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here, with 2.
    let cli = Cli::parse();
    let ended = match cli.command {
        Command::Serve { config } => return crate::serve::main(config.as_deref()),
        Command::Demo { keep, seconds } => return crate::demo::main(keep, seconds),
        Command::Plugin(plugin::PluginCommand::Compile { memory, seconds, cache }) => {
            return plugins::compile_main(&cache, CompileBounds { memory, seconds });
        }
        Command::Config(command) => config::run(command),
        Command::Import(command) => import::run(&command, cli.connection.output),
        Command::Plugin(command) => plugin::run(&command, &cli.connection),
        Command::Completions { shell } => completions(shell),
        Command::Man { command } => manual(&command),
        Command::Client(command) => client(&cli.connection, command),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn client(connection: &Connection, command: ClientCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    let client = Client::new(connection)?;
    runtime.block_on(async {
        match command {
            ClientCommand::Status { schedule: true, .. } => status::schedule(&client).await,
            ClientCommand::Status { watch, .. } => status::run(&client, watch).await,
            ClientCommand::Node(command) => node::run(&client, command).await,
            ClientCommand::Alert(command) => alert::run(&client, command).await,
            ClientCommand::User(command) => accounts::user(&client, command).await,
            ClientCommand::Token(command) => accounts::token(&client, command).await,
            ClientCommand::Store(command) => store::run(&client, command).await,
            ClientCommand::Probe(arguments) => probe::run(&client, &arguments).await,
            ClientCommand::Project(command) => project::run(&client, command).await,
            ClientCommand::Sync { id, follow, whole } => runs::sync(&client, &id, follow, whole).await,
            ClientCommand::Cancel { run } => runs::cancel(&client, &run).await,
            ClientCommand::Approve { run, yes } => {
                hold::decide(&client, &run, hold::Decision::Approve, yes).await
            }
            ClientCommand::Reject { run, yes } => {
                hold::decide(&client, &run, hold::Decision::Reject, yes).await
            }
            ClientCommand::Runs { id, state, limit } => runs::list(&client, id, state, limit).await,
            ClientCommand::Run { run, changes } => runs::show(&client, &run, changes).await,
            ClientCommand::Log { run, follow, tail } => runs::log(&client, &run, follow, tail).await,
            ClientCommand::Reload => site::reload(&client).await,
        }
    })
}

/// The type of [`command`].
pub type Clap = clap::Command;

/// The command line as it is documented, for completions and manual pages.
#[must_use]
pub fn command() -> Clap {
    Cli::command()
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "heliostat", &mut script);
    terminal::write(&script)
}

fn manual(words: &[String]) -> Result<(), Failure> {
    let mut found = command();
    found.build();
    for word in words {
        let inner = found.find_subcommand(word).cloned();
        found = inner.ok_or_else(|| Failure::Usage(format!("there is no command `{}`", words.join(" "))))?;
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(found).render(&mut page);
    rendered.map_err(|error| Failure::Failed(format!("cannot write the manual page: {error}")))?;
    terminal::write(&page)
}
