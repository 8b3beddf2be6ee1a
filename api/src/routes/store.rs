//! The store of a running server: checked, and backed up.

use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use chrono::Utc;
use scheduler::store::{BackupError, Checked};
use serde::Serialize;

use super::input::json;
use crate::app::App;
use crate::http::body;
use crate::problem::{FieldError, Problem};

/// What a check found, as clients see it.
#[derive(Debug, Serialize)]
pub struct CheckedView {
    commit: u64,
    projects: usize,
    runs: usize,
    live: usize,
    problems: Vec<String>,
}

impl From<Checked> for CheckedView {
    fn from(checked: Checked) -> Self {
        let Checked { commit, projects, runs, live, problems } = checked;
        Self { commit, projects, runs, live, problems }
    }
}

/// A backup, as clients see it.
#[derive(Debug, Serialize)]
pub(super) struct BackupView {
    path: String,
    records: u64,
    commit: u64,
}

pub(super) async fn check(State(app): State<App>) -> Result<Json<CheckedView>, Problem> {
    let checked = tokio::task::spawn_blocking(move || app.scheduler.store().check()).await;
    let checked = checked.map_err(|error| Problem::internal(&error))?.map_err(Problem::from)?;
    Ok(Json(checked.into()))
}

pub(super) async fn backup(State(app): State<App>, input: Body) -> Result<Json<BackupView>, Problem> {
    let input = json(&body(input, app.max_body).await?)?;
    let folder = input["folder"].as_str().map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = folder.ok_or_else(|| {
        Problem::invalid(vec![FieldError::new(
            "folder",
            "must be the absolute path of a folder on the server",
        )])
    })?;
    let made = tokio::task::spawn_blocking(move || app.scheduler.store().backup(&folder, Utc::now())).await;
    match made.map_err(|error| Problem::internal(&error))? {
        Ok(made) => {
            let path = made.path.display().to_string();
            Ok(Json(BackupView { path, records: made.records, commit: made.commit }))
        }
        Err(error @ BackupError::File { .. }) => {
            Err(Problem::invalid(vec![FieldError::new("folder", error.to_string())]))
        }
        Err(BackupError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::internal(&error)),
    }
}
