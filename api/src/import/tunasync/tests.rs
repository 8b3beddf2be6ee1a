//! A worker.conf with every option of tunasync 0.10, and small ones for each rule.

use std::fs;

use serde_json::{Value as Json, json};

use super::*;

fn every_option() -> Import {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/import/tunasync/every-option.conf"))
        .unwrap()
}

fn item(import: &Import, id: &str) -> Json {
    let json = import.json();
    let found = json["items"].as_array().unwrap().iter().find(|item| item["id"] == id);
    found.unwrap_or_else(|| panic!("{id} is not there: {json:#}")).clone()
}

/// What a worker.conf of this text gives.
fn conf(text: &str) -> Result<Import, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.conf");
    fs::write(&file, text).unwrap();
    read(&file).map_err(|error| error.to_string())
}

/// One with a mirror `m` of these lines.
fn with_mirror(lines: &str) -> String {
    let head = "[global]\nmirror_dir = \"/srv\"\ninterval = 60\n[[mirrors]]\nname = \"m\"\nupstream = \"rsync://h/m/\"\n";
    format!("{head}{lines}")
}

#[test]
fn every_option_is_mapped_or_named() {
    let import = every_option();
    let noted: Vec<_> = import.notes().iter().map(|note| note.option.as_str()).collect();
    let sections = [
        (
            "global",
            "name log_dir mirror_dir concurrent interval retry timeout rsync_options exec_on_success \
          exec_on_failure dangerous_global_success_exit_codes dangerous_global_rsync_success_exit_codes",
        ),
        ("manager", "api_base api_base_list ca_cert token"),
        ("server", "hostname listen_addr listen_port ssl_cert ssl_key"),
        ("cgroup", "enable base_path group subsystem"),
        ("docker", "enable volumes options"),
        ("zfs", "enable zpool"),
        ("btrfs_snapshot", "enable snapshot_path"),
        ("include", "include_mirrors"),
    ];
    for (section, keys) in sections {
        for key in keys.split_whitespace() {
            let option = format!("[{section}] {key}");
            assert!(noted.contains(&option.as_str()), "{option}: {noted:?}");
        }
    }
    let unmapped = "log_dir exec_on_success exec_on_failure exec_on_success_extra exec_on_failure_extra \
                    success_exit_codes rsync_success_exit_codes command fail_on_match size_pattern memory_limit \
                    docker_image docker_volumes docker_options snapshot_path stage1_profile rsync_no_timeout env";
    for option in unmapped.split_whitespace() {
        assert!(noted.contains(&option), "{option}: {noted:?}");
    }
    let ron = import.ron();
    assert!(ron.contains("put `rsync: (concurrent: 10)` into heliostat.ron"));
    assert!(!ron.contains("some_token") && !ron.contains("not-for-others"));
}

#[test]
fn a_mirror_becomes_a_project_with_all_that_it_says() {
    assert_eq!(
        item(&every_option(), "all-options"),
        json!({
            "id": "all-options",
            "source": {
                "host": "rsync.example.org", "port": 8873, "module": "pub", "path": "all", "user": "mirror",
                "password": "tunasync-secret"
            },
            "dest": "/srv/mirror/array1/all-options",
            "schedule": {"every": "1d"},
            "options": {
                "defaults": ["-aH", "--no-o", "--no-g", "--delay-updates", "--safe-links"],
                "basic": ["--timeout=600", "-4", "--bwlimit=20000", "--exclude=*.iso"],
                "delete": "--delete-after"
            },
            "retry": {"attempts": 5},
            "timeout": "7200s",
            "guard": {"max_delete": 5000},
            "labels": {"role": "slave"},
        })
    );
}

#[test]
fn two_stages_stay_two_without_the_options_that_tunasync_ignores_there() {
    let debian = item(&every_option(), "debian");
    assert_eq!(debian["stages"], "debian");
    assert_eq!(
        debian["options"],
        json!({
            "defaults": ["-aH", "--no-o", "--no-g", "--delay-updates", "--safe-links"],
            "basic": ["--timeout=120", "-6"], "delete": "--delete-excluded"
        })
    );
    assert_eq!(debian["schedule"], json!({"every": "6h"}));
    assert_eq!(debian["retry"], json!({"attempts": 3}));
    assert_eq!(debian["timeout"], "43200s");
    assert!(debian.get("guard").is_none());
}

#[test]
fn overridden_options_stand_alone_and_the_login_can_be_in_the_environment() {
    let overridden = item(&every_option(), "overridden");
    assert_eq!(
        overridden["options"],
        json!({"defaults": ["-rlptH", "--safe-links"], "delete": "--delete-delay"})
    );
    assert_eq!(overridden["dest"], "/srv/elsewhere/overridden");
    assert_eq!(overridden["source"]["user"], "somebody");
    assert_eq!(overridden["source"]["password"], "from-the-environment");
}

#[test]
fn a_mirror_whose_excludes_cannot_be_read_rests_until_somebody_has_looked() {
    let import = every_option();
    let excluded = item(&import, "excluded");
    assert_eq!(excluded["enabled"], false);
    let report = import.report().join("\n");
    assert!(
        report.contains("--exclude-from=/nonexistent/heliostat/excludes.txt (excluded): cannot be read here"),
        "{report}"
    );
    assert!(import.ron().contains("// rests (enabled: false): without --exclude-from="));
}

#[test]
fn an_exclude_file_is_written_out_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (file, rules) = (folder.path().join("worker.conf"), folder.path().join("rules"));
    fs::write(&rules, "# no isos\n*.iso\n+ /keep/\n").unwrap();
    let text = format!("exclude_file = \"{}\"\nrsync_options = [\"--exclude=/last/\"]", rules.display());
    fs::write(&file, with_mirror(&text)).unwrap();
    let import = read(&file).unwrap();
    let basic = json!(["--timeout=120", "--exclude=*.iso", "--include=/keep/", "--exclude=/last/"]);
    assert_eq!(item(&import, "m")["options"]["basic"], basic);
}

#[test]
fn children_inherit_and_what_says_nothing_replaces_nothing() {
    let import = every_option();
    let (one, two) = (item(&import, "child-one"), item(&import, "child-two"));
    assert_eq!(one["dest"], "/srv/mirror/family/child-one");
    assert_eq!((&one["schedule"], &one["retry"]), (&json!({"every": "1h"}), &json!({"attempts": 4})));
    assert_eq!((&two["schedule"], &two["retry"]), (&json!({"every": "90m"}), &json!({"attempts": 4})));
    assert!(!import.ron().contains("id: \"family\""));
}

#[test]
fn included_files_are_read_and_a_name_that_is_no_id_gets_one() {
    let import = every_option();
    let included = item(&import, "Included-Mirror");
    assert_eq!(included["name"], "Included Mirror");
    let unknown = import.notes().iter().find(|note| note.option == "colour").unwrap();
    assert_eq!(unknown.mirror.as_deref(), Some("Included Mirror"));
}

#[test]
fn what_cannot_be_a_project_is_left_out_with_all_its_settings() {
    let import = every_option();
    let json = import.json();
    let left: Vec<_> =
        json["left_out"].as_array().unwrap().iter().map(|left| left["name"].as_str().unwrap()).collect();
    assert_eq!(left, ["adobe-fonts", "bioconductor", "inside", "nested"]);
    let ron = import.ron();
    for expected in [
        "`adobe-fonts` is left out: name its program under `commands`",
        "command = \"/home/scripts/adobe-fonts.sh\"",
        "env = (API_KEY)",
        "`bioconductor` is left out: goes through a remote shell",
        "dest: contains `..`",
        "dest: /srv/mirror/debian/nested and /srv/mirror/debian of `debian` overlap",
    ] {
        assert!(ron.contains(expected), "{expected} is not in {ron}");
    }
}

#[test]
fn the_file_is_read_back_as_the_same_projects() {
    let import = every_option();
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let read: Json = options.from_str(&import.ron()).unwrap();
    assert_eq!(read, import.json()["items"]);
}

#[test]
fn what_is_written_nowhere_counts_as_in_tunasync() {
    let import =
        conf("[[mirrors]]\nname = \"m\"\nupstream = \"rsync://h/m/\"\nmirror_dir = \"/srv/m\"\n").unwrap();
    let m = item(&import, "m");
    assert_eq!(m["retry"], json!({"attempts": 2}));
    assert_eq!(m["schedule"], json!({"manual": true}));
    assert!(m.get("timeout").is_none());
    let noted: Vec<_> = import.notes().iter().map(|note| note.option.as_str()).collect();
    assert_eq!(noted, ["[global] timeout", "interval"]);
}

#[test]
fn sections_that_are_switched_off_need_no_word() {
    let import = conf(
        "[global]\nmirror_dir = \"/srv\"\ntimeout = 1\n[cgroup]\nenable = false\nbase_path = \"/x\"\n[docker]\nvolumes = [\"a\"]\n",
    )
    .unwrap();
    let noted: Vec<_> = import.notes().iter().map(|note| note.option.as_str()).collect();
    assert_eq!(noted, ["[global] mirror_dir", "[global] timeout"]);
}

#[test]
fn a_file_that_tunasync_would_not_take_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "neither [global] nor [[mirrors]]"),
        ("[global", "is no TOML"),
        ("a = 1\na = 2", "is no TOML"),
        ("global = 1", "must be a table"),
        ("mirrors = 1", "must be a list of tables"),
        ("mirrors = [1]", "must be a list of tables"),
        ("[[mirrors]]\nupstream = \"rsync://h/m/\"", "without a `name`"),
        ("[[mirrors]]\nname = \"m\"\nprovider = \"ftp\"", "must be rsync, two-stage-rsync or command"),
        (
            "[[mirrors]]\nname = \"m\"\nupstream = \"rsync://h/m/\"\ninterval = \"1h\"",
            "`interval` must be a whole number, and is string",
        ),
        ("[[mirrors]]\nname = \"m\"\nupstream = \"rsync://h/m/\"\nretry = -1", "must not be negative"),
        ("[[mirrors]]\nname = \"m\"\nupstream = \"rsync://h/m/\"\nuse_ipv4 = 1", "must be true or false"),
        (
            "[[mirrors]]\nname = \"m\"\nupstream = \"rsync://h/m/\"\nrsync_options = \"-a\"",
            "must be a list of texts",
        ),
        ("[include]\ninclude_mirrors = \"***\"", "include_mirrors"),
    ] {
        let error = conf(text).unwrap_err();
        assert!(error.contains(expected) && error.contains("worker.conf"), "{text}: {error}");
    }
    assert!(read(Path::new("/nonexistent/worker.conf")).unwrap_err().to_string().contains("No such file"));
}

#[test]
fn an_include_that_matches_nothing_is_told() {
    let import = conf("[global]\ntimeout = 1\n[include]\ninclude_mirrors = \"none/*.conf\"").unwrap();
    assert!(import.report()[0].contains("matches no file here"), "{:?}", import.report());
}

#[test]
fn a_short_file_cannot_ask_for_all_memory() {
    let head = "[global]\nmirror_dir = \"/m\"\ntimeout = 1\n";
    let mirrors = |table: &str, more: &str| {
        (0..500).fold(String::new(), |text, number| {
            text + &format!("[[{table}]]\nname = \"c{number}\"\nupstream = \"rsync://h/m/\"\n{more}")
        })
    };
    let large = "A".repeat(200_000);
    let inherited =
        format!("{head}[[mirrors]]\nname = \"p\"\nbig = \"{large}\"\n{}", mirrors("mirrors.mirrors", ""));
    let of_the_site = format!("{head}rsync_options = [\"--exclude={large}\"]\n{}", mirrors("mirrors", ""));
    for text in [inherited, of_the_site] {
        let error = conf(&text).unwrap_err();
        assert!(error.contains("more than 16 MiB") && error.contains("in parts"), "{error}");
    }
    let many = conf(&format!("{head}{}", mirrors("mirrors", "interval = 60\n"))).unwrap();
    assert_eq!(many.counts(), (500, 0));
}

#[test]
fn a_file_outside_of_the_folder_is_not_included() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    let mirror = |name: &str| format!("[[mirrors]]\nname = \"{name}\"\nupstream = \"rsync://h/m/\"\n");
    fs::write(folder.path().join("other.conf"), mirror("outside")).unwrap();
    fs::write(own.join("inside.conf"), mirror("inside")).unwrap();
    std::os::unix::fs::symlink("../other.conf", own.join("link.conf")).unwrap();
    let file = own.join("worker");
    for pattern in ["../*.conf", "*.conf", &format!("{}/*.conf", folder.path().display())] {
        let head = "[global]\nmirror_dir = \"/m\"\n[include]\ninclude_mirrors = ";
        fs::write(&file, format!("{head}\"{pattern}\"\n")).unwrap();
        let import = read(&file).unwrap();
        assert!(!import.ron().contains("id: \"outside\""), "{pattern}");
        assert_eq!(import.ron().contains("id: \"inside\""), pattern == "*.conf", "{pattern}");
        assert!(import.report().join("\n").contains("outside of the folder"), "{:?}", import.report());
    }
}

#[test]
fn tables_in_tables_cannot_exhaust_the_stack() {
    let deep = format!("[[mirrors]]\nname = \"m\"\nx = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(conf(&deep).unwrap_err().contains("is no TOML"));
    let nested = format!("[{}]\ny = 1", vec!["mirrors"; 5000].join("."));
    assert!(conf(&nested).is_err());
}
