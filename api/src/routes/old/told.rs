//! What a master of 2014 says to its slave.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use engine::{Options, Secret};
use serde_json::{Value, json};

use super::input::{Given, given, host_and_port, required, take_port, text};
use crate::app::App;
use crate::http::RequestOrigin;
use crate::problem::Problem;
use crate::slave::told::{Message, ToldError};
use crate::strangers::StrangerRequest;

/// A master says that there is something new. It is answered at once, and the sync runs then.
pub(super) async fn sync(
    State(app): State<App>,
    Extension(origin): Extension<RequestOrigin>,
    Extension(stranger): Extension<StrangerRequest>,
    input: Body,
) -> Result<Json<Value>, Problem> {
    if app.nodes.is_some() {
        return Err(Problem::not_found("this is a master: it tells its slaves, and is told nothing"));
    }
    let Some(slave) = &app.told else {
        let details = "This slave follows its master by itself";
        return Ok(Json(json!({ "success": true, "details": details })));
    };
    if !slave.is_from_master(origin.address).await {
        return Err(Problem::forbidden("only the master of this slave may, from its own address"));
    }
    stranger.connection.prove();
    let given = given(&app, input).await?;
    let message = message(&given)?;
    let project = message.project.clone();
    let run = slave.obey(message).await?;
    tracing::info!(%project, %run, "the master told this slave to sync");
    // The words of 2014.
    Ok(Json(json!({ "success": true, "details": "Rsync call initiated on all slave nodes" })))
}

fn message(given: &Given) -> Result<Message, Problem> {
    let project = required(given, "project")?;
    let project = project.parse().map_err(|error: scheduler::project::ProjectIdError| {
        Problem::bad_request(format!("project: {error}"))
    })?;
    let wrong = |field: &'static str| move |why: String| Problem::bad_request(format!("{field}: {why}"));
    let (host, port) = host_and_port(&required(given, "rsync_host")?).map_err(wrong("rsync_host"))?;
    let options = given.get("rsync_options").cloned().unwrap_or_default();
    let list = |key: &str| -> Result<Vec<String>, Problem> {
        let list = serde_json::from_value(options[key].clone());
        list.map_err(|_| Problem::bad_request(format!("rsync_options.{key}: must be a list of texts")))
    };
    let (mut basic, defaults) = (list("basic")?, list("defaults")?);
    let delete = options["delete"].as_str().unwrap_or_default();
    let named = take_port(&mut basic).map_err(wrong("rsync_options"))?;
    let options = Options::new(&defaults, &basic, delete).map_err(|errors| {
        let words: Vec<String> = errors.iter().map(|error| format!("rsync_{error}")).collect();
        Problem::bad_request(words.join("; "))
    })?;
    let password = text(given, "rsync_password")?.map(Secret::password).transpose();
    let slave_id = given.get("slave_id").filter(|id| id.is_u64() || id.is_string()).cloned();
    Ok(Message {
        project,
        host,
        port: port.or(named),
        password: password.map_err(|error| wrong("rsync_password")(error.to_string()))?,
        options,
        slave_id: slave_id.ok_or_else(|| Problem::bad_request("slave_id: must be a number"))?,
    })
}

impl From<ToldError> for Problem {
    fn from(error: ToldError) -> Self {
        match error {
            ToldError::Host(_) | ToldError::Port(..) => Self::forbidden(error.to_string()),
            ToldError::Wrong(why) => Self::bad_request(why),
            ToldError::Refused(refusal) => refusal.into(),
            ToldError::File(error) => Self::insufficient_storage(error.to_string()),
        }
    }
}
