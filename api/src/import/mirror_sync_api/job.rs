//! One job of APScheduler, as a project.

use std::path::Path;
use std::str::FromStr;

use scheduler::ProjectId;

use super::super::pickle::Value;
use super::super::project::{Project, id_of, tidy_path};
use super::super::{options, source};
use super::when;

/// What is to be said about a job.
pub(super) struct JobNote {
    pub(super) option: String,
    pub(super) value: Option<String>,
    pub(super) advice: String,
    /// Heliostat does it in its own way.
    pub(super) harmless: bool,
}

/// The longest text and the longest list of a job; the pickle itself can name one text a thousand times.
const MAX_TEXT: usize = 4096;
const MAX_LIST: usize = 200;

/// Makes a project of the state that APScheduler keeps of a job. The error says why it is none.
/// Rule files are read from below `folder`.
pub(super) fn project(
    id: &str,
    state: Value<'_>,
    folder: &Path,
    notes: &mut Vec<JobNote>,
) -> Result<Project, String> {
    let func = text(state, "func").unwrap_or_default();
    if !func.ends_with("sync_project_from_upstream") {
        return Err(format!("it is no sync of a project, but runs `{func}`"));
    }
    let kwargs = state.get("kwargs").ok_or("it has no arguments")?;
    let need = |key: &str| text(kwargs, key).ok_or_else(|| format!("its `{key}` is not a text"));
    let (user, host, module) = (need("project")?, need("rsync_host")?, need("rsync_module")?);
    let dest = need("dest")?;
    let trigger = state.get("trigger").ok_or("it has no trigger")?;
    let schedule = when::schedule(trigger, notes)?;
    let mut project = Project {
        id: if ProjectId::from_str(id).is_ok() { id.to_owned() } else { id_of(id) },
        name: ProjectId::from_str(id).is_err().then(|| id.to_owned()),
        password: text(kwargs, "rsync_password").filter(|password| !password.is_empty()),
        // Data landed in a folder of the project's name.
        dest: tidy_path(&format!("{dest}/{user}")),
        schedule,
        ..Project::default()
    };
    let port = rsync_options(kwargs, folder, &mut project, notes)?;
    let (host, given) = match host.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (
            host.to_owned(),
            Some(port.parse::<u16>().map_err(|_| format!("its `rsync_host` has no port in `{port}`"))?),
        ),
        _ => (host, None),
    };
    let (module, path) = module.trim_start_matches('/').split_once('/').unwrap_or((&module, ""));
    let port = given.or(port).unwrap_or(engine::source::DEFAULT_PORT);
    project.source = Some(
        source::new(Some(&user), &host, port, module, path).map_err(|why| format!("its upstream: {why}"))?,
    );
    Ok(project)
}

/// The three parts of its options; the error says why not even a list can be made of them.
fn rsync_options(
    kwargs: Value<'_>,
    folder: &Path,
    project: &mut Project,
    notes: &mut Vec<JobNote>,
) -> Result<Option<u16>, String> {
    let Some(given) = kwargs.get("rsync_options").filter(|given| !given.is_nothing()) else {
        return Ok(None);
    };
    let mut port = None;
    let mut lists = Vec::new();
    for part in ["defaults", "basic"] {
        let Some(value) = given.get(part).filter(|value| !value.is_nothing()) else {
            lists.push(None);
            continue;
        };
        // Each element went through a shell.
        let mut words = Vec::new();
        for element in
            texts(value).ok_or_else(|| format!("its `rsync_options.{part}` is no list of texts"))?
        {
            match options::shell_words(&element) {
                Ok(more) => words.extend(more),
                Err(why) => {
                    let advice = format!("{why}, which nothing does here: write what it meant");
                    notes.push(JobNote {
                        option: format!("rsync_options.{part}"),
                        value: Some(element),
                        advice,
                        harmless: false,
                    });
                    project.rests = Some("an option of its could not be read".to_owned());
                }
            }
        }
        let mapped = options::map(&words, folder);
        project.max_delete = project.max_delete.or(mapped.max_delete);
        project.delete = project.delete.take().or(mapped.delete);
        port = port.or(mapped.port);
        for left in mapped.left {
            if left.changes_the_tree {
                project.rests = Some(format!("without {} it would hold other files", left.option));
            }
            let option = format!("rsync_options.{part}");
            notes.push(JobNote {
                option,
                value: Some(left.option),
                advice: left.why,
                harmless: left.harmless,
            });
        }
        lists.push(Some(mapped.options));
    }
    if let (Some(basic), Some(defaults)) = (lists.pop(), lists.pop()) {
        project.defaults = defaults;
        project.basic = basic.unwrap_or_default();
    }
    // An empty one means that nothing is deleted, unless another part of the options said how.
    if let Some(delete) = text(given, "delete")
        && (project.delete.is_none() || !delete.is_empty())
    {
        project.delete = Some(if delete == "--del" { "--delete-during".to_owned() } else { delete });
    }
    Ok(port)
}

fn text(value: Value<'_>, key: &str) -> Option<String> {
    value.get(key)?.text().filter(|text| text.len() <= MAX_TEXT).map(str::to_owned)
}

fn texts(value: Value<'_>) -> Option<Vec<String>> {
    let mut list = Vec::new();
    for item in value.items()? {
        if list.len() == MAX_LIST {
            return None;
        }
        list.push(item.text().filter(|text| text.len() <= MAX_TEXT)?.to_owned());
    }
    Some(list)
}
