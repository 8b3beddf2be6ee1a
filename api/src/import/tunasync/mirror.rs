//! One mirror of tunasync, as a project.

use std::path::Path;
use std::str::FromStr;

use scheduler::ProjectId;
use toml::{Table, Value};

use super::super::project::{Project, Schedule, id_of, pause_of_minutes, tidy_path};
use super::super::{Content, Entry, Import, ImportError, Weight, options, source};
use super::note;
use super::site::{CODES, DOCKER, HOOKS, SNAPSHOT, Site};
use super::table::{Reader, name_of, says_nothing, shown};

/// tunasync's own options of a sync in one stage, and of the second stage of two; without `-vh` and `--stats`, which
/// only shape what rsync says.
const BASE: [&str; 7] =
    ["-aH", "--no-o", "--no-g", "--delete", "--delete-after", "--delay-updates", "--safe-links"];
/// Attempts of a run when nothing says how many.
const RETRY: u64 = 2;
/// rsync's `--timeout` when nothing says how long.
const TIMEOUT: u64 = 120;

const COMMANDS_ONLY: &str = "tunasync reads it of mirrors that run a command only; here it means nothing";

/// Options of a mirror that become no setting of a project.
const UNMAPPED: [(&str, Weight, &str); 15] = [
    ("log_dir", Weight::Otherwise, "each run's log is kept in `data_dir`, and shown by `heliostat log`"),
    ("exec_on_success", Weight::Unmapped, HOOKS),
    ("exec_on_failure", Weight::Unmapped, HOOKS),
    ("exec_on_success_extra", Weight::Unmapped, HOOKS),
    ("exec_on_failure_extra", Weight::Unmapped, HOOKS),
    ("success_exit_codes", Weight::Unmapped, CODES),
    ("rsync_success_exit_codes", Weight::Unmapped, CODES),
    ("fail_on_match", Weight::Otherwise, COMMANDS_ONLY),
    ("size_pattern", Weight::Otherwise, COMMANDS_ONLY),
    (
        "command",
        Weight::Unmapped,
        "another rsync is set for all projects: `rsync: (program: …)` in heliostat.ron",
    ),
    (
        "memory_limit",
        Weight::Unmapped,
        "a single mirror has no limit of its own: MemoryMax= in heliostat.service bounds all of them together",
    ),
    ("docker_image", Weight::Unmapped, DOCKER),
    ("docker_volumes", Weight::Unmapped, DOCKER),
    ("docker_options", Weight::Unmapped, DOCKER),
    ("snapshot_path", Weight::Unmapped, SNAPSHOT),
];
/// Options that [`project`] reads.
const MAPPED: [&str; 22] = [
    "name",
    "provider",
    "upstream",
    "interval",
    "retry",
    "timeout",
    "mirror_dir",
    "mirror_subdir",
    "env",
    "role",
    "use_ipv4",
    "use_ipv6",
    "exclude_file",
    "username",
    "password",
    "rsync_no_timeout",
    "rsync_timeout",
    "rsync_options",
    "rsync_override",
    "rsync_override_only",
    "stage1_profile",
    "mirrors",
];

/// A mirror that is pulled with rsync, and what holds for all.
#[derive(Clone, Copy)]
struct Mirror<'a> {
    reader: &'a Reader<'a>,
    name: &'a str,
    site: &'a Site,
    two_stages: bool,
}

/// Adds the mirror, as a project or as something that is left out.
pub(super) fn add(file: &Path, mirror: &Table, site: &Site, import: &mut Import) -> Result<(), ImportError> {
    let place = name_of(mirror);
    let reader = Reader::new(file, mirror, &place);
    let name = reader.text("name")?.ok_or_else(|| ImportError::new(file, "has a mirror without a `name`"))?;
    let provider = reader.text("provider")?.unwrap_or("rsync");
    let out = |reason: String| {
        let settings = mirror
            .iter()
            .filter(|(key, value)| !matches!(key.as_str(), "name" | "password") && !says_nothing(value));
        let settings = settings.map(|(key, value)| format!("{key} = {}", shown(value))).collect();
        Entry { name: name.to_owned(), content: Content::Unmapped(reason, settings) }
    };
    let (option, reason) = match provider {
        "rsync" | "two-stage-rsync" => match reader.text("upstream")?.map(source::parse) {
            Some(Ok(source)) => {
                let mirror_of =
                    Mirror { reader: &reader, name, site, two_stages: provider == "two-stage-rsync" };
                let project = project(&mirror_of, source, import)?;
                unmapped(mirror, name, import);
                import
                    .entries
                    .push(Entry { name: name.to_owned(), content: Content::Taken(Box::new(project)) });
                return Ok(());
            }
            Some(Err(why)) => ("upstream", why),
            None => ("upstream", "is missing".to_owned()),
        },
        "command" => (
            "provider = \"command\"",
            "name its program under `commands` in heliostat.ron, and add the project with the source command:NAME"
                .to_owned(),
        ),
        _ => {
            return Err(ImportError::new(
                file,
                format!("{place}: `provider` must be rsync, two-stage-rsync or command"),
            ));
        }
    };
    import.notes.push(note(
        Weight::Unmapped,
        Some(name),
        option,
        None,
        &format!("the mirror is left out: {reason}"),
    ));
    import.entries.push(out(reason));
    Ok(())
}

/// Notes everything that became no setting.
fn unmapped(mirror: &Table, name: &str, import: &mut Import) {
    for (key, value) in mirror.iter().filter(|(_, value)| !says_nothing(value)) {
        match UNMAPPED.iter().find(|(known, ..)| known == key) {
            Some((_, weight, advice)) => {
                import.notes.push(note(*weight, Some(name), key, Some(shown(value)), advice));
            }
            None if MAPPED.contains(&key.as_str()) => {}
            None => import.notes.push(note(
                Weight::Unmapped,
                Some(name),
                key,
                None,
                "tunasync does not know it either",
            )),
        }
    }
}

fn project(mirror: &Mirror<'_>, source: engine::Source, import: &mut Import) -> Result<Project, ImportError> {
    let Mirror { reader, name, site, .. } = *mirror;
    let is_id = ProjectId::from_str(name).is_ok();
    let below = || {
        let subdir = reader.text("mirror_subdir")?.unwrap_or_default();
        Ok::<_, ImportError>(format!("{}/{subdir}/{name}", site.mirror_dir))
    };
    let dest = reader.text("mirror_dir")?.map_or_else(below, |dir| Ok(dir.to_owned()))?;
    let interval = reader.number("interval")?.or(site.interval);
    if interval.is_none() {
        let advice = "there is none, with which tunasync starts again at once: the project runs by hand only, \
                      so give it a `schedule`";
        import.notes.push(note(Weight::Unmapped, Some(name), "interval", None, advice));
    }
    let mut project = Project {
        id: if is_id { name.to_owned() } else { id_of(name) },
        name: (!is_id).then(|| name.to_owned()),
        dest: tidy_path(&dest),
        schedule: interval.map_or(Schedule::Manual, |minutes| Schedule::Every(pause_of_minutes(minutes))),
        attempts: Some(reader.number("retry")?.or(site.retry).unwrap_or(RETRY)),
        timeout: reader.number("timeout")?.or(site.timeout).map(|seconds| format!("{seconds}s")),
        ..Project::default()
    };
    if let Some(role) = reader.text("role")? {
        // It only says what others are shown.
        project.labels.insert("role".to_owned(), role.to_owned());
    }
    login(mirror, source, &mut project, import)?;
    rsync_options(mirror, &mut project, import)?;
    Ok(project)
}

/// The user and the password: options of their own, or in the environment of rsync.
fn login(
    mirror: &Mirror<'_>,
    source: engine::Source,
    project: &mut Project,
    import: &mut Import,
) -> Result<(), ImportError> {
    let Mirror { reader, name, .. } = *mirror;
    let env = reader.section("env")?;
    let variable = |key: &str| env.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let user = reader.text("username")?.or(variable("USER"));
    project.password = reader.text("password")?.or(variable("RSYNC_PASSWORD")).map(str::to_owned);
    project.source = Some(match source::with(&source, user, None) {
        Ok(source) => source,
        Err(why) => {
            import.notes.push(note(
                Weight::Unmapped,
                Some(name),
                "username",
                None,
                &format!("is left out: {why}"),
            ));
            source
        }
    });
    let others: Vec<_> =
        env.keys().filter(|key| !matches!(key.as_str(), "USER" | "RSYNC_PASSWORD")).collect();
    if !others.is_empty() {
        let names = others.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
        let advice =
            "rsync gets no environment of a project's own: what all need goes into heliostat.service";
        import.notes.push(note(Weight::Unmapped, Some(name), "env", Some(names), advice));
    }
    Ok(())
}

/// The options in the order in which tunasync gives them.
fn rsync_options(mirror: &Mirror<'_>, project: &mut Project, import: &mut Import) -> Result<(), ImportError> {
    let Mirror { reader, name, site, two_stages } = *mirror;
    let mut base: Vec<String> = BASE.iter().map(|word| (*word).to_owned()).collect();
    let mut more = Vec::new();
    let override_only = reader.truth("rsync_override_only")?;
    let overridden = reader.texts("rsync_override")?;
    let own = reader.texts("rsync_options")?.unwrap_or_default();
    let mut general = Vec::new();
    if !reader.truth("rsync_no_timeout")? {
        general.push(format!("--timeout={}", reader.number("rsync_timeout")?.unwrap_or(TIMEOUT)));
    } else if two_stages || !override_only {
        let advice =
            "rsync always has a --timeout here (10m), and a run in which nothing moves is ended: set `stall`";
        import.notes.push(note(
            Weight::Unmapped,
            Some(name),
            "rsync_no_timeout",
            Some("true".to_owned()),
            advice,
        ));
    }
    if reader.truth("use_ipv6")? {
        general.push("-6".to_owned());
    } else if reader.truth("use_ipv4")? {
        general.push("-4".to_owned());
    }
    let excludes = reader.text("exclude_file")?.map(|file| format!("--exclude-from={file}"));
    general.extend(excludes.clone());
    if two_stages {
        more.extend(own.into_iter().chain(general));
        let profile = reader.text("stage1_profile")?;
        let (weight, advice) = match profile {
            Some("debian" | "debian-oldstyle") => {
                project.stages = Some("debian");
                (Weight::Otherwise, "is `stages: \"debian\"` here, with the patterns of ftpsync")
            }
            _ => (
                Weight::Unmapped,
                "is a profile that is not known here: one run brings all; give the project `stages` with the patterns \
                 of its index",
            ),
        };
        let profile = profile.map(|profile| format!("{profile:?}"));
        import.notes.push(note(weight, Some(name), "stage1_profile", profile, advice));
    } else {
        base = overridden.unwrap_or(base);
        if !override_only {
            more.extend(general.into_iter().chain(site.rsync_options.iter().cloned()).chain(own));
        }
    }
    let folder = super::folder_of(&site.file);
    let (base, more) = (options::map(&base, folder), options::map(&more, folder));
    // Both lists went to one rsync.
    let all = [&more, &base].into_iter().any(|part| part.delete.as_deref() == Some("--delete-excluded"));
    let delete = more.delete.filter(|mode| mode != "--delete" || base.delete.is_none()).or(base.delete);
    project.delete = Some(if all { "--delete-excluded".to_owned() } else { delete.unwrap_or_default() });
    project.max_delete = more.max_delete.or(base.max_delete);
    let (defaults, basic) = options::spread(base.options, more.options);
    (project.defaults, project.basic) = (Some(defaults), basic);
    if let (Some(port), Some(source)) = (more.port.or(base.port), &project.source)
        && source.port() == engine::source::DEFAULT_PORT
    {
        project.source = source::with(source, None, Some(port)).ok();
    }
    for left in base.left.into_iter().chain(more.left) {
        if left.changes_the_tree {
            project.rests = Some(format!("without {} it would hold other files", left.option));
        }
        let weight = if left.harmless { Weight::Otherwise } else { Weight::Unmapped };
        let is_file = excludes.as_ref().is_some_and(|file| left.option.starts_with(file));
        let option = if is_file { "exclude_file" } else { "rsync_options" };
        import.notes.push(note(weight, Some(name), option, Some(left.option), &left.why));
    }
    Ok(())
}
