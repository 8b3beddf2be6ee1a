//! The effective configuration as RON that can be read again, with inline secrets masked.

use super::types::Config;
use super::value::{Shown, Value};

/// What stands for an inline secret.
pub(super) const MASK: &str = "\"***\"";

/// The whole configuration, every default written out.
///
/// An inline secret is shown as `"***"`: the text parses, but it is for reading, not for running.
#[must_use]
pub fn show(config: &Config) -> String {
    let mut text = String::new();
    write(&mut text, &config.shown(), 0);
    text.push('\n');
    text
}

fn write(text: &mut String, value: &Shown, depth: usize) {
    match value {
        Shown::Scalar(scalar) => text.push_str(scalar),
        Shown::Secret(_) => text.push_str(MASK),
        Shown::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write(text, item, depth);
            }
            text.push(']');
        }
        Shown::Map(entries) => {
            text.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                text.push_str(key);
                text.push_str(": ");
                write(text, item, depth);
            }
            text.push('}');
        }
        Shown::Group(name, fields) => {
            text.push_str(name.unwrap_or_default());
            text.push_str("(\n");
            for (key, item) in fields {
                text.push_str(&"    ".repeat(depth + 1));
                text.push_str(key);
                text.push_str(": ");
                write(text, item, depth + 1);
                text.push_str(",\n");
            }
            text.push_str(&"    ".repeat(depth));
            text.push(')');
        }
    }
}
