//! `plugin new`: a project that builds a plugin, with a hook, its tests, and what to type next.
//!
//! The files are in `template/` as they are written, but for the plugin's name and where its SDK is.

use std::fs;
use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::terminal::{plain, say};

/// The SDK that fits this server, where it is published.
const SDK: &str = "\"0.1\"";

/// Each file of a new project, and what is in it.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", "/target\n"),
];

/// The longest name.
const NAME_LENGTH: usize = 64;

/// Writes the project into a new folder beside the caller.
pub(super) fn run(name: &str, sdk: Option<&Path>) -> Result<(), Failure> {
    check_name(name)?;
    let sdk = sdk.map_or_else(|| Ok(SDK.to_owned()), dependency)?;
    let folder = Path::new(name);
    let failed = |error: std::io::Error| Failure::Failed(format!("{name} cannot be written: {error}"));
    // Only a folder that was not there is written into: nothing of anybody's is changed.
    fs::create_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{name} is there already: give another name, or remove it"))
        }
        _ => failed(error),
    })?;
    fs::create_dir(folder.join("src")).map_err(failed)?;
    for (file, text) in FILES {
        let text =
            text.replace("{name}", name).replace("{file}", &name.replace('-', "_")).replace("{sdk}", &sdk);
        fs::write(folder.join(file), text).map_err(failed)?;
    }
    let file = name.replace('-', "_");
    say(&format!(
        "Wrote {name}. Next:\n  cd {name}\n  cargo test\n  rustup target add wasm32-wasip2\n  cargo build --release --target \
         wasm32-wasip2\n  heliostat plugin check target/wasm32-wasip2/release/{file}.wasm\n"
    ))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let has_ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    if is_plain && has_ends && name.len() <= NAME_LENGTH {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "`{}` is no name for a plugin: use lower-case letters, digits and hyphens, a letter first, {NAME_LENGTH} at most",
        plain(name)
    )))
}

/// The dependency on the SDK in a folder of this machine.
fn dependency(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let wrong = |why: &str| Failure::Usage(format!("--sdk {shown}: {why}"));
    let manifest = fs::read_to_string(path.join("Cargo.toml"))
        .map_err(|error| wrong(&format!("its Cargo.toml cannot be read: {error}")))?;
    if !manifest.contains("name = \"heliostat-plugin\"") {
        return Err(wrong(
            "the crate there is not heliostat-plugin; it is plugins/sdk of Heliostat's sources",
        ));
    }
    let path = path.canonicalize().map_err(|error| wrong(&error.to_string()))?;
    Ok(format!("{{ path = {:?} }}", path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_takes_and_people_can_type() {
        for name in ["a", "my-plugin", "trace2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "My", "2x", "a_b", "a-", "-a", "../a", "a b", "ä"] {
            assert!(matches!(check_name(name), Err(Failure::Usage(_))), "{name}");
        }
    }
}
