//! Real trees, with links that lead out of them.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn dest(root: &std::path::Path) -> Dest {
    let paths = |paths: &[&str]| paths.iter().map(|path| path.parse().unwrap()).collect();
    let grants = Grants {
        dest_read: paths(&["pub/**", "link", "pipe"]),
        dest_write: paths(&["trace/**", "link", "out/*"]),
        ..Grants::default()
    };
    Dest::new(Some(root.to_owned()), Arc::new(grants))
}

fn tree() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("tree/pub/deep")).unwrap();
    fs::create_dir_all(place.path().join("outside")).unwrap();
    fs::write(place.path().join("outside/secret"), "secret").unwrap();
    fs::write(place.path().join("tree/pub/file"), "0123456789").unwrap();
    fs::write(place.path().join("tree/private"), "private").unwrap();
    symlink("../outside/secret", place.path().join("tree/link")).unwrap();
    symlink("../../outside", place.path().join("tree/pub/out")).unwrap();
    symlink("../outside", place.path().join("tree/out")).unwrap();
    symlink("../outside", place.path().join("tree/trace")).unwrap();
    place
}

async fn read(dest: &Dest, path: &str) -> Result<Vec<u8>, Failure> {
    dest.read(path.to_owned(), 0, u32::MAX).await
}

#[tokio::test]
async fn what_was_granted_is_read_in_pieces_and_nothing_else() {
    let place = tree();
    let dest = dest(&place.path().join("tree"));
    assert_eq!(read(&dest, "pub/file").await, Ok(b"0123456789".to_vec()));
    assert_eq!(dest.read("pub/file".to_owned(), 3, 4).await, Ok(b"3456".to_vec()));
    assert_eq!(dest.read("pub/file".to_owned(), u64::from(u32::MAX), 4).await, Ok(Vec::new()));
    assert_eq!(read(&dest, "pub/none").await, Err(Failure::NotFound));
    assert_eq!(read(&dest, "pub").await, Err(Failure::Denied));
    for path in ["private", "pub/../private", "/pub/file", "pub//file", "pub/./file", "", "pub/a\0b"] {
        assert_eq!(read(&dest, path).await, Err(Failure::Denied), "{path:?}");
    }
    let found = dest.stat("pub/file".to_owned()).await.unwrap();
    assert_eq!((found.kind, found.size), (Kind::File, 10));
    assert!(found.mtime_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn no_symbolic_link_is_followed_anywhere() {
    let place = tree();
    let dest = dest(&place.path().join("tree"));
    assert_eq!(read(&dest, "link").await, Err(Failure::Denied));
    assert_eq!(read(&dest, "pub/out/secret").await, Err(Failure::Denied));
    assert_eq!(dest.read_dir("pub/out".to_owned(), 10).await, Err(Failure::Denied));
    assert_eq!(dest.stat("link".to_owned()).await.unwrap().kind, Kind::Symlink);
    assert_eq!(dest.put("trace/a".to_owned(), b"x".to_vec()).await, Err(Failure::Denied));
    assert_eq!(dest.put("out/a".to_owned(), b"x".to_vec()).await, Err(Failure::Denied));
    assert_eq!(fs::read_dir(place.path().join("outside")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_is_replaced_in_one_step_and_a_link_is_replaced_itself() {
    let place = tree();
    let root = place.path().join("tree");
    fs::remove_file(root.join("trace")).unwrap();
    let dest = dest(&root);
    dest.put("trace/a/b".to_owned(), b"one".to_vec()).await.unwrap();
    dest.put("trace/a/b".to_owned(), b"two".to_vec()).await.unwrap();
    assert_eq!(fs::read(root.join("trace/a/b")).unwrap(), b"two");
    assert_eq!(fs::read_dir(root.join("trace/a")).unwrap().count(), 1, "a draft was left");
    dest.put("link".to_owned(), b"mine".to_vec()).await.unwrap();
    assert_eq!(fs::read(place.path().join("outside/secret")).unwrap(), b"secret");
    assert_eq!(fs::read(root.join("link")).unwrap(), b"mine");
    let large = dest.put("trace/a/b".to_owned(), vec![0; BYTES + 1]).await;
    assert_eq!(large, Err(Failure::TooLarge));
    assert_eq!(dest.put("private".to_owned(), vec![]).await, Err(Failure::Denied));
    let over_a_folder = dest.put("trace/a".to_owned(), vec![]).await;
    assert!(matches!(over_a_folder, Err(Failure::Io(_))), "{over_a_folder:?}");
    assert_eq!(fs::read_dir(root.join("trace")).unwrap().count(), 1, "a draft was left");
}

#[tokio::test]
async fn a_list_shows_what_was_granted() {
    let place = tree();
    let dest = dest(&place.path().join("tree"));
    let mut entries = dest.read_dir("pub".to_owned(), 10).await.unwrap();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("deep", Kind::Dir), ("file", Kind::File), ("out", Kind::Symlink)];
    assert_eq!(entries, expected.map(|(name, kind)| (name.to_owned(), kind)));
    assert_eq!(dest.read_dir("pub".to_owned(), 2).await.unwrap().len(), 2);
    let mut top: Vec<_> = dest.read_dir(String::new(), 10).await.unwrap();
    top.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(top.iter().map(|entry| entry.0.as_str()).collect::<Vec<_>>(), ["link", "pub"]);
    assert_eq!(dest.read_dir("other".to_owned(), 10).await, Err(Failure::Denied));
}

#[tokio::test]
async fn a_pipe_holds_up_nobody() {
    let place = tree();
    let pipe = place.path().join("tree/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let dest = dest(&place.path().join("tree"));
    assert_eq!(read(&dest, "pipe").await, Err(Failure::Io("it is no file".to_owned())));
}

#[tokio::test]
async fn a_destination_that_is_not_there_yet_is_not_made() {
    let place = tree();
    let root = place.path().join("new");
    let dest = dest(&root);
    assert_eq!(dest.put("trace/a".to_owned(), vec![]).await, Err(Failure::NotFound));
    assert!(!root.exists());
}
