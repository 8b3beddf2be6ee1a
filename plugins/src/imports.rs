//! What guests may reach, each import behind its grant, apart from the version of the contract that they speak.

pub(crate) mod dest;
pub(crate) mod http;
pub(crate) mod kv;
pub(crate) mod log;

use std::sync::Arc;

use scheduler::{ProjectId, RunId};

/// For whom a call is made.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) plugin: Arc<str>,
    /// None when a policy is asked about all projects at once.
    pub(crate) project: Option<ProjectId>,
    pub(crate) run: Option<RunId>,
}

/// The text, cut to so many bytes, and shown as one line.
pub(crate) fn line(text: &str, most: usize) -> String {
    let cut = &text[..text.floor_char_boundary(most)];
    cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_text_from_a_guest_is_one_line_of_bounded_length() {
        assert_eq!(line("a\nb\x1b[31m", 100), "a b [31m");
        assert_eq!(line("aäö", 4), "aä");
        assert_eq!(line("aäö", 2), "a");
    }
}
