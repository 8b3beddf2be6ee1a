//! Everything in worker.conf that is not a mirror: what mirrors take from it, and what becomes of the rest.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::super::{Import, ImportError, Weight};
use super::table::{Reader, says_nothing, shown};

/// What mirrors take from `[global]` when they do not say otherwise.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// The file itself; what it names is read from its folder only.
    pub(super) file: PathBuf,
    pub(super) mirror_dir: String,
    pub(super) interval: Option<u64>,
    pub(super) retry: Option<u64>,
    pub(super) timeout: Option<u64>,
    pub(super) rsync_options: Vec<String>,
    /// `include_mirrors` of `[include]`.
    pub(super) include: Option<String>,
}

pub(super) const HOOKS: &str =
    "commands are not run by Heliostat: follow `GET /api/v1/events` and act on the end of a run from there";
pub(super) const CODES: &str =
    "Heliostat judges rsync's exit codes itself (docs/projects.md: 23 and 24 make a run `partial`)";
const CGROUP: &str = "limit the whole service instead: MemoryMax= and the like in heliostat.service; every rsync runs in its \
                      group, and is ended as a whole";
pub(super) const DOCKER: &str =
    "rsync runs without a container; heliostat.service already shuts it off from the rest of the machine";
const MANAGER: &str = "there is no manager beside the server: `heliostat status` and the API are it";
const LISTEN: &str = "set `listen` in heliostat.ron; other machines need `tls` or a proxy as well";
const TLS: &str = "give it as `tls: (cert: …, key: …)` in heliostat.ron";
pub(super) const SNAPSHOT: &str =
    "snapshots are not taken: follow `GET /api/v1/events` and take one after a run that succeeded";
const ZFS: &str =
    "tunasync only checks that the dataset is mounted: RequiresMountsFor= in heliostat.service does the same";

/// What becomes of each option that is no mirror's. One that is in no row is not tunasync's.
const KNOWN: [(&str, &str, Weight, &str); 29] = [
    (
        "global",
        "name",
        Weight::Otherwise,
        "a server has no name; give projects labels where sites must be told apart",
    ),
    (
        "global",
        "log_dir",
        Weight::Otherwise,
        "each run's log is kept in `data_dir`, and shown by `heliostat log`",
    ),
    (
        "global",
        "mirror_dir",
        Weight::Otherwise,
        "stands in each project's `dest`; it can be `allowed_roots` in heliostat.ron",
    ),
    ("global", "concurrent", Weight::Unmapped, ""),
    ("global", "interval", Weight::Otherwise, "stands in each project's `schedule`"),
    ("global", "retry", Weight::Otherwise, "stands in each project's `retry`"),
    ("global", "timeout", Weight::Otherwise, "stands in each project's `timeout`"),
    (
        "global",
        "rsync_options",
        Weight::Otherwise,
        "stand in each project's `options`, as tunasync would have given them",
    ),
    ("global", "exec_on_success", Weight::Unmapped, HOOKS),
    ("global", "exec_on_failure", Weight::Unmapped, HOOKS),
    ("global", "dangerous_global_success_exit_codes", Weight::Unmapped, CODES),
    ("global", "dangerous_global_rsync_success_exit_codes", Weight::Unmapped, CODES),
    ("manager", "api_base", Weight::Otherwise, MANAGER),
    ("manager", "api_base_list", Weight::Otherwise, MANAGER),
    ("manager", "ca_cert", Weight::Otherwise, MANAGER),
    ("manager", "token", Weight::Otherwise, "tunasync ignores it too"),
    ("server", "hostname", Weight::Otherwise, MANAGER),
    ("server", "listen_addr", Weight::Unmapped, LISTEN),
    ("server", "listen_port", Weight::Unmapped, LISTEN),
    ("server", "ssl_cert", Weight::Unmapped, TLS),
    ("server", "ssl_key", Weight::Unmapped, TLS),
    ("cgroup", "base_path", Weight::Unmapped, CGROUP),
    ("cgroup", "group", Weight::Unmapped, CGROUP),
    ("cgroup", "subsystem", Weight::Unmapped, CGROUP),
    ("docker", "volumes", Weight::Unmapped, DOCKER),
    ("docker", "options", Weight::Unmapped, DOCKER),
    ("zfs", "zpool", Weight::Unmapped, ZFS),
    ("btrfs_snapshot", "snapshot_path", Weight::Unmapped, SNAPSHOT),
    ("include", "include_mirrors", Weight::Otherwise, ""),
];
/// Sections that count only with `enable = true`, and what their being switched on means.
const SWITCHED: [(&str, &str); 4] =
    [("cgroup", CGROUP), ("docker", DOCKER), ("zfs", ZFS), ("btrfs_snapshot", SNAPSHOT)];

/// Reads the sections, and notes what becomes of each option.
pub(super) fn read(file: &Path, config: &Table, import: &mut Import) -> Result<Site, ImportError> {
    let root = Reader::new(file, config, "the file");
    for (name, value) in config {
        let known = KNOWN.iter().any(|(section, ..)| section == name);
        match value {
            Value::Table(section) if known => notes(name, section, import),
            _ if name == "mirrors" => {}
            _ if known => drop(root.section(name)?),
            _ => import.note(Weight::Unmapped, format!("[{name}]"), None, "tunasync does not know it either"),
        }
    }
    let section = root.section("global")?;
    let global = Reader::new(file, &section, "[global]");
    if let Some(concurrent) = global.number("concurrent")? {
        let advice = format!("put `rsync: (concurrent: {concurrent})` into heliostat.ron");
        import.note(Weight::Unmapped, "[global] concurrent", Some(concurrent.to_string()), advice);
    }
    let include = root.section("include")?;
    let timeout = global.number("timeout")?;
    if timeout.is_none() {
        let advice = "an attempt without one runs for ever in tunasync, and is ended after 24h here: \
                      set `timeout` where that is too short";
        import.note(Weight::Otherwise, "[global] timeout", None, advice);
    }
    Ok(Site {
        file: file.to_owned(),
        mirror_dir: global.text("mirror_dir")?.unwrap_or_default().to_owned(),
        interval: global.number("interval")?,
        retry: global.number("retry")?,
        timeout,
        rsync_options: global.texts("rsync_options")?.unwrap_or_default(),
        include: Reader::new(file, &include, "[include]").text("include_mirrors")?.map(str::to_owned),
    })
}

fn notes(name: &str, section: &Table, import: &mut Import) {
    if let Some((_, advice)) = SWITCHED.iter().find(|(switched, _)| *switched == name) {
        if section.get("enable") != Some(&Value::Boolean(true)) {
            // Switched off, the rest of it does nothing.
            return;
        }
        import.note(Weight::Unmapped, format!("[{name}] enable"), Some("true".to_owned()), *advice);
    }
    for (key, value) in section.iter().filter(|(key, value)| *key != "enable" && !says_nothing(value)) {
        let option = format!("[{name}] {key}");
        match KNOWN.iter().find(|(section, known, ..)| section == &name && known == key) {
            // These two say what they became of elsewhere.
            Some((.., "")) => {}
            Some((.., weight, advice)) => {
                let secret = key == "token";
                import.note(*weight, option, (!secret).then(|| shown(value)), *advice);
            }
            None => import.note(Weight::Unmapped, option, None, "tunasync does not know it either"),
        }
    }
}
