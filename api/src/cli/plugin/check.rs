//! `plugin check`: what a file is and needs, or why no server would take it; and whether one would take the plugins of its
//! configuration.

use std::path::Path;

use plugins::{Plugins, Services};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::cli::failure::Failure;
use crate::cli::table::table;
use crate::cli::terminal::{document, plain, say};
use crate::config::{self, Config};

/// Looks at a file as a server would; ends with 2 when that would refuse it.
pub(super) async fn run(file: &Path, output: Output) -> Result<(), Failure> {
    let shape = plugins::check(file).await;
    let shape = shape.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    let document = json!({
        "sha256": shape.digest.to_string(),
        "bytes": shape.bytes,
        "version": shape.version,
        "world": shape.world(),
        "hooks": shape.parts.iter().map(|part| part.as_str()).collect::<Vec<_>>(),
        "imports": shape.imports,
        "needs": shape.needs.iter().map(|need| need.as_str()).collect::<Vec<_>>(),
    });
    if output == Output::Json {
        return say(&format!("{document:#}"));
    }
    let words = |key: &str| {
        let words = document[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(plain);
        words.collect::<Vec<_>>().join(", ")
    };
    let needs = shape.needs.iter().map(|need| format!("\n           grant {}", need.grant()));
    let needs = if shape.needs.is_empty() { "nothing".to_owned() } else { needs.collect() };
    say(&format!(
        "world      {}, for version {} of heliostat:plugin\nhooks      {}\nimports    {}\nneeds      {}\nbytes      {}\nsha256     {}",
        shape.world(),
        plain(&shape.version),
        words("hooks"),
        words("imports"),
        needs.trim_start(),
        shape.bytes,
        shape.digest
    ))
}

/// Loads every plugin of a configuration as a server would, the secrets left out; ends with 2 when one is refused.
pub(super) async fn configured(file: &Path, output: Output) -> Result<(), Failure> {
    let loaded = Config::load(Some(file))
        .map_err(|errors| Failure::Usage(config::check_report(&errors).trim_end().to_owned()))?;
    let mut settings = loaded.config.plugins.settings_to_check(&loaded.config.data_dir);
    for plugin in &mut settings.plugins {
        // All that are wrong are to be told, and not the first one only.
        plugin.required = false;
    }
    let plugins = Plugins::load(settings, Services::default()).await;
    let plugins = plugins.map_err(|error| Failure::Failed(error.to_string()))?.list();
    let documents = plugins.iter().map(|plugin| {
        json!({
            "id": plugin.settings.id,
            "path": plugin.settings.path,
            "sha256": plugin.shape.as_ref().map(|shape| shape.digest.to_string()),
            "refused": plugin.refused,
        })
    });
    let rows = plugins.iter().map(|plugin| {
        let state = if plugin.refused.is_some() { "refused" } else { "good" };
        vec![plain(&plugin.settings.id), plain(&plugin.settings.path.display().to_string()), state.to_owned()]
    });
    match output {
        Output::Json => document(&Value::Array(documents.collect()))?,
        Output::Table if plugins.is_empty() => say("no plugin is configured (plugins.load)")?,
        Output::Table => say(&table(&["plugin", "file", "state"], rows))?,
    }
    let refused = plugins.iter().filter_map(|plugin| Some((&plugin.settings.id, plugin.refused.as_ref()?)));
    let refused: Vec<String> = refused.map(|(id, why)| format!("{}: {}", plain(id), plain(why))).collect();
    if refused.is_empty() { Ok(()) } else { Err(Failure::Usage(refused.join("\n"))) }
}
