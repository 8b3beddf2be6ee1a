//! The documents tell the truth: every route, command and configuration key is in them, and what they link to is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_route_is_in_the_api_document() {
    for route in api::routes::table() {
        let name = if route.old.is_some() { "docs/api-2014.md" } else { "docs/api.md" };
        let text = document(name);
        let heading = format!("{} {}", route.method.to_uppercase(), route.path);
        assert!(text.contains(&heading), "{name} does not mention `{heading}`");
        for query in route.query {
            assert!(text.contains(&format!("`{}`", query.name)), "{name} does not mention `{}`", query.name);
        }
    }
}

#[test]
fn every_command_is_in_the_command_document() {
    let text = document("docs/commands.md");
    let mut missing = Vec::new();
    walk(&api::cli::command(), "", &text, &mut missing);
    assert!(missing.is_empty(), "docs/commands.md does not mention {missing:?}");
}

/// Notes every command and flag below `command` that `text` lacks. Hidden ones are the server's own.
fn walk(command: &api::cli::Clap, path: &str, text: &str, missing: &mut Vec<String>) {
    let shown = |inner: &&api::cli::Clap| inner.get_name() != "help" && !inner.is_hide_set();
    for inner in command.get_subcommands().filter(shown) {
        let name = format!("{path} {}", inner.get_name());
        let is_group = inner.get_subcommands().next().is_some();
        if !is_group && !text.contains(name.trim()) {
            missing.push(name.clone());
        }
        for argument in inner.get_arguments().filter_map(|argument| argument.get_long()) {
            if !text.contains(&format!("--{argument}")) {
                missing.push(format!("{name} --{argument}"));
            }
        }
        walk(inner, &name, text, missing);
    }
}

#[test]
fn every_configuration_key_is_in_the_configuration_document() {
    let text = document("docs/configuration.md");
    let mut keys = BTreeSet::new();
    for template in [api::config::MASTER, api::config::SLAVE] {
        for line in template.lines() {
            let line = line.trim().trim_start_matches("//");
            if let Some((key, _)) = line.split_once(": ")
                && !key.is_empty()
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                keys.insert(key.to_owned());
            }
        }
    }
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert!(text.contains(&format!("`{key}`")), "docs/configuration.md does not mention `{key}`");
    }
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let mut names: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"]
        .map(|name| root().join(name))
        .to_vec();
    for folder in ["docs", "docs/plugins"] {
        names.extend(fs::read_dir(root().join(folder)).unwrap().flatten().map(|entry| entry.path()));
    }
    for name in names.iter().filter(|name| name.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(name).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { name.clone() } else { name.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target} is not there", name.display());
            if !heading.is_empty() {
                let there = fs::read_to_string(&path).unwrap();
                let has =
                    there.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(has, "{}: {target} names no heading", name.display());
            }
        }
    }
}

/// What a link to a heading says of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_openapi_document_describes_every_route() {
    let document = api::routes::document();
    assert_eq!(document["openapi"], "3.1.0");
    for route in api::routes::table() {
        let operation = &document["paths"][route.path][route.method];
        assert!(operation["summary"].is_string(), "{} {}", route.method, route.path);
        assert!(operation["responses"].is_object());
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][name].is_object(), "schema {name} is not there");
    }
}

/// Pieces of a configuration that stand in the documents.
#[test]
fn every_piece_of_a_configuration_in_the_documents_can_be_read() {
    let mut found = 0;
    for name in ["docs/alerts.md", "docs/configuration.md", "docs/plugins.md", "docs/slaves.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(pages_of_plugins())
    {
        let text = document(&name);
        let pieces = text.split("```ron\n").skip(1).filter_map(|rest| rest.split("```").next());
        // An ellipsis stands for what is left out.
        for piece in pieces.filter(|piece| !piece.contains('…')) {
            found += 1;
            let piece = piece.trim().trim_end_matches(',');
            let whole = match piece {
                plugin if plugin.starts_with("(\n    id:") => {
                    format!("(plugins: (load: [{plugin}]), role: Master())")
                }
                group if group.starts_with('(') => group.to_owned(),
                keys if keys.contains("role:") => format!("({keys})"),
                keys => format!("({keys}, role: Master())"),
            };
            if let Err(errors) = api::config::Config::parse(&name, &whole) {
                panic!("{}\nof {name}:\n{whole}", api::config::check_report(&errors));
            }
        }
    }
    assert!(found >= 10, "{found}");
}

fn pages_of_plugins() -> Vec<String> {
    let pages = fs::read_dir(root().join("docs/plugins")).unwrap();
    pages.map(|page| format!("docs/plugins/{}", page.unwrap().file_name().into_string().unwrap())).collect()
}
