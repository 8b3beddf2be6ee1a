//! Option lists that mirror sites really use, and what becomes of them.

use super::*;

fn mapped(words: &[&str]) -> Mapped {
    map(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), Path::new("/"))
}

#[test]
fn what_projects_may_use_stays_as_it_is_and_in_order() {
    let mapped =
        mapped(&["-aHS", "--no-o", "--exclude=/a/", "--include", "/b/", "--bwlimit", "500", "-B8192"]);
    assert_eq!(
        mapped.options,
        ["-aHS", "--no-o", "--exclude=/a/", "--include=/b/", "--bwlimit=500", "--block-size=8192"]
    );
    assert!(mapped.left.is_empty(), "{:?}", mapped.left);
}

#[test]
fn tunasyncs_own_options_become_ours() {
    let mapped = mapped(&[
        "-aHvh",
        "--no-o",
        "--no-g",
        "--stats",
        "--filter",
        "risk .~tmp~/",
        "--exclude",
        ".~tmp~/",
        "--delete",
        "--delete-after",
        "--delay-updates",
        "--safe-links",
        "--timeout=120",
    ]);
    assert_eq!(
        mapped.options,
        ["-aHv", "--no-o", "--no-g", "--stats", "--delay-updates", "--safe-links", "--timeout=120"]
    );
    assert_eq!(mapped.delete.as_deref(), Some("--delete-after"));
    assert!(mapped.left.is_empty(), "{:?}", mapped.left);
}

#[test]
fn the_exact_way_to_delete_wins_over_the_general_one() {
    for (words, expected) in [
        (&["--delete-after", "--delete"][..], "--delete-after"),
        (&["--del"], "--delete-during"),
        (&["--delete", "--delete-excluded", "--delete-after"], "--delete-excluded"),
        (&["--delete"], "--delete"),
    ] {
        assert_eq!(mapped(words).delete.as_deref(), Some(expected), "{words:?}");
    }
    assert_eq!(mapped(&["-a"]).delete, None);
}

#[test]
fn bounds_and_ports_find_their_own_settings() {
    let mapped = mapped(&["--max-delete=500", "--port", "8873"]);
    assert_eq!((mapped.max_delete, mapped.port), (Some(500), Some(8873)));
    assert!(mapped.options.is_empty());
}

#[test]
fn what_can_run_programs_or_leave_the_destination_is_left_with_its_reason() {
    let mapped = mapped(&[
        "-e",
        "ssh -i key",
        "-avzT",
        "/tmp",
        "--rsync-path=/x",
        "--log-file=/var/log/x",
        "rm",
        "--",
    ]);
    assert_eq!(mapped.options, ["-avz"]);
    let left: Vec<_> = mapped.left.iter().map(|left| left.option.as_str()).collect();
    assert_eq!(
        left,
        ["--rsh=ssh -i key", "--temp-dir=/tmp", "--rsync-path=/x", "--log-file=/var/log/x", "rm", "--"]
    );
    assert!(mapped.left.iter().all(|left| !left.why.is_empty() && !left.changes_the_tree));
    let harmless: Vec<_> =
        mapped.left.iter().filter(|left| left.harmless).map(|left| left.option.as_str()).collect();
    assert_eq!(harmless, ["--log-file=/var/log/x"]);
}

#[test]
fn rules_that_would_change_the_tree_say_so() {
    for words in
        [&["--filter=merge /x"][..], &["-f", ". /x"], &["-C"], &["--files-from=/x"], &["-L"], &["-aR"]]
    {
        let mapped = mapped(words);
        assert!(mapped.left.iter().any(|left| left.changes_the_tree), "{words:?}: {:?}", mapped.left);
    }
    let simple = mapped(&["--filter=- *.iso", "-f", "+ /keep/", "--filter=exclude_/a/"]);
    assert_eq!(simple.options, ["--exclude=*.iso", "--include=/keep/", "--exclude=/a/"]);
}

#[test]
fn a_file_of_rules_is_written_out_and_a_missing_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules");
    std::fs::write(&file, "# comment\n; another\n\n/sid/\n+ /keep/\n- *.iso\n! \n").unwrap();
    let mapped = map(&["--exclude-from".to_owned(), file.display().to_string()], folder.path());
    assert_eq!(mapped.options, ["--exclude=/sid/", "--include=/keep/", "--exclude=*.iso"]);
    assert_eq!(mapped.left.len(), 1, "{:?}", mapped.left);
    let missing = map(&[format!("--exclude-from={}", folder.path().join("none").display())], folder.path());
    assert!(missing.left[0].changes_the_tree);
    assert!(missing.left[0].why.contains("No such file"), "{:?}", missing.left);
}

#[test]
fn a_file_outside_of_the_folder_is_not_read_and_what_is_no_pattern_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(folder.path().join("private"), "SECRET\n").unwrap();
    std::fs::write(own.join("key"), "-----BEGIN PRIVATE KEY-----\nSECRET\n").unwrap();
    std::fs::write(own.join("odd"), "SECRET\u{7}\n/fine/\n").unwrap();
    std::os::unix::fs::symlink("../private", own.join("link")).unwrap();
    let outside = folder.path().join("private").display().to_string();
    let pipe = own.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for file in [outside.as_str(), "../private", "link", "key", "pipe", "/dev/zero", "odd"] {
        for option in ["--exclude-from", "--include-from"] {
            let mapped = map(&[format!("{option}={file}")], &own);
            let all = format!("{:?} {:?}", mapped.options, mapped.left);
            assert!(!all.contains("SECRET"), "{all}");
            assert!(mapped.left.len() == 1 && mapped.left[0].changes_the_tree, "{all}");
        }
    }
    let odd = map(&["--exclude-from=odd".to_owned()], &own);
    assert_eq!(odd.options, ["--exclude=/fine/"], "a relative file is one of the folder");
}

#[test]
fn a_list_that_is_too_long_runs_over_in_order() {
    let numbered = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>();
    let (defaults, basic) = spread(numbered(0..5), numbered(5..155));
    assert_eq!((defaults.len(), basic.len()), (55, 100));
    assert_eq!([defaults, basic].concat(), numbered(0..155));
    assert_eq!(spread(numbered(0..5), numbered(5..9)), (numbered(0..5), numbered(5..9)));
}
