//! Small documents that other parts keep in the store under a name of their own, such as what people were told; and the
//! counts.

use serde_json::Value;

use super::keys::Table;
use super::{Store, StoreError, readable, text};
use crate::record;
use crate::tally::{Count, Tally};

impl Store {
    /// What is noted under a name.
    ///
    /// # Errors
    /// When the database or the note cannot be read.
    pub fn note(&self, name: &str) -> Result<Option<Value>, StoreError> {
        self.open.read(|tables| {
            let bytes = tables.get(Table::Notes, name.as_bytes())?;
            bytes.map(|bytes| readable(record::decode_note(&bytes), || format!("note {name}"))).transpose()
        })
    }

    /// Notes something under a name, in the place of what was noted before.
    ///
    /// # Errors
    /// When it is not durable; what was noted before holds then.
    pub async fn set_note(&self, name: &str, note: &Value) -> Result<(), StoreError> {
        let entry = (Table::Notes, name.as_bytes().to_vec(), Some(record::encode_note(note)));
        self.writer.commit(vec![entry]).await
    }

    /// Everything that was counted; what a newer program counts is left out.
    ///
    /// # Errors
    /// When the database or a count cannot be read.
    pub fn counts(&self) -> Result<Tally, StoreError> {
        self.open.read(|tables| {
            let mut tally = Tally::new();
            for (key, value) in tables.all(Table::Counts)? {
                let value = readable(record::decode_count(&value), || format!("the count {}", text(&key)))?;
                tally.extend(Count::of_key(&text(&key)).map(|count| (count, value)));
            }
            Ok(tally)
        })
    }
}
