//! What is printed can be read again, whatever the old configuration held.

use super::*;
use crate::import::project::Schedule;

fn taken(project: Project) -> Entry {
    Entry { name: project.id.clone(), content: Content::Taken(Box::new(project)) }
}

fn nasty() -> Project {
    Project {
        id: "a".to_owned(),
        name: Some("q\"uo\\te 'x' \u{1b}[31m\u{7f} grüß\n)]".to_owned()),
        source: Some("rsync://me@example.org:8873/module/path".parse().unwrap()),
        password: Some("p\"w\\\n//".to_owned()),
        dest: "/srv/a".to_owned(),
        schedule: Schedule::Cron {
            fields: vec![("minute".to_owned(), "*/5".to_owned()), ("day".to_owned(), "2nd fri".to_owned())],
            timezone: Some("Europe/Berlin".to_owned()),
            start: None,
            end: None,
        },
        basic: vec!["--exclude=\t,\u{0}]".to_owned()],
        labels: [("k\"ey".to_owned(), "v".to_owned())].into(),
        ..Project::default()
    }
}

fn read(text: &str) -> Value {
    ron::Options::default()
        .with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME)
        .from_str(text)
        .unwrap()
}

#[test]
fn every_text_comes_back_as_it_was() {
    let import = Import { origin: "a\nfile".to_owned(), entries: vec![taken(nasty())], ..Import::default() };
    assert_eq!(read(&import.ron()), json!([nasty().document()]));
    assert_eq!(import.json()["items"], json!([nasty().document()]));
}

#[test]
fn what_is_left_out_stays_in_its_comment_whatever_it_holds() {
    let evil = "x\n(id: \"evil\"),\r]\u{85}\u{2028}".to_owned();
    let import = Import {
        entries: vec![
            Entry { name: evil.clone(), content: Content::Unmapped(evil.clone(), vec![evil.clone()]) },
            Entry { name: evil.clone(), content: Content::Refused(Box::new(nasty()), vec![evil.clone()]) },
        ],
        notes: vec![Note {
            weight: Weight::Unmapped,
            mirror: Some(evil.clone()),
            option: evil.clone(),
            value: Some(evil.clone()),
            advice: evil.clone(),
        }],
        by_hand: vec![super::super::ByHand { kind: "user", name: evil.clone(), detail: evil }],
        ..Import::default()
    };
    assert_eq!(read(&import.ron()), json!([]));
    assert!(import.report().iter().all(|line| !line.contains(char::is_control)));
}

#[test]
fn a_file_with_passwords_says_so_and_one_without_does_not() {
    let with = Import { entries: vec![taken(nasty())], ..Import::default() };
    assert!(with.ron().contains("WARNING: this file holds upstreams' passwords in the clear (a)"));
    assert!(with.report().iter().any(|line| line.contains("passwords")));
    assert_eq!(with.json()["holds_passwords"], true);
    let without = Import { entries: vec![taken(Project { password: None, ..nasty() })], ..Import::default() };
    assert!(!without.ron().contains("WARNING"));
    assert!(!without.report().iter().any(|line| line.contains("passwords")));
}

#[test]
fn the_same_advice_for_many_mirrors_is_one_line() {
    let note = |mirror: String| Note {
        weight: Weight::Unmapped,
        mirror: Some(mirror),
        option: "memory_limit".to_owned(),
        value: Some("256M".to_owned()),
        advice: "limit the service".to_owned(),
    };
    let import = Import { notes: (0..88).map(|n| note(format!("m{n}"))).collect(), ..Import::default() };
    assert_eq!(
        import.report(),
        ["memory_limit (m0, m1, m2, m3, m4, m5 and 82 more): limit the service", "0 projects, 0 left out"]
    );
}

#[test]
fn long_comments_are_broken_between_words() {
    let mut out = String::new();
    comment(&mut out, "    ", &format!("  {}", "word ".repeat(60)));
    assert!(out.lines().count() > 2);
    assert!(
        out.lines().all(|line| line.starts_with("    //   ")
            && line.chars().count() <= WIDTH
            && !line.ends_with(' '))
    );
}
