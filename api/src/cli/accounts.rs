//! `user …` and `token …`: people and machines.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Output;
use super::client::{Client, segment};
use super::failure::Failure;
use super::project_flags::first_line;
use super::table::{distance, table, text};
use super::terminal::{document, plain, say};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user; the password is asked for
    #[command(after_help = "Example: heliostat user add jane --role upstreamuser")]
    Add {
        /// The user's name
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleName,
        /// Read the password from the first line of this file instead; - is the standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List the users
    #[command(after_help = "Example: heliostat user list")]
    List,
    /// Remove a user, and the tokens in their name; their projects stay
    #[command(after_help = "Example: heliostat user remove jane")]
    Remove {
        /// The user's name
        name: String,
    },
    /// Give a user another password, which is asked for; your own: after the old one
    #[command(after_help = "Example: heliostat user passwd jane")]
    Passwd {
        /// The user's name
        name: String,
        /// Read the password from the first line of this file instead; - is the standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, and print it: the only time that it is shown
    #[command(after_help = "Example: heliostat token create 'push from upstream' --start debian")]
    Create {
        /// What it is for
        name: String,
        /// What it may do; without it and --start, what you may do
        #[arg(long, value_enum, conflicts_with = "start")]
        role: Option<RoleName>,
        /// It may only start this project
        #[arg(long, value_name = "PROJECT")]
        start: Option<String>,
        /// After which it ends, such as 30d; never unless given
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<String>,
    },
    /// List the tokens
    #[command(after_help = "Example: heliostat token list")]
    List,
    /// End a token at once
    #[command(after_help = "Example: heliostat token revoke 01KAT6Y2V4Q8X0M5C3N7B9D1FH")]
    Revoke {
        /// Its id, as `token list` shows it
        id: String,
    },
}

/// A role as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleName {
    /// Everything.
    Root,
    /// Creates projects, changes and starts its own.
    #[value(name = "upstreamuser")]
    UpstreamUser,
    /// Reads.
    Viewer,
}

impl RoleName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::UpstreamUser => "upstreamuser",
            Self::Viewer => "viewer",
        }
    }
}

pub(super) async fn user(client: &Client, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add { name, role, password_file } => {
            let body = json!({ "name": name, "role": role.as_str(), "password": password(password_file)? });
            let user = client.submit(Method::POST, "/api/v1/users", &body).await?;
            told(client, &user, &format!("{} is added as {}", text(&user["name"]), text(&user["role"])))
        }
        UserCommand::List => {
            let page = client.get("/api/v1/users").await?;
            let rows = page["items"].as_array().into_iter().flatten();
            let rows =
                rows.map(|user| vec![text(&user["name"]), text(&user["role"]), distance(&user["created"])]);
            told(client, &page, &table(&["user", "role", "added"], rows))
        }
        UserCommand::Remove { name } => {
            client.delete(&format!("/api/v1/users/{}", segment(&name))).await?;
            told(client, &json!({ "name": name }), &format!("{} is removed", plain(&name)))
        }
        UserCommand::Passwd { name, password_file } => {
            let session = client.get("/api/v1/session").await?;
            let mut body = Map::new();
            // Root sets the passwords of others without theirs.
            if session["user"] == name.as_str() {
                let old = old_password(client, password_file.as_deref())?;
                body.extend(old.map(|old| ("old_password".to_owned(), json!(old))));
            }
            body.insert("password".to_owned(), json!(password(password_file)?));
            let path = format!("/api/v1/users/{}/password", segment(&name));
            client.send(client.request(Method::PUT, &path).json(&body)).await?;
            told(client, &json!({ "name": name }), &format!("the password of {} is changed", plain(&name)))
        }
    }
}

pub(super) async fn token(client: &Client, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { name, role, start, expires_in } => {
            let mut body = Map::from_iter([("name".to_owned(), json!(name))]);
            let given = [
                ("role", role.map(|role| role.as_str().to_owned())),
                ("start", start),
                ("expires_in", expires_in),
            ];
            body.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
            let token = client.submit(Method::POST, "/api/v1/tokens", &Value::Object(body)).await?;
            told(client, &token, &text(&token["token"]))
        }
        TokenCommand::List => {
            let page = client.get("/api/v1/tokens").await?;
            let rows = page["items"].as_array().into_iter().flatten().map(|token| {
                let scope = match token["scope"]["start"].as_str() {
                    Some(project) => format!("start {}", plain(project)),
                    None => text(&token["scope"]["role"]),
                };
                vec![
                    text(&token["id"]),
                    text(&token["name"]),
                    scope,
                    text(&token["owner"]),
                    distance(&token["expires"]),
                    distance(&token["last_used"]),
                ]
            });
            told(client, &page, &table(&["token", "name", "may", "of", "ends", "last used"], rows))
        }
        TokenCommand::Revoke { id } => {
            client.delete(&format!("/api/v1/tokens/{}", segment(&id))).await?;
            told(client, &json!({ "id": id }), &format!("token {} is ended", plain(&id)))
        }
    }
}

fn told(client: &Client, answer: &Value, words: &str) -> Result<(), Failure> {
    match client.output {
        Output::Json => document(answer),
        Output::Table => say(words),
    }
}

/// The password that somebody has now: typed where somebody is there to type the new one, else the one of this login.
fn old_password(client: &Client, new: Option<&Path>) -> Result<Option<String>, Failure> {
    match new {
        Some(_) => Ok(client.password().map(str::to_owned)),
        None => ask("Old password: ").map(Some),
    }
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::Usage(format!("no password: {error}. Give --password-file FILE")))
}

/// A password from a file, or typed twice without being seen.
fn password(file: Option<PathBuf>) -> Result<String, Failure> {
    if let Some(file) = file {
        return first_line(&file);
    }
    let first = ask("New password: ")?;
    match ask("Once more: ")? == first {
        true => Ok(first),
        false => Err(Failure::Usage("these are two different passwords: nothing was changed".to_owned())),
    }
}
