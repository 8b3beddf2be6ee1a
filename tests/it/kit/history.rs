//! Random histories of trees, with every kind of name and change that a mirror meets, and how two trees are compared.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

/// xorshift: the histories differ from seed to seed, and repeat in the next run of this test.
pub(crate) struct Dice {
    state: u64,
    /// The second of the newest change.
    clock: u64,
}

/// The second in which every history begins: long ago, so that nothing has the right time because an rsync works right now.
const BEGINNING: u64 = 1_000_000_000;

impl Dice {
    /// One history.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, clock: BEGINNING }
    }

    /// A number below this one.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % u64::try_from(sides).unwrap()).unwrap()
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

/// Does one random thing to a tree, and gives what it has touched a time that repeats: a file one of its own, since rsync
/// tells files of one size by nothing else, a folder one of two, as where much happens within a second.
pub(crate) fn change(root: &Path, dice: &mut Dice) {
    touch(root, dice);
    let long_ago = UNIX_EPOCH + Duration::from_secs(BEGINNING + 100_000_000);
    for path in entries(root).into_iter().chain([root.to_owned()]) {
        let meta = path.symlink_metadata().unwrap();
        if meta.modified().unwrap() < long_ago || meta.is_symlink() {
            continue;
        }
        dice.clock += 1;
        let of_folder = if dice.roll(2) == 0 { BEGINNING } else { BEGINNING - 1 };
        let seconds = if meta.is_dir() { of_folder } else { dice.clock };
        fs::File::open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
}

fn touch(root: &Path, dice: &mut Dice) {
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
pub(crate) fn missing(from: &Path, to: &Path) -> String {
    let with_slash = |path: &Path| format!("{}/", path.display());
    let output = Command::new("rsync")
        .args(["-aHnci", "--delete", "--exclude=.~tmp~/"])
        .args([with_slash(from), with_slash(to)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
