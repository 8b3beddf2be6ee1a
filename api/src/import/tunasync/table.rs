//! Taking options out of a TOML table, with an error that names the file, the mirror and the option.

use std::path::Path;

use toml::{Table, Value};

use super::super::ImportError;

/// A table, and where it stands.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Path,
    table: &'a Table,
    place: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, table: &'a Table, place: &str) -> Self {
        Self { file, table, place: place.to_owned() }
    }

    fn wrong(&self, key: &str, expected: &str) -> ImportError {
        let found = self.table.get(key).map_or("nothing", Value::type_str);
        ImportError::new(self.file, format!("{}: `{key}` must be {expected}, and is {found}", self.place))
    }

    /// A section, empty when it is not there.
    pub(super) fn section(&self, key: &str) -> Result<Table, ImportError> {
        match self.table.get(key) {
            None => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table.clone()),
            Some(_) => Err(self.wrong(key, "a table")),
        }
    }

    /// A text; an empty one says nothing.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, ImportError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    /// A whole number; 0 says nothing, and less than that is refused.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ImportError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => match u64::try_from(*number) {
                Ok(number) => Ok(Some(number).filter(|number| *number > 0)),
                Err(_) => {
                    Err(ImportError::new(self.file, format!("{}: `{key}` must not be negative", self.place)))
                }
            },
            Some(_) => Err(self.wrong(key, "a whole number")),
        }
    }

    /// A truth value; it is false when it is not there.
    pub(super) fn truth(&self, key: &str) -> Result<bool, ImportError> {
        match self.table.get(key) {
            None => Ok(false),
            Some(Value::Boolean(truth)) => Ok(*truth),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// A list of texts; an empty one is kept, since it can stand for a choice.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, ImportError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.wrong(key, "a list of texts"))?;
        let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        texts.map(Some).ok_or_else(|| self.wrong(key, "a list of texts"))
    }

    /// A list of tables.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<&'a Table>, ImportError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| self.wrong(key, "a list of tables"))?;
        let tables: Option<Vec<_>> = items.iter().map(Value::as_table).collect();
        tables.ok_or_else(|| self.wrong(key, "a list of tables"))
    }
}

/// What a mirror is called in messages.
pub(super) fn name_of(mirror: &Table) -> String {
    match mirror.get("name").and_then(Value::as_str) {
        Some(name) => format!("mirror `{name}`"),
        None => "a mirror without a name".to_owned(),
    }
}

/// Whether tunasync takes the value as not given.
pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Integer(number) => *number == 0,
        Value::Boolean(truth) => !truth,
        Value::Array(items) => items.is_empty(),
        Value::Table(table) => table.is_empty(),
        Value::Float(_) | Value::Datetime(_) => false,
    }
}

/// Memory that a table takes, about: its texts, and something for each value.
pub(super) fn size_of(table: &Table) -> usize {
    table
        .iter()
        .filter(|(key, _)| *key != "mirrors")
        .map(|(key, value)| key.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &Value) -> usize {
    const VALUE: usize = 64;
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size_of_value).sum(),
            Value::Table(table) => size_of(table),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => 0,
        }
}

/// A value as it stood, on one line; of a table only the keys, since its values can be secrets.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            format!("({})", table.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(date) => date.to_string(),
    }
}
