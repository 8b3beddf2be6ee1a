//! What plugins keep: values by project, plugin and key. They go with their project, and follow it to another name.

use super::keys::{self, Entry, Table};
use super::{Store, StoreError};
use crate::core::Write;
use crate::project::ProjectId;

impl Store {
    /// A value that a plugin keeps for a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn plugin_value(
        &self,
        plugin: &str,
        project: &ProjectId,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.open.read(|tables| tables.get(Table::Values, &keys::value(project, plugin, key)))
    }

    /// Bytes of all keys and values that a plugin keeps for a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn plugin_usage(&self, plugin: &str, project: &ProjectId) -> Result<u64, StoreError> {
        let prefix = keys::value(project, plugin, "").len();
        let pairs =
            self.open.read(|tables| tables.within(Table::Values, keys::values_of(project, Some(plugin))))?;
        Ok(pairs.iter().map(|(key, value)| (key.len() - prefix + value.len()) as u64).sum())
    }

    /// Keeps a value, or forgets it. A call that outlives its project keeps nothing.
    ///
    /// # Errors
    /// When it is not durable, or there is no such project.
    pub async fn set_plugin_value(
        &self,
        plugin: &str,
        project: &ProjectId,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let _turn = self.rekeying.read().await;
        if value.is_some() && !self.has_project(project)? {
            return Err(StoreError::NoProject(project.clone()));
        }
        self.writer.commit(vec![(Table::Values, keys::value(project, plugin, key), value)]).await
    }

    /// What becomes of the values when projects are renamed or forgotten.
    pub(super) fn moved_values(&self, writes: &[Write]) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for write in writes {
            let (from, to) = match write {
                Write::RenameRuns { from, to } => (from, Some(to)),
                Write::ForgetProject(id) => (id, None),
                _ => continue,
            };
            // Those of a project that gets another name go there, whatever else is written about the old one.
            let renamed = |other: &Write| matches!(other, Write::RenameRuns { from: old, .. } if old == from);
            if to.is_none() && writes.iter().any(renamed) {
                continue;
            }
            for (key, value) in
                self.open.read(|tables| tables.within(Table::Values, keys::values_of(from, None)))?
            {
                if let Some(to) = to {
                    entries.push((Table::Values, keys::value_elsewhere(&key, from, to), Some(value)));
                }
                entries.push((Table::Values, key, None));
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::tests::project;

    #[tokio::test]
    async fn values_last_and_follow_their_project() {
        let folder = tempfile::tempdir().unwrap();
        let [debian, longer, renamed] =
            ["debian", "debian-cd", "deb"].map(|id| id.parse::<ProjectId>().unwrap());
        {
            let store = Store::open(folder.path()).unwrap();
            let added =
                [&debian, &longer].map(|id| Write::Project(Arc::new(project(id.as_str(), "h", "/d"))));
            store.commit(added.to_vec()).await.unwrap();
            let set = async |plugin, project, key, value: &[u8]| {
                store.set_plugin_value(plugin, project, key, Some(value.to_vec())).await.unwrap();
            };
            set("a", &debian, "key", b"value").await;
            set("a", &debian, "other", b"12").await;
            set("b", &debian, "key", b"b").await;
            set("a", &longer, "key", b"longer").await;
            store.set_plugin_value("a", &debian, "other", None).await.unwrap();
            store.close();
        }
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.plugin_value("a", &debian, "key").unwrap().unwrap(), b"value");
        assert_eq!(store.plugin_value("a", &debian, "other").unwrap(), None);
        assert_eq!(
            (store.plugin_usage("a", &debian).unwrap(), store.plugin_usage("c", &debian).unwrap()),
            (8, 0)
        );

        let rename = Write::RenameRuns { from: debian.clone(), to: renamed.clone() };
        let known = Write::Project(Arc::new(project(renamed.as_str(), "h", "/d")));
        store.commit(vec![known, Write::ForgetProject(debian.clone()), rename]).await.unwrap();
        assert_eq!(store.plugin_value("a", &debian, "key").unwrap(), None);
        assert_eq!(store.plugin_value("a", &renamed, "key").unwrap().unwrap(), b"value");
        assert_eq!(store.plugin_value("b", &renamed, "key").unwrap().unwrap(), b"b");

        store.commit(vec![Write::ForgetProject(renamed.clone())]).await.unwrap();
        assert_eq!(store.plugin_value("a", &renamed, "key").unwrap(), None);
        assert_eq!(store.plugin_value("a", &longer, "key").unwrap().unwrap(), b"longer");
        let late = store.set_plugin_value("a", &renamed, "key", Some(b"late".to_vec())).await;
        assert!(matches!(&late, Err(StoreError::NoProject(id)) if *id == renamed), "{late:?}");
        store.set_plugin_value("a", &renamed, "key", None).await.unwrap();
        assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    }

    /// Whoever comes first, a project that is gone has no values.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn values_that_are_kept_while_their_project_goes_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let id = "p".parse::<ProjectId>().unwrap();
        for round in 0..20 {
            store.commit(vec![Write::Project(Arc::new(project("p", "h", "/d")))]).await.unwrap();
            let mut keeping = tokio::task::JoinSet::new();
            for number in 0..8 {
                let (store, id) = (store.clone(), id.clone());
                keeping.spawn(async move {
                    store.set_plugin_value("a", &id, &format!("k{number}"), Some(vec![1])).await
                });
            }
            store.commit(vec![Write::ForgetProject(id.clone())]).await.unwrap();
            while let Some(kept) = keeping.join_next().await {
                let kept = kept.unwrap();
                assert!(matches!(kept, Ok(()) | Err(StoreError::NoProject(_))), "{kept:?}");
            }
            assert_eq!(store.plugin_usage("a", &id).unwrap(), 0, "round {round}");
        }
        let stray = (Table::Values, keys::value(&id, "a", "k"), Some(vec![1]));
        store.writer.commit(vec![stray]).await.unwrap();
        let problems = store.check().unwrap().problems;
        assert_eq!(problems, ["a value of plugin a for p: there is no such project"]);
    }
}
