//! Values that last between calls, by plugin and project, within a quota. Where they last is somebody else's matter.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use scheduler::{ProjectId, Store};

/// The longest key, in bytes.
const KEY: usize = 256;

/// Keeps values. Every method is called where waiting for a disk is allowed.
pub trait KvStore: Send + Sync + fmt::Debug {
    /// The value of a key.
    fn get(&self, plugin: &str, project: &ProjectId, key: &str) -> Result<Option<Vec<u8>>, KvError>;

    /// Keeps a value, or forgets it. What it answers well to survives a crash.
    fn put(&self, plugin: &str, project: &ProjectId, key: &str, value: Option<&[u8]>) -> Result<(), KvError>;

    /// Bytes of all keys and values together.
    fn usage(&self, plugin: &str, project: &ProjectId) -> Result<u64, KvError>;
}

/// The values cannot be reached now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KvError(pub String);

/// Why a guest's request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    Quota,
    /// Nothing was granted, there is no project, or the key is no key.
    Denied,
    Unavailable(String),
}

/// The values of one plugin for one project, as a call sees them.
#[derive(Debug, Clone)]
pub(crate) struct Kv {
    store: Arc<dyn KvStore>,
    /// One writer at a time: the quota is asked and then used.
    writing: Arc<Mutex<()>>,
    plugin: Arc<str>,
    project: Option<ProjectId>,
    quota: u64,
}

impl Kv {
    pub(crate) fn new(
        store: Arc<dyn KvStore>,
        writing: Arc<Mutex<()>>,
        plugin: Arc<str>,
        project: Option<ProjectId>,
        quota_kib: u32,
    ) -> Self {
        Self { store, writing, plugin, project, quota: u64::from(quota_kib) * 1024 }
    }

    pub(crate) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Denial> {
        let project = self.project_for(&key)?.clone();
        let kv = self.clone();
        aside(move || Ok(kv.store.get(&kv.plugin, &project, &key)?)).await
    }

    /// Keeps a value, or forgets it.
    pub(crate) async fn put(&self, key: String, value: Option<Vec<u8>>) -> Result<(), Denial> {
        let project = self.project_for(&key)?.clone();
        let kv = self.clone();
        aside(move || {
            let _one = kv.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let size = |value: &[u8]| (key.len() + value.len()) as u64;
            let before = kv.store.get(&kv.plugin, &project, &key)?;
            let others = kv.store.usage(&kv.plugin, &project)?;
            let others = others.saturating_sub(before.as_deref().map_or(0, size));
            if value.as_deref().is_some_and(|value| others + size(value) > kv.quota) {
                return Err(Denial::Quota);
            }
            Ok(kv.store.put(&kv.plugin, &project, &key, value.as_deref())?)
        })
        .await
    }

    fn project_for(&self, key: &str) -> Result<&ProjectId, Denial> {
        let good = self.quota > 0 && !key.is_empty() && key.len() <= KEY && !key.contains('\0');
        self.project.as_ref().filter(|_| good).ok_or(Denial::Denied)
    }
}

impl From<KvError> for Denial {
    fn from(error: KvError) -> Self {
        Self::Unavailable(error.0)
    }
}

/// Work that may wait for a disk, away from the threads that must not.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Denial> + Send + 'static,
) -> Result<T, Denial> {
    let ended = |error: tokio::task::JoinError| Err(Denial::Unavailable(error.to_string()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ended)
}

/// The server's own store: what it was asked to keep survives a crash, and is in its backups.
impl KvStore for Store {
    fn get(&self, plugin: &str, project: &ProjectId, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.plugin_value(plugin, project, key).map_err(|error| KvError(error.to_string()))
    }

    fn put(&self, plugin: &str, project: &ProjectId, key: &str, value: Option<&[u8]>) -> Result<(), KvError> {
        let set = self.set_plugin_value(plugin, project, key, value.map(<[u8]>::to_vec));
        tokio::runtime::Handle::current().block_on(set).map_err(|error| KvError(error.to_string()))
    }

    fn usage(&self, plugin: &str, project: &ProjectId) -> Result<u64, KvError> {
        self.plugin_usage(plugin, project).map_err(|error| KvError(error.to_string()))
    }
}

/// Values in memory, for tries and tests.
#[derive(Debug, Default)]
pub struct MemoryKv(Mutex<BTreeMap<(String, ProjectId), Values>>);

type Values = BTreeMap<String, Vec<u8>>;

impl MemoryKv {
    fn with<T>(&self, plugin: &str, project: &ProjectId, look: impl FnOnce(&mut Values) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.entry((plugin.to_owned(), project.clone())).or_default())
    }
}

impl KvStore for MemoryKv {
    fn get(&self, plugin: &str, project: &ProjectId, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.with(plugin, project, |values| values.get(key).cloned()))
    }

    fn put(&self, plugin: &str, project: &ProjectId, key: &str, value: Option<&[u8]>) -> Result<(), KvError> {
        self.with(plugin, project, |values| match value {
            Some(value) => values.insert(key.to_owned(), value.to_owned()),
            None => values.remove(key),
        });
        Ok(())
    }

    fn usage(&self, plugin: &str, project: &ProjectId) -> Result<u64, KvError> {
        Ok(self.with(plugin, project, |values| {
            values.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(store: &Arc<MemoryKv>, plugin: &str, project: &str, quota: u32) -> Kv {
        Kv::new(store.clone(), Arc::default(), plugin.into(), Some(project.parse().unwrap()), quota)
    }

    #[tokio::test]
    async fn values_are_apart_by_plugin_and_project() {
        let store = Arc::new(MemoryKv::default());
        let ours = kv(&store, "a", "debian", 1);
        ours.put("key".to_owned(), Some(b"value".to_vec())).await.unwrap();
        assert_eq!(ours.get("key".to_owned()).await, Ok(Some(b"value".to_vec())));
        assert_eq!(kv(&store, "a", "ubuntu", 1).get("key".to_owned()).await, Ok(None));
        assert_eq!(kv(&store, "b", "debian", 1).get("key".to_owned()).await, Ok(None));
        ours.put("key".to_owned(), None).await.unwrap();
        assert_eq!(ours.get("key".to_owned()).await, Ok(None));
    }

    #[tokio::test]
    async fn the_servers_store_keeps_them_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let store = Store::open(folder.path()).unwrap();
            (store.clone(), Kv::new(Arc::new(store), Arc::default(), "a".into(), "debian".parse().ok(), 1))
        };
        let (store, kv) = open();
        let stored = include_bytes!("../../../scheduler/tests/old/1/records/project-fields");
        let like = scheduler::record::decode_project(stored).unwrap();
        let debian = scheduler::Project { id: "debian".parse().unwrap(), ..like };
        store.commit(vec![scheduler::core::Write::Project(Arc::new(debian))]).await.unwrap();
        kv.put("key".to_owned(), Some(b"value".to_vec())).await.unwrap();
        assert_eq!(kv.put("more".to_owned(), Some(vec![0; 1024])).await, Err(Denial::Quota));
        store.close();
        drop((store, kv));
        let (_, kv) = open();
        assert_eq!(kv.get("key".to_owned()).await, Ok(Some(b"value".to_vec())));
    }

    #[tokio::test]
    async fn the_quota_counts_keys_and_values_and_a_replaced_value_once() {
        let kv = kv(&Arc::new(MemoryKv::default()), "a", "debian", 1);
        let put = |key: &str, size: usize| kv.put(key.to_owned(), Some(vec![0; size]));
        put("k", 1000).await.unwrap();
        put("k", 1023).await.unwrap();
        assert_eq!(put("k", 1024).await, Err(Denial::Quota));
        assert_eq!(put("l", 0).await, Err(Denial::Quota));
        put("k", 10).await.unwrap();
        put("l", 1000).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_grant_or_a_project_nothing_is_kept() {
        let store = Arc::new(MemoryKv::default());
        let denied = kv(&store, "a", "debian", 0);
        assert_eq!(denied.get("k".to_owned()).await, Err(Denial::Denied));
        let nobody = Kv { project: None, ..kv(&store, "a", "debian", 1) };
        assert_eq!(nobody.put("k".to_owned(), Some(vec![])).await, Err(Denial::Denied));
        let long = kv(&store, "a", "debian", 1).get("k".repeat(300)).await;
        assert_eq!(long, Err(Denial::Denied));
    }
}
