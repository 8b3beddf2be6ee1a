//! The ways in which rsync's upstreams are written.

use engine::Source;
use engine::source::DEFAULT_PORT;

/// Reads `rsync://host/module/path/` and `[user@]host::module/path`. The error says why it cannot be a source.
pub(super) fn parse(text: &str) -> Result<Source, String> {
    if text.starts_with("rsync://") {
        return text.parse().map_err(|errors: engine::source::SourceErrors| errors.to_string());
    }
    if let Some((authority, tree)) = text.split_once("::") {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (module, path) = tree.split_once('/').unwrap_or((tree, ""));
        return new(user, host, DEFAULT_PORT, module, path);
    }
    Err(match text.split_once(':') {
        Some((_, rest)) if rest.starts_with("//") => "is no rsync daemon; only those can be pulled from".to_owned(),
        Some(_) => "goes through a remote shell; Heliostat pulls from rsync daemons only (rsync://host/module), so ask \
                    the upstream for one"
            .to_owned(),
        None => "is a folder of this machine; Heliostat pulls from rsync daemons only (rsync://host/module)".to_owned(),
    })
}

/// A source from its parts, with everything that is wrong in one sentence.
pub(super) fn new(
    user: Option<&str>,
    host: &str,
    port: u16,
    module: &str,
    path: &str,
) -> Result<Source, String> {
    Source::new(user, host, port, module, path)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// The source with another user, or another port.
pub(super) fn with(source: &Source, user: Option<&str>, port: Option<u16>) -> Result<Source, String> {
    let user = source.user().or(user);
    new(user, source.host(), port.unwrap_or(source.port()), source.module(), source.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_daemons_address_are_read() {
        for (text, expected) in [
            ("rsync://rsync.example.org/debian/", "rsync://rsync.example.org/debian"),
            (
                "rsync://me@rsync.example.org:8873/debian/pool/main/",
                "rsync://me@rsync.example.org:8873/debian/pool/main",
            ),
            ("rsync.example.org::debian/", "rsync://rsync.example.org/debian"),
            ("me@rsync.example.org::debian/pool", "rsync://me@rsync.example.org/debian/pool"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn other_upstreams_are_refused_with_the_reason() {
        for (text, reason) in [
            ("master.example.org:./", "remote shell"),
            ("https://example.org/", "no rsync daemon"),
            ("/srv/other/", "folder of this machine"),
            ("rsync://example.org/", "module"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(reason), "{text}: {why}");
        }
    }
}
