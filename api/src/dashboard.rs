//! The dashboard: pages for people, built into the program as they stand in the repository.
//!
//! No build step, nothing from elsewhere: modules and style sheets, which a browser takes as they are. They use the public
//! API and its event stream and nothing else. Each file in `dashboard/` is one subject and begins with what it is for;
//! `vendor-*` are libraries, as their authors ship them (`scripts/vendor-dashboard` says which). What comes from upstreams
//! is shown as text, never as markup, and the policy forbids every script but ours.
//!
//! A file's address holds a digest of all of them, so that browsers keep what they have until there is something new, and
//! never mix two versions.

pub mod served;

/// What the pages may do: load from here, talk to here, and nothing else; no script or style within the markup.
pub const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                          object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// One file.
#[derive(Debug)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// Its kind of content.
    pub kind: &'static str,
    /// What is in it.
    pub text: &'static str,
}

impl File {
    /// Whether others wrote it.
    #[must_use]
    pub fn is_vendored(&self) -> bool {
        self.name.starts_with("vendor-")
    }
}

/// The page itself, before it knows where its files are.
pub const PAGE: File =
    File { name: "index.html", kind: "text/html; charset=utf-8", text: include_str!("dashboard/index.html") };

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal is $kind:expr),+ $(,)?) => {
        /// Everything that the page loads.
        pub const FILES: &[File] =
            &[$(File { name: $name, kind: $kind, text: include_str!(concat!("dashboard/", $name)) }),+];
    };
}

files! {
    "icon.svg" is "image/svg+xml",
    "style.css" is STYLE,
    "pages.css" is STYLE,
    "vendor-uplot.css" is STYLE,
    "main.js" is SCRIPT,
    "api.js" is SCRIPT,
    "changes.js" is SCRIPT,
    "chart.js" is SCRIPT,
    "held.js" is SCRIPT,
    "html.js" is SCRIPT,
    "icons.js" is SCRIPT,
    "live.js" is SCRIPT,
    "log.js" is SCRIPT,
    "nodes.js" is SCRIPT,
    "overview.js" is SCRIPT,
    "parts.js" is SCRIPT,
    "people.js" is SCRIPT,
    "plugins.js" is SCRIPT,
    "project-form.js" is SCRIPT,
    "project.js" is SCRIPT,
    "projects.js" is SCRIPT,
    "run.js" is SCRIPT,
    "schedule.js" is SCRIPT,
    "sign-in.js" is SCRIPT,
    "table.js" is SCRIPT,
    "talk.js" is SCRIPT,
    "vendor-hooks.js" is SCRIPT,
    "vendor-htm.js" is SCRIPT,
    "vendor-preact.js" is SCRIPT,
    "vendor-uplot.js" is SCRIPT,
    "words.js" is SCRIPT,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_as_markup_and_nothing_comes_from_elsewhere() {
        for file in FILES.iter().chain([&PAGE]).filter(|file| !file.is_vendored()) {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=\"",
                "onclick=\"",
                "https://",
            ] {
                assert!(!file.text.contains(word), "{} holds {word}", file.name);
            }
        }
        assert!(!PAGE.text.contains("<style") && PAGE.text.matches("<script").count() == 1);
    }

    #[test]
    fn every_file_that_is_asked_for_is_built_in_and_begins_with_what_it_is_for() {
        let known = |name: &str| FILES.iter().any(|file| file.name == name);
        for file in FILES.iter().chain([&PAGE]) {
            let asked = ["from \"./", "from\"./", "import(\"./", "new URL(\"", "{assets}/"];
            for part in asked.iter().flat_map(|start| file.text.split(start).skip(1)) {
                let name = part.split('"').next().unwrap();
                assert!(known(name), "{} asks for {name}", file.name);
            }
            let first = file.text.lines().next().unwrap();
            assert!(
                ["// ", "/*", "<"].iter().any(|start| first.starts_with(start)),
                "{}: {first}",
                file.name
            );
        }
    }
}
