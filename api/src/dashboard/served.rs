//! The files as they go over the wire: each once as it is and once compressed, and the page that knows where they are. Our
//! comments stay in the repository.

use std::io::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::{FILES, File, PAGE};

/// How much of the digest is in the address.
const LENGTH: usize = 12;
/// What only some pages need, and load themselves.
const LATER: [&str; 2] = ["vendor-uplot.js", "chart.js"];

/// Everything that is served.
#[derive(Debug)]
pub struct Served {
    /// The digest of all of it, which stands in the addresses.
    pub version: String,
    /// The page.
    pub page: Packed,
    files: Vec<(&'static str, Packed)>,
}

/// One file, as it is and compressed.
#[derive(Debug)]
pub struct Packed {
    /// Its kind of content.
    pub kind: &'static str,
    /// As it is.
    pub plain: Bytes,
    /// The same by gzip.
    pub gzip: Bytes,
}

impl Served {
    /// The file of this name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Packed> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, file)| file)
    }
}

/// All files, made when the first is asked for.
#[must_use]
pub fn served() -> &'static Served {
    static SERVED: LazyLock<Served> = LazyLock::new(make);
    &SERVED
}

fn make() -> Served {
    let mut digest = Sha256::new();
    for file in FILES.iter().chain([&PAGE]) {
        digest.update(file.name);
        digest.update([0]);
        digest.update(file.text);
    }
    let mut version = URL_SAFE_NO_PAD.encode(digest.finalize());
    version.truncate(LENGTH);
    let assets = format!("/assets/{version}");
    let page = PAGE.text.replace("{preload}", &preload(&assets)).replace("{assets}", &assets);
    Served {
        page: pack(PAGE.kind, page.into()),
        files: FILES.iter().map(|file| (file.name, pack(file.kind, text(file)))).collect(),
        version,
    }
}

/// What a browser is given: of what others wrote, all, since their licences stand in it.
fn text(file: &File) -> Bytes {
    match file.is_vendored() {
        true => Bytes::from_static(file.text.as_bytes()),
        false => without_comments(file.text).into(),
    }
}

/// A script or a style sheet without the lines that are comments; what is left stays in its line, so that a browser's
/// messages name that of the repository.
fn without_comments(text: &str) -> String {
    let mut within = false;
    let lines = text.lines().map(|line| {
        let start = line.trim_start();
        let is_block = within || start.starts_with("/*");
        within = is_block && !line.ends_with("*/");
        if is_block || start.starts_with("//") { "\n".to_owned() } else { format!("{line}\n") }
    });
    lines.collect()
}

/// The modules that the page will ask for, told before it finds out one after the other.
fn preload(assets: &str) -> String {
    let names = FILES.iter().map(|file| file.name);
    let is_module = |name: &str| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "js");
    let modules = names.filter(|name| is_module(name) && *name != "main.js" && !LATER.contains(name));
    let lines: Vec<_> =
        modules.map(|name| format!("<link rel=\"modulepreload\" href=\"{assets}/{name}\">")).collect();
    lines.join("\n")
}

fn pack(kind: &'static str, plain: Bytes) -> Packed {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes everything; were it not so, the plain text would do.
    let gzip =
        packer.write_all(&plain).and_then(|()| packer.finish()).map_or_else(|_| plain.clone(), Bytes::from);
    Packed { kind, plain, gzip }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_at_home_and_what_is_left_keeps_its_line() {
        let text = "// A file.\n\nconst a = 1; // one\n  /** Two\n   * lines. */\nb(`//c`);\n/* one */\nd();";
        assert_eq!(without_comments(text), "\n\nconst a = 1; // one\n\n\nb(`//c`);\n\nd();\n");
    }

    #[test]
    fn nothing_stands_behind_a_comment_in_its_line() {
        for file in FILES.iter().filter(|file| !file.is_vendored()) {
            for line in file.text.lines().filter(|line| line.trim_start().starts_with("/*")) {
                assert!(line.find("*/").is_none_or(|at| at + 2 == line.len()), "{}: {line}", file.name);
            }
        }
    }
}
