//! The dashboard: pages for people, built into the program as they stand in the repository.
//!
//! No build step, nothing from elsewhere: plain modules and one style sheet, which a browser takes as they are. They use
//! the public API and its event stream and nothing else. Each file in `dashboard/` is one subject and begins with what it
//! is for; what comes from upstreams is shown as text, never as markup, and the policy forbids every script but ours.

/// What the pages may do: load from here, talk to here, and nothing else; no script or style within the markup.
pub const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                          object-src 'none'; require-trusted-types-for 'script'";

/// One file.
#[derive(Debug)]
pub struct File {
    /// Its name below `/assets/`.
    pub name: &'static str,
    /// Its kind of content.
    pub kind: &'static str,
    /// What is in it.
    pub text: &'static str,
}

/// The page itself.
pub const PAGE: File =
    File { name: "index.html", kind: "text/html; charset=utf-8", text: include_str!("dashboard/index.html") };

macro_rules! files {
    ($($name:literal is $kind:literal),+ $(,)?) => {
        /// Everything that the page loads.
        pub const FILES: &[File] =
            &[$(File { name: $name, kind: $kind, text: include_str!(concat!("dashboard/", $name)) }),+];
    };
}

files! {
    "style.css" is "text/css; charset=utf-8",
    "icon.svg" is "image/svg+xml",
    "main.js" is "text/javascript; charset=utf-8",
    "api.js" is "text/javascript; charset=utf-8",
    "chart.js" is "text/javascript; charset=utf-8",
    "dom.js" is "text/javascript; charset=utf-8",
    "events.js" is "text/javascript; charset=utf-8",
    "overview.js" is "text/javascript; charset=utf-8",
    "people.js" is "text/javascript; charset=utf-8",
    "project.js" is "text/javascript; charset=utf-8",
    "run.js" is "text/javascript; charset=utf-8",
    "schedule.js" is "text/javascript; charset=utf-8",
    "sign-in.js" is "text/javascript; charset=utf-8",
    "words.js" is "text/javascript; charset=utf-8",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_as_markup_and_nothing_comes_from_elsewhere() {
        for file in FILES.iter().chain([&PAGE]) {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=\"",
                "onclick=",
                "https://",
            ] {
                assert!(!file.text.contains(word), "{} holds {word}", file.name);
            }
        }
        assert!(!PAGE.text.contains("<style") && PAGE.text.matches("<script").count() == 1);
    }

    #[test]
    fn every_module_that_is_imported_is_built_in() {
        for file in FILES.iter().chain([&PAGE]) {
            for part in file.text.split("from \"./").skip(1).chain(file.text.split("\"/assets/").skip(1)) {
                let name = part.split('"').next().unwrap();
                assert!(FILES.iter().any(|file| file.name == name), "{} asks for {name}", file.name);
            }
        }
    }
}
