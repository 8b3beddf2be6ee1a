//! The store that APScheduler 3.0.0rc1 and Flask wrote under Python 2.7 (fixtures/import/make.py), and damaged ones.

use std::fs;

use serde_json::{Value as Json, json};

use super::*;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/import/mirror-sync-api")
}

fn item(import: &Import, id: &str) -> Json {
    let json = import.json();
    let found = json["items"].as_array().unwrap().iter().find(|item| item["id"] == id);
    found.unwrap_or_else(|| panic!("{id} is not there: {json:#}")).clone()
}

#[test]
fn a_project_comes_over_with_its_upstream_its_place_and_its_schedule() {
    let import = read(&fixture()).unwrap();
    assert_eq!(
        item(&import, "fedora"),
        json!({
            "id": "fedora",
            "source": {
                "host": "rsync.example.org", "module": "fedora", "path": "pub", "user": "fedora",
                "password": "fedora-secret"
            },
            "dest": "/data/ftp/.1/fedora",
            "schedule": {
                "cron": {"minute": "*/5"}, "timezone": "America/Los_Angeles",
                "start_date": "2014-05-07T18:00:00-07:00"
            },
            "options": {"defaults": ["-avH"], "delete": "--delete"},
        })
    );
}

#[test]
fn options_are_read_as_the_shell_gave_them_to_rsync() {
    let import = read(&fixture()).unwrap();
    let ubuntu = item(&import, "ubuntu");
    let expected = json!({
        "defaults": ["-rlpt"], "basic": ["--exclude=*.iso", "--bwlimit=5000", "--exclude=.svn/"],
        "delete": "--delete-after"
    });
    assert_eq!(ubuntu["options"], expected);
    assert_eq!(ubuntu["source"]["port"], 8873);
    let gnome = item(&import, "gnome");
    assert_eq!(gnome["options"]["delete"], "");
    assert_eq!(gnome["guard"]["max_delete"], 500);
    let left: Vec<_> = import
        .notes()
        .iter()
        .filter(|note| note.mirror.as_deref() == Some("gnome"))
        .map(|note| (note.option.as_str(), note.value.as_deref().unwrap()))
        .collect();
    assert_eq!(left, [("rsync_options.basic", "--rsh=ssh"), ("rsync_options.basic", "--temp-dir=/tmp")]);
}

#[test]
fn every_kind_of_cron_expression_is_written_as_apscheduler_writes_it() {
    let import = read(&fixture()).unwrap();
    let cron = |id| item(&import, id)["schedule"].clone();
    assert_eq!(
        cron("ubuntu"),
        json!({
            "cron": {"hour": "3", "day_of_week": "mon-fri"}, "timezone": "America/Los_Angeles",
            "start_date": "2014-08-15T00:00:00-07:00"
        })
    );
    let centos =
        json!({"cron": {"day": "2nd fri,last", "hour": "4-10/2", "minute": "30"}, "timezone": "UTC"});
    assert_eq!(cron("centos"), centos);
    let gnome = json!({
        "cron": {"month": "1-6", "week": "10/2"}, "timezone": "Europe/Berlin", "start_date": "2014-01-01T00:00:00+01:00"
    });
    assert_eq!(cron("gnome"), gnome);
}

#[test]
fn a_disabled_project_stays_disabled_and_one_without_a_password_has_none() {
    let import = read(&fixture()).unwrap();
    let centos = item(&import, "centos");
    assert_eq!(centos["enabled"], false);
    assert_eq!(centos["source"], "rsync://centos@rsync.example.org/centos/pub");
    assert_eq!(item(&import, "gnome")["source"], "rsync://gnome@rsync.example.org/gnome/pub");
    assert!(item(&import, "fedora").get("enabled").is_none());
}

#[test]
fn what_the_server_would_refuse_is_left_out_with_its_reason() {
    let json = read(&fixture()).unwrap().json();
    let left: Vec<_> =
        json["left_out"].as_array().unwrap().iter().map(|left| left["name"].as_str().unwrap()).collect();
    assert_eq!(left, ["broken", "cleanup"]);
    let why = |index: usize| json["left_out"][index]["reasons"][0].as_str().unwrap().to_owned();
    assert!(why(0).starts_with("dest: is relative"), "{}", why(0));
    assert!(why(1).contains("is no sync of a project, but runs `__main__:datetime_now`"), "{}", why(1));
}

#[test]
fn users_and_slaves_are_listed_without_their_hashes() {
    let import = read(&fixture()).unwrap();
    let names: Vec<_> =
        import.by_hand.iter().map(|thing| (thing.kind, thing.name.as_str(), thing.detail.as_str())).collect();
    assert_eq!(
        names,
        [
            ("user", "alice", "upstreamuser"),
            ("user", "bob", "upstreamuser"),
            ("user", "root", "root"),
            ("node", "ftp-chi.example.org", "7000"),
            ("node", "ftp-nyc.example.org", "7000"),
        ]
    );
    let ron = import.ron();
    assert!(!ron.contains("pbkdf2"));
    assert!(ron.contains("//   heliostat user add alice --role upstreamuser\n"), "{ron}");
}

#[test]
fn the_file_is_read_back_as_the_same_projects_and_the_store_is_left_alone() {
    let before = fs::read(fixture().join("jobs.sqlite")).unwrap();
    let import = read(&fixture()).unwrap();
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let read: Json = options.from_str(&import.ron()).unwrap();
    assert_eq!(read, import.json()["items"]);
    assert_eq!(import.counts(), (4, 2));
    assert!(import.ron().contains("WARNING"));
    assert_eq!(fs::read(fixture().join("jobs.sqlite")).unwrap(), before);
    assert_eq!(fs::read_dir(fixture()).unwrap().count(), 2, "SQLite left a file");
}

/// A folder with a job store of these rows.
fn store(rows: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Connection::open(folder.path().join("jobs.sqlite")).unwrap();
    store
        .execute_batch("CREATE TABLE apscheduler_jobs (id VARCHAR(767) PRIMARY KEY, next_run_time FLOAT, job_state BLOB)")
        .unwrap();
    for (id, state) in rows {
        store.execute("INSERT INTO apscheduler_jobs VALUES (?1, 1.5, ?2)", (id, state)).unwrap();
    }
    folder
}

#[test]
fn jobs_that_cannot_be_read_are_told_one_by_one_and_nothing_runs() {
    let attack = fs::read(fixture().join("../pickles/python3-attack.pickle")).unwrap();
    let huge = vec![b'N'; pickle::MAX_BYTES + 1];
    let folder = store(&[
        ("a-attack", &attack),
        ("b-call", b"cos\nsystem\n(S'touch /tmp/heliostat-import-was-fooled'\ntR."),
        ("c-torn", b"\x80\x02}q\x01(U\x04args"),
        ("d-huge", &huge),
        ("e-empty", b""),
        ("f\x1b[2J", b"N."),
    ]);
    let import = read(folder.path()).unwrap();
    assert_eq!(import.counts(), (0, 6));
    let report = import.report().join("\n");
    for expected in ["its pickle ends too early", "its state is no pickle", "it is no sync of a project"] {
        assert!(report.contains(expected), "{report}");
    }
    assert!(!report.contains('\u{1b}'));
    assert!(!Path::new("/tmp/heliostat-import-was-fooled").exists());
}

#[test]
fn a_job_that_calls_functions_where_texts_belong_is_refused() {
    let call = |key: &str| {
        let mut pickle = b"(dS'func'\nS'x:sync_project_from_upstream'\nsS'kwargs'\n(d".to_vec();
        for name in ["project", "rsync_host", "rsync_module", "dest"] {
            pickle.extend(format!("S'{name}'\n").bytes());
            let value = if name == key { "cos\nsystem\n(S'id'\ntR" } else { "S'x'\n" };
            pickle.extend(value.bytes());
            pickle.push(b's');
        }
        pickle.extend(b"s.");
        pickle
    };
    for key in ["project", "rsync_host", "rsync_module", "dest"] {
        let folder = store(&[("a", &call(key))]);
        let report = read(folder.path()).unwrap().report().join("\n");
        assert!(report.contains(&format!("its `{key}` is not a text")), "{report}");
    }
    let folder = store(&[("a", &call("none"))]);
    assert!(read(folder.path()).unwrap().report()[0].contains("has no trigger"));
}

#[test]
fn a_trigger_of_every_protocol_gives_the_same_schedule() {
    for protocol in [2, 3, 4] {
        let bytes = fs::read(fixture().join(format!("../pickles/python3-job{protocol}.pickle"))).unwrap();
        let state = pickle::read(&bytes).unwrap();
        let mut notes = Vec::new();
        let schedule = when::schedule(state.root().get("trigger").unwrap(), &mut notes).unwrap();
        let project = super::super::project::Project { schedule, ..Default::default() };
        assert_eq!(
            project.document()["schedule"],
            json!({
                "cron": {"minute": "*/5"}, "timezone": "America/Los_Angeles",
                "start_date": "2014-05-07T18:00:00-07:00"
            }),
            "protocol {protocol}"
        );
        assert!(notes.is_empty());
    }
}

#[test]
fn what_is_no_such_store_is_an_error_that_says_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| read(path).unwrap_err().to_string();
    assert!(error(&folder.path().join("none")).contains("is not a folder"));
    assert!(error(folder.path()).contains("holds no jobs.sqlite"));
    fs::write(folder.path().join("jobs.sqlite"), "not a database, but a text that is long enough").unwrap();
    assert!(
        error(folder.path()).contains("not an SQLite file")
            || error(folder.path()).contains("not a database")
    );

    let other = tempfile::tempdir().unwrap();
    let store = Connection::open(other.path().join("jobs.sqlite")).unwrap();
    store.execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(error(other.path()).contains("no table `apscheduler_jobs`"));
    store
        .execute_batch("CREATE TABLE apscheduler_jobs (id, trigger, func_ref, kwargs, next_run_time)")
        .unwrap();
    assert!(error(other.path()).contains("APScheduler 2"));
}

#[test]
fn a_view_in_the_place_of_a_table_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Connection::open(folder.path().join("jobs.sqlite")).unwrap();
    store
        .execute_batch(
            "CREATE VIEW apscheduler_jobs AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
             SELECT x AS id, 1.0 AS next_run_time, x'4e2e' AS job_state FROM n",
        )
        .unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("no table `apscheduler_jobs`"));
}
