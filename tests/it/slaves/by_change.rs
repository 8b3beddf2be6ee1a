//! Pulling by change: random trees and random histories come out as a sync of the whole tree would leave them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::{counted, current, master, public, runs, slave, sync};
use crate::kit::{Server, Upstream};

/// How many generations a history has.
const ROUNDS: usize = 25;

/// xorshift: the histories differ from seed to seed, and repeat in the next run of this test.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn name(&mut self) -> &'static OsStr {
        const NAMES: [&[u8]; 12] = [
            b"plain",
            b"with space",
            b"new\nline",
            b"\xff\xfe not utf-8",
            b"#hash",
            b";semi",
            b"-dash",
            b"a -> b",
            b"c => d",
            b"back\\slash \\#134",
            b"tab\tand \x1b[31m",
            b"[glob]*?",
        ];
        OsStr::from_bytes(NAMES[self.roll(NAMES.len())])
    }
}

/// Everything below a folder, itself not included, folders first.
fn entries(root: &Path) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name().into_iter();
    found.map(|entry| entry.unwrap().into_path()).collect()
}

/// Does one random thing to a tree.
fn change(root: &Path, dice: &mut Dice) {
    let all = entries(root);
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let folders: Vec<&PathBuf> = all.iter().filter(|path| is_dir(path)).collect();
    let files: Vec<&PathBuf> =
        all.iter().filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file())).collect();
    let folder = if folders.is_empty() { root } else { folders[dice.roll(folders.len())] };
    let place = folder.join(dice.name());
    let gone = |path: &Path| {
        if is_dir(path) {
            fs::remove_dir_all(path).unwrap();
        } else if path.symlink_metadata().is_ok() {
            fs::remove_file(path).unwrap();
        }
    };
    let file = (!files.is_empty()).then(|| files[dice.roll(files.len().max(1))]);
    match (dice.roll(12), file) {
        (0..=2, _) => {
            gone(&place);
            fs::write(&place, vec![u8::try_from(dice.roll(256)).unwrap(); dice.roll(5000)]).unwrap();
        }
        (3, _) => {
            gone(&place);
            fs::create_dir(&place).unwrap();
        }
        (4, _) => {
            gone(&place);
            symlink(["plain", "../up", "gone", "a -> b"][dice.roll(4)], &place).unwrap();
        }
        (5, Some(file)) if *file != place && !file.starts_with(&place) => {
            gone(&place);
            fs::hard_link(file, &place).unwrap();
        }
        (6, Some(file)) => {
            fs::set_permissions(file, fs::Permissions::from_mode([0o644, 0o664, 0o755][dice.roll(3)]))
                .unwrap();
        }
        (7, Some(file)) => fs::write(file, format!("changed {}", dice.roll(1000))).unwrap(),
        (8, Some(file)) if *file != place && !file.starts_with(&place) => {
            gone(&place);
            fs::rename(file, &place).unwrap();
        }
        (9, _) if !folders.is_empty() => {
            let folder = folders[dice.roll(folders.len())];
            let to = root.join(dice.name());
            if !folder.starts_with(&to) && !to.starts_with(folder) {
                gone(&to);
                fs::rename(folder, to).unwrap();
            }
        }
        (10, _) if all.len() > 15 => gone(&all[dice.roll(all.len())]),
        (11, _) if !folders.is_empty() => {
            let mode = [0o755, 0o775][dice.roll(2)];
            fs::set_permissions(folders[dice.roll(folders.len())], fs::Permissions::from_mode(mode)).unwrap();
        }
        _ => {}
    }
}

/// What a sync of the whole tree by checksum would still do.
pub(super) fn missing(from: &Path, to: &Path) -> String {
    let with_slash = |path: &Path| format!("{}/", path.display());
    let output = Command::new("rsync")
        .args(["-aHnci", "--delete", "--exclude=.~tmp~/"])
        .args([with_slash(from), with_slash(to)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How many of a slave's runs looked at a list only.
fn narrow(slave: &Server, project: &str) -> usize {
    let log = |run: &serde_json::Value| {
        slave.get(&format!("/api/v1/runs/{}/log", run["id"].as_str().unwrap())).text
    };
    runs(slave, project).iter().filter(|run| log(run).contains("--files-from")).count()
}

#[test]
fn random_histories_come_out_as_a_whole_sync_would_leave_them() {
    histories(ROUNDS, &json!({}));
}

/// What goes after the transfers, rsync tells in another way.
#[test]
fn random_histories_of_projects_that_delete_last_come_out_the_same() {
    let options = json!({"delete": "--delete-after"});
    histories(ROUNDS / 3, &json!({"options": options}));
}

/// Each generation comes in two parts, of which the first must leave alone what is there.
#[test]
fn random_histories_of_slaves_that_publish_together_come_out_the_same() {
    histories(ROUNDS / 3, &json!({"publish": "together"}));
}

/// A sync that ends well. Where deletions come last, a full folder gives way to a file in the next run only.
fn settle(master: &Server) {
    let good = (0..4).any(|_| {
        let run = master.ended(&master.sync("p"));
        counted(master, "p", &run);
        matches!(run["state"].as_str(), Some("succeeded" | "unchanged"))
    });
    assert!(good, "no run of the master ended well");
}

/// One history, or as many as the long part of CI asks for, each with a seed of its own.
fn histories(rounds: usize, settings: &serde_json::Value) {
    let number = std::env::var("HELIOSTAT_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for number in 0..number {
        history(rounds, 0x2545_F491_4F6C_DD1D_u64.wrapping_mul(2 * number + 1), settings);
    }
}

fn history(rounds: usize, seed: u64, settings: &serde_json::Value) {
    let (master, upstream) = (master(), Upstream::start(12));
    let mut settings = settings.clone();
    settings["guard"] = json!({"max_delete_percent": 100, "max_delete": 100_000});
    let dest = master.project("p", &upstream.url("data"), &settings);
    sync(&master, "p");
    let mut slave = slave(&master.url(""), "one");
    current(&master, "one", "p");
    let mut dice = Dice(seed);
    for round in 0..rounds {
        let away = round % 5 == 4;
        if away {
            slave.terminate();
        }
        for _ in 0..if away { 3 } else { 1 } {
            for _ in 0..=dice.roll(6) {
                change(&upstream.tree(), &mut dice);
            }
            // A mirror is a generation older than a file that changes within the second, so times are told apart.
            settle(&master);
        }
        if away {
            slave.launch();
        }
        current(&master, "one", "p");
        let difference = missing(&dest, &public(&slave, "p"));
        assert!(difference.is_empty(), "seed {seed}, round {round}:\n{difference}");
    }
    let narrow = narrow(&slave, "p");
    assert!(narrow * 5 >= rounds, "only {narrow} runs were by change, with seed {seed}");
}
