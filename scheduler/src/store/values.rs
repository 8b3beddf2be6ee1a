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

    /// Keeps a value, or forgets it.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn set_plugin_value(
        &self,
        plugin: &str,
        project: &ProjectId,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
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
    use super::*;

    #[tokio::test]
    async fn values_last_and_follow_their_project() {
        let folder = tempfile::tempdir().unwrap();
        let [debian, longer, renamed] =
            ["debian", "debian-cd", "deb"].map(|id| id.parse::<ProjectId>().unwrap());
        {
            let store = Store::open(folder.path()).unwrap();
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
        store.commit(vec![Write::ForgetProject(debian.clone()), rename]).await.unwrap();
        assert_eq!(store.plugin_value("a", &debian, "key").unwrap(), None);
        assert_eq!(store.plugin_value("a", &renamed, "key").unwrap().unwrap(), b"value");
        assert_eq!(store.plugin_value("b", &renamed, "key").unwrap().unwrap(), b"b");

        store.commit(vec![Write::ForgetProject(renamed.clone())]).await.unwrap();
        assert_eq!(store.plugin_value("a", &renamed, "key").unwrap(), None);
        assert_eq!(store.plugin_value("a", &longer, "key").unwrap().unwrap(), b"longer");
    }
}
