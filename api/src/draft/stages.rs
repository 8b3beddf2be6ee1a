//! Whether a project is brought in two stages: a kind of repository by its name, or patterns of its index.

use engine::{Options, Stages};
use scheduler::Repository;
use serde_json::Value;

use super::fields::Fields;

/// Two stages put what is new in place together, which these undo.
const AGAINST: [&str; 2] = ["--inplace", "--append"];

pub(super) fn read(fields: &mut Fields<'_>, options: Option<&Options>) -> Option<Repository> {
    let value = fields.take("stages").filter(|value| !value.is_null())?;
    let read = match value {
        Value::String(name) => {
            let known = Repository::named(name);
            if known.is_none() {
                let names = Repository::NAMES.join(", ");
                fields.error(
                    "stages",
                    format!("is {name:?}: give one of {names}, or {{\"index\": [patterns]}}"),
                );
            }
            known
        }
        value => {
            let mut parts = fields.inside("stages", value);
            let index = parts.texts("index");
            if index.is_none() {
                parts.error("index", "is missing: give the patterns of what belongs to the index");
            }
            let stages = index.and_then(|index| {
                Stages::new(index).map_err(|(number, why)| parts.error(&format!("index[{number}]"), why)).ok()
            });
            fields.leave(parts);
            stages.map(Repository::Other)
        }
    };
    let mut given = options.into_iter().flat_map(|options| options.defaults().iter().chain(options.basic()));
    if let Some(against) = given.find(|option| AGAINST.contains(&option.as_str())) {
        fields.error("stages", format!("cannot stand beside {against}: leave one of them out"));
    }
    read
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::errors;

    #[test]
    fn stages_are_a_name_or_patterns() {
        for (given, field) in [
            (json!("gentoo"), "stages"),
            (json!({"index": "x"}), "stages.index"),
            (json!({}), "stages.index"),
            (json!({"index": []}), "stages.index[0]"),
            (json!({"index": ["a", "b\nc"]}), "stages.index[1]"),
            (json!({"indx": ["a"]}), "stages.indx"),
        ] {
            let input = json!({"id": "p", "source": "rsync://h/m", "dest": "/d", "stages": given});
            assert!(errors(&input).iter().any(|(error, _)| error == field), "{given}");
        }
    }
}
