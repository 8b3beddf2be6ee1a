//! Values in the server's own store.

use std::sync::Arc;

use plugins::KvStore;
use scheduler::core::Write;
use scheduler::{ProjectId, Store};

use crate::kit::Place;

/// `KvStore` waits for the disk, so it is called where that is allowed.
async fn put(store: &Store, project: &str, key: &str) -> Result<(), String> {
    let (store, project, key) = (store.clone(), project.parse::<ProjectId>().unwrap(), key.to_owned());
    let kept = move || store.put("a", &project, &key, Some(b"value")).map_err(|error| error.to_string());
    tokio::task::spawn_blocking(kept).await.unwrap()
}

#[tokio::test]
async fn they_last_over_a_restart_and_nothing_is_kept_for_a_project_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let debian = Place::projects(&["debian"]).remove(0);
    let store = Store::open(folder.path()).unwrap();
    store.commit(vec![Write::Project(Arc::clone(&debian))]).await.unwrap();
    put(&store, "debian", "key").await.unwrap();
    assert!(put(&store, "ubuntu", "key").await.unwrap_err().contains("there is no project ubuntu any more"));
    store.close();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(KvStore::get(&store, "a", &debian.id, "key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(KvStore::usage(&store, "a", &debian.id).unwrap(), 8);
}
