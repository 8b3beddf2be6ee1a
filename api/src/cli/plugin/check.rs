//! `plugin check`: what a file is and needs, or why no server would take it.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Output;
use crate::cli::failure::Failure;
use crate::cli::terminal::{plain, say};

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
