//! Every field of a project, right and wrong.

use serde_json::json;

use engine::Secret;

use super::*;

pub(crate) fn defaults() -> Defaults {
    Defaults {
        options: Options::new(&["-avH".to_owned()], &[], "--delete").unwrap(),
        retry: RetryPolicy { attempts: 3, base: Duration::from_secs(30), cap: Duration::from_mins(30) },
        timeout: Duration::from_hours(24),
        stall: Duration::from_mins(15),
        guard: Guard { max_delete_percent: 20, max_delete: 40_000 },
        commands: vec!["git".to_owned(), "pypi".to_owned()],
        plugins: vec!["trace-file".to_owned()],
    }
}

fn read(input: &Value) -> Result<Project, Vec<FieldError>> {
    project(input, None, "root", &defaults(), &Landing::default())
}

/// The least that a project needs, and something more.
fn with(more: Value) -> Value {
    let mut input = json!({"id": "p", "source": "rsync://h/m", "dest": "/d"});
    if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
        input.extend(more);
    }
    input
}

pub(super) fn errors(input: &Value) -> Vec<(String, String)> {
    let wrong = read(input).expect_err("this was taken");
    wrong.into_iter().map(|error| (error.field, error.message)).collect()
}

#[test]
fn three_fields_are_enough_and_the_rest_is_the_configuration_s() {
    let project = read(&with(json!({}))).unwrap();
    assert_eq!((project.id.as_str(), project.name.as_str(), project.owner.as_str()), ("p", "p", "root"));
    assert_eq!(project.source, "rsync://h/m".parse().unwrap());
    assert_eq!(project.options, defaults().options);
    assert_eq!(project.schedule.rule, scheduler::Rule::Manual);
    assert!(project.enabled && project.fan_out);
    assert_eq!(project.guard.max_delete, 40_000);
    let named = json!({"name": "debian", "source": "rsync://h/m", "dest": "/d"});
    assert_eq!(read(&named).unwrap().id.as_str(), "debian");
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let input = json!({
        "id": "a b", "name": 3, "source": {"host": "", "module": "m", "port": 0, "user": "a:b"}, "dest": "relative",
        "enabled": "yes", "labels": {"a=b": "c", "d": 4}, "options": {"basic": ["-e"], "delete": "--nonsense"},
        "schedule": {"cron": {"minute": "61", "hour": []}, "timezone": "Mars/Olympus", "start_date": "someday",
                     "jitter": "x"},
        "retry": {"attempts": 0, "base": "2h", "cap": "1h"}, "timeout": "x", "stall": -1,
        "guard": {"max_delete_percent": 101, "max_delete": -1}, "hooks": [{"plugin": "x"}], "priority": 2000,
        "fan_out": 1, "colour": "red", "desst": "/d"
    });
    let fields: Vec<String> = errors(&input).into_iter().map(|(field, _)| field).collect();
    for field in [
        "id",
        "name",
        "source.host",
        "source.port",
        "dest",
        "enabled",
        "labels.a=b",
        "labels.d",
        "options.basic[0]",
        "options.delete",
        "schedule.cron.hour",
        "schedule.timezone",
        "schedule.start_date",
        "schedule.jitter",
        "retry.attempts",
        "retry.cap",
        "timeout",
        "stall",
        "guard.max_delete_percent",
        "guard.max_delete",
        "hooks[0].plugin",
        "priority",
        "fan_out",
        "colour",
        "desst",
    ] {
        assert!(fields.iter().any(|found| found == field), "{field} is missing in {fields:?}");
    }
    let said = errors(&with(json!({"desst": "/d"})));
    assert_eq!(said, [("desst".to_owned(), "is not known: did you mean `dest`?".to_owned())]);
}

#[test]
fn what_is_no_object_is_said_in_one_line() {
    assert_eq!(errors(&json!([]))[0].1, "must be an object");
    assert!(errors(&json!({})).iter().any(|(field, _)| field == "source"));
}

#[test]
fn a_schedule_comes_in_every_form() {
    let described =
        |schedule: Value| read(&with(json!({ "schedule": schedule }))).unwrap().schedule.describe();
    assert_eq!(described(json!({"cron": {"minute": "*/5"}})), "every 5 minutes");
    assert_eq!(
        described(json!({"cron": {"minute": 5, "second": null}})),
        described(json!({"cron": {"minute": "5"}}))
    );
    assert_eq!(described(json!({"cron": "*/5 * * * *"})), "every 5 minutes");
    assert_eq!(described(json!("*/5 * * * *")), "every 5 minutes");
    assert_eq!(described(json!({"every": "30m"})), "30 minutes after the end of the last run");
    assert_eq!(described(json!({"every": 1800})), "30 minutes after the end of the last run");
    assert_eq!(described(json!({"manual": true})), "only by hand");
    assert_eq!(described(json!("manual")), "only by hand");
    assert_eq!(described(json!({})), "only by hand");
    let twice = errors(&with(json!({"schedule": {"every": "1h", "manual": true}})));
    assert!(twice[0].1.contains("two schedules"), "{twice:?}");
    let never = errors(&with(json!({"schedule": {"cron": {"month": "2", "day": "31"}}})));
    assert!(never[0].1.contains("never"), "{never:?}");
    let past = errors(&with(json!({"schedule": {"cron": {"year": "2001"}}})));
    assert!(past[0].1.contains("never fires"), "{past:?}");
}

#[test]
fn a_password_stays_until_it_is_taken_away() {
    let source = json!({"host": "h", "module": "m", "user": "u", "password": "hunter2"});
    let first = read(&with(json!({ "source": source }))).unwrap();
    let next = |source: Value| {
        let input = with(json!({ "source": source }));
        project(&input, Some(&first), "root", &defaults(), &Landing::default()).unwrap().password
    };
    assert_eq!(next(json!("rsync://u@h/m")), first.password);
    assert_eq!(next(json!({"host": "h", "module": "n", "user": "u", "has_password": true})), first.password);
    assert_eq!(next(json!({"host": "h", "module": "m", "has_password": false})), None);
    assert_eq!(next(json!({"host": "h", "module": "m", "password": null})), None);
    assert_eq!(next(json!({"host": "h", "module": "m", "password": "new"})), Some(Secret::new("new")));
}

#[test]
fn a_password_is_not_sent_to_another_host_because_the_source_was_changed() {
    let source = json!({"host": "h", "module": "m", "user": "u", "password": "hunter2"});
    let first = read(&with(json!({ "source": source }))).unwrap();
    let next = |source: Value| {
        let input = with(json!({ "source": source }));
        project(&input, Some(&first), "root", &defaults(), &Landing::default())
    };
    for (key, value) in [("host", json!("evil")), ("port", json!(874)), ("user", json!("v"))] {
        let mut changed = json!({"host": "h", "module": "m", "user": "u", "has_password": true});
        changed[key] = value;
        assert_eq!(next(changed.clone()).unwrap_err()[0].field, "source.password", "{key}");
        changed["has_password"] = json!(false);
        assert_eq!(next(changed.clone()).unwrap().password, None);
        changed["password"] = json!("new");
        assert_eq!(next(changed).unwrap().password, Some(Secret::new("new")));
    }
    assert_eq!(next(json!("rsync://u@evil/m")).unwrap().password, None);
}

#[test]
fn a_port_among_the_options_is_the_sources_and_takes_no_password_along() {
    let at = |port: &str| json!({"options": {"defaults": ["-a", "--port=1"], "basic": [port, "-z"]}});
    let first = read(&with(at("--port=8873"))).unwrap();
    assert_eq!((first.source.port(), first.options.basic()), (8873, &["-z".to_owned()][..]));
    assert_eq!(first.options.defaults(), ["-a"]);

    let source = json!({"host": "h", "module": "m", "user": "u", "password": "hunter2"});
    let first = read(&with(json!({ "source": source }))).unwrap();
    let next = |source: Value, options: Value| {
        let mut input = with(json!({ "source": source }));
        input["options"] = options["options"].clone();
        project(&input, Some(&first), "root", &defaults(), &Landing::default())
    };
    let kept = json!({"host": "h", "module": "m", "user": "u", "has_password": true});
    assert_eq!(next(kept.clone(), at("--port=9")).unwrap_err()[0].field, "source.password");
    assert_eq!(next(json!("rsync://u@h/m"), at("--port=9")).unwrap().password, None);
    assert_eq!(next(kept, at("--port=873")).unwrap().password, first.password);
    assert_eq!(next(json!("rsync://u@h:7/m"), at("--port=9")).unwrap_err()[0].field, "options");
}

#[test]
fn a_hook_names_a_plugin_of_the_configuration() {
    let hook = json!({"plugin": "trace-file", "on": ["post-sync"], "order": 5, "failure": "closed", "config": {"a": "b"}});
    let read = read(&with(json!({"hooks": [hook]}))).unwrap();
    assert_eq!(crate::view::settings(&read)["hooks"], json!([hook]));
    for (hooks, field) in [
        (json!("trace-file"), "hooks"),
        (json!([{"plugin": "other"}]), "hooks[0].plugin"),
        (json!([{"on": ["post-sync"]}]), "hooks[0].plugin"),
        (json!([{"plugin": "trace-file", "on": ["sometimes"]}]), "hooks[0].on"),
        (json!([{"plugin": "trace-file", "failure": "ajar"}]), "hooks[0].failure"),
        (json!([{"plugin": "trace-file", "config": {"a": 1}}]), "hooks[0].config.a"),
        (json!([{"plugin": "trace-file"}, {"plugin": "trace-file"}]), "hooks[1].plugin"),
    ] {
        let errors = errors(&with(json!({"hooks": hooks})));
        assert!(errors.iter().any(|(error, _)| error == field), "{hooks} {errors:?}");
    }
}

#[test]
fn what_is_gone_from_the_configuration_keeps_nobody_from_changing_something_else() {
    let input = with(json!({"source": "command:git", "hooks": [{"plugin": "trace-file"}]}));
    let known = read(&input).unwrap();
    let bare = Defaults { commands: Vec::new(), plugins: Vec::new(), ..defaults() };
    let again = |change: Value| {
        let mut document = crate::view::settings(&known);
        for (key, value) in change.as_object().unwrap() {
            document[key] = value.clone();
        }
        project(&document, Some(&known), "root", &bare, &Landing::default())
    };
    assert_eq!(again(json!({"priority": 7})).unwrap().hooks, known.hooks);
    assert_eq!(again(json!({"hooks": []})).unwrap().source, known.source);
    let fields = |change| again(change).unwrap_err().into_iter().map(|error| error.field).collect::<Vec<_>>();
    assert_eq!(fields(json!({"hooks": [{"plugin": "other"}]})), ["hooks[0].plugin"]);
    assert_eq!(fields(json!({"source": "command:pypi"})), ["source.command"]);
}

#[test]
fn a_command_is_one_of_those_that_the_configuration_names() {
    for source in [json!("command:git"), json!({"command": "git"})] {
        let read = read(&with(json!({ "source": source }))).unwrap();
        assert_eq!(read.source.command_name(), Some("git"));
        assert_eq!(crate::view::settings(&read)["source"], json!({"command": "git"}));
    }
    let wrong = |changes: Value| errors(&with(changes));
    let unknown = wrong(json!({"source": "command:hg"}));
    assert_eq!(unknown[0].0, "source.command");
    assert!(unknown[0].1.contains("git, pypi"), "{unknown:?}");
    for (changes, field) in [
        (json!({"source": {"command": "-x"}}), "source.command"),
        (json!({"source": {"command": "git", "host": "h"}}), "source.host"),
        (json!({"source": "command:git", "stages": "debian"}), "stages"),
        (json!({"source": "command:git", "upstreams": ["rsync://h/m"]}), "upstreams[0]"),
        (json!({"upstreams": ["command:git"]}), "upstreams[0]"),
    ] {
        assert!(wrong(changes.clone()).iter().any(|(error, _)| error == field), "{changes}");
    }
}

#[test]
fn a_project_keeps_its_id_and_its_owner() {
    let known = read(&with(json!({}))).unwrap();
    let again = |input: &Value| project(input, Some(&known), "somebody", &defaults(), &Landing::default());
    assert_eq!(again(&json!({"source": "rsync://h/m", "dest": "/d"})).unwrap().id, known.id);
    assert_eq!(again(&with(json!({"owner": "somebody"}))).unwrap().owner, "root");
    assert!(again(&with(json!({"id": "q"}))).unwrap_err()[0].message.contains("keeps its id"));
}
