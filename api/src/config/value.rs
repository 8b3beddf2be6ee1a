//! How a value is read from the tree and shown again.
//!
//! Reading never stops at a problem: the problem is noted, the key's default stands in, and the rest is read, so that
//! one look finds everything. A result is only used when nothing was noted.

use super::duration::{self, Size};
use super::problems::suggestion;
use super::reader::Reader;
use super::secret::{SecretSource, exposed};
use super::tree::{Kind, Node};
use engine::Secret;
use engine::text::is_plain_char;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Something that can stand in the configuration.
pub(super) trait Value: Sized {
    /// Reads it; `None` after a problem was noted.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// The same value as a tree that can be printed and compared.
    fn shown(&self) -> Shown;
}

/// A value ready to be printed and compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    /// A scalar in RON's spelling.
    Scalar(String),
    /// An inline secret: compared, never printed.
    Secret(Secret),
    List(Vec<Shown>),
    Map(Vec<(String, Shown)>),
    Group(Option<&'static str>, Vec<(&'static str, Shown)>),
}

/// Declares a struct's keys: `key = default` for those that may be left out, then `;`, then the required ones with
/// what stands in for them while the rest is read. With `default` in front, the struct gets its `Default` from it.
macro_rules! record {
    (default $name:ident { $($fields:tt)* }) => {
        $crate::config::value::record!($name { $($fields)* });
        impl Default for $name {
            fn default() -> Self {
                Self::unset()
            }
        }
    };
    ($name:ident { $($key:ident = $default:expr),* ; $($must:ident = $placeholder:expr),* $(,)? }) => {
        impl $name {
            const KEYS: &'static [&'static str] = &[$(stringify!($key),)* $(stringify!($must),)*];

            /// Every key's default, with placeholders for what is required.
            fn unset() -> Self {
                Self { $($key: $default,)* $($must: $placeholder,)* }
            }
        }

        impl $crate::config::value::Value for $name {
            fn read(
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                let fields = reader.group(node, stringify!($name), Self::KEYS)?;
                let mut value = Self::unset();
                $(if let Some(read) = reader.field(&fields, stringify!($key)) { value.$key = read; })*
                $(if let Some(read) = reader.required(node, &fields, stringify!($must)) { value.$must = read; })*
                Some(value)
            }

            fn shown(&self) -> $crate::config::value::Shown {
                $crate::config::value::Shown::Group(None, vec![
                    $((stringify!($key), $crate::config::value::Value::shown(&self.$key)),)*
                    $((stringify!($must), $crate::config::value::Value::shown(&self.$must)),)*
                ])
            }
        }
    };
}

/// Declares an enum whose variants hold one struct each.
macro_rules! variants {
    ($name:ident { $($variant:ident($inner:ty)),* }) => {
        impl $crate::config::value::Value for $name {
            fn read(
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                match reader.variant(node, &[$(stringify!($variant)),*])? {
                    $((stringify!($variant), inner) => {
                        <$inner as $crate::config::value::Value>::read(&inner, reader).map(Self::$variant)
                    })*
                    _ => None,
                }
            }

            fn shown(&self) -> $crate::config::value::Shown {
                match self {
                    $(Self::$variant(inner) => {
                        $crate::config::value::Value::shown(inner).named(stringify!($variant))
                    })*
                }
            }
        }
    };
}

/// Declares an enum of plain words.
macro_rules! words {
    ($name:ident { $($word:ident),* }) => {
        impl $crate::config::value::Value for $name {
            fn read(
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::reader::Reader<'_>,
            ) -> Option<Self> {
                match reader.word(node, &[$(stringify!($word)),*])? {
                    $(stringify!($word) => Some(Self::$word),)*
                    _ => None,
                }
            }

            fn shown(&self) -> $crate::config::value::Shown {
                let word = match self { $(Self::$word => stringify!($word),)* };
                $crate::config::value::Shown::Scalar(word.to_owned())
            }
        }
    };
}

pub(super) use {record, variants, words};

impl Shown {
    /// A group with the name of its variant.
    pub(super) fn named(self, name: &'static str) -> Self {
        match self {
            Self::Group(_, fields) => Self::Group(Some(name), fields),
            other => other,
        }
    }

    /// A string in RON's spelling.
    pub(super) fn text(text: &str) -> Self {
        let mut quoted = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                c if !is_plain_char(c) => quoted.extend(c.escape_unicode()),
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        Self::Scalar(quoted)
    }
}

impl Value for bool {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.word(node, &["true", "false"]).map(|word| word == "true")
    }

    fn shown(&self) -> Shown {
        Shown::Scalar(self.to_string())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Value for $number {
            fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
                let expected = format!("a whole number from 0 to {}", Self::MAX);
                reader.scalar(node, &expected)
            }

            fn shown(&self) -> Shown {
                Shown::Scalar(self.to_string())
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, usize);

impl Value for String {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.scalar(node, "a string in double quotes")
    }

    fn shown(&self) -> Shown {
        Shown::text(self)
    }
}

impl Value for PathBuf {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text: String = reader.scalar(node, "a path in double quotes")?;
        if text.is_empty() || text.contains('\0') {
            return reader.refuse(node, "a path must not be empty and must not contain a NUL".to_owned());
        }
        Some(Self::from(text))
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.to_string_lossy())
    }
}

impl Value for SocketAddr {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "an IP address with a port, such as \"127.0.0.1:5000\" or \"[::]:5000\"";
        let text: String = reader.scalar(node, expected)?;
        text.parse().ok().or_else(|| reader.refuse(node, format!("expected {expected}, found \"{text}\"")))
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.to_string())
    }
}

impl Value for Duration {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let text: String = reader.scalar(node, "a duration in double quotes with a unit, such as \"30s\"")?;
        duration::parse(&text).map_or_else(|message| reader.refuse(node, message), Some)
    }

    fn shown(&self) -> Shown {
        Shown::text(&duration::shown(*self))
    }
}

impl Value for Size {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(bytes) = reader.quiet_scalar(node) {
            return Some(Self(bytes));
        }
        let text: String = reader.scalar(node, "a size such as \"64MiB\", or a number of bytes")?;
        text.parse().map_or_else(|message| reader.refuse(node, message), Some)
    }

    fn shown(&self) -> Shown {
        Shown::text(&self.to_string())
    }
}

impl<T: Value> Value for Option<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Word(word) if word == "None" => Some(None),
            Kind::Tuple { name: Some(name), items } if name == "Some" => match items.as_slice() {
                [inner] => T::read(inner, reader).map(Some),
                _ => reader.refuse(node, "Some(..) holds exactly one value".to_owned()),
            },
            _ => T::read(node, reader).map(Some),
        }
    }

    fn shown(&self) -> Shown {
        self.as_ref().map_or_else(|| Shown::Scalar("None".to_owned()), Value::shown)
    }
}

/// An element that cannot be read is replaced by the type's default, so that the others keep their index.
impl<T: Value + Default> Value for Vec<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Kind::List(items) = &node.kind else { return reader.wrong(node, "a list in [ ]") };
        let read = items.iter().enumerate().map(|(index, item)| {
            reader.within(format!("[{index}]"), |reader| T::read(item, reader)).unwrap_or_default()
        });
        Some(read.collect())
    }

    fn shown(&self) -> Shown {
        Shown::List(self.iter().map(Value::shown).collect())
    }
}

/// Limits per label: `"name=value": limit`.
impl Value for BTreeMap<String, u32> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return reader.wrong(node, "a map such as {\"array=1\": 2}");
        };
        let mut map = Self::new();
        for (key, value) in entries {
            let label = label(key, reader);
            let step = format!("[{:?}]", label.as_deref().unwrap_or("?"));
            let limit = reader.within(step, |reader| u32::read(value, reader));
            let (Some(label), Some(limit)) = (label, limit) else { continue };
            if limit == 0 {
                reader.note(
                    value.span.clone(),
                    "a limit of 0 would never start a run; use 1 or more".to_owned(),
                );
            }
            if map.contains_key(&label) {
                reader.note(key.span.clone(), format!("label \"{label}\" is given twice"));
            }
            map.insert(label, limit);
        }
        Some(map)
    }

    fn shown(&self) -> Shown {
        let text = |key: &String| match Shown::text(key) {
            Shown::Scalar(text) => text,
            _ => String::new(),
        };
        Shown::Map(self.iter().map(|(key, limit)| (text(key), limit.shown())).collect())
    }
}

fn label(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let label: String = reader.scalar(node, "a label in double quotes, such as \"array=1\"")?;
    match label.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Some(label),
        _ => reader.refuse(node, format!("expected a label as \"name=value\", found \"{label}\"")),
    }
}

impl Value for SecretSource {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "File(\"path\"), Env(\"NAME\") or the secret in double quotes";
        let Kind::Tuple { name: Some(name), items } = &node.kind else {
            reader.hide(node);
            return match reader.quiet_scalar::<String>(node) {
                Some(text) if text.is_empty() => {
                    reader.refuse(node, format!("the secret is empty; use {expected}"))
                }
                Some(text) => Some(Self::Inline(Secret::new(text))),
                // What stands here may be a secret that lacks its quotes: it is not repeated.
                None => reader.refuse(node, format!("expected {expected}")),
            };
        };
        match (name.as_str(), items.as_slice()) {
            ("File", [path]) => {
                let file = PathBuf::read(path, reader)?;
                // Refused when it is needed; `config check` says it before.
                if let Some(error) = exposed(&file) {
                    reader.warn(path, &error.to_string());
                }
                Some(Self::File(file))
            }
            ("Env", [variable]) => {
                let variable = String::read(variable, reader)?;
                if variable.is_empty() || variable.contains(['=', '\0']) {
                    return reader.refuse(node, "Env(..) needs the name of a variable".to_owned());
                }
                Some(Self::Env(variable))
            }
            ("File" | "Env", _) => {
                reader.hide(node);
                reader.refuse(node, format!("{name}(..) holds exactly one string"))
            }
            _ => {
                reader.hide(node);
                let hint = suggestion(name, &["File", "Env"]);
                reader.refuse(node, format!("expected {expected}, found `{name}(..)`{hint}"))
            }
        }
    }

    fn shown(&self) -> Shown {
        let call = |name: &str, argument: &str| match Shown::text(argument) {
            Shown::Scalar(text) => Shown::Scalar(format!("{name}({text})")),
            other => other,
        };
        match self {
            Self::File(path) => call("File", &path.to_string_lossy()),
            Self::Env(name) => call("Env", name),
            Self::Inline(secret) => Shown::Secret(secret.clone()),
        }
    }
}
