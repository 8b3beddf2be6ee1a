//! Where a plugin's requests may go: scheme, host, port, and a path or the beginning of one.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// `https://hooks.example.org/mirror/*`: with the star everything below, without it this path only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlGrant {
    url: Url,
    below: bool,
}

/// An address that cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{grant}` {why}: give an address such as `https://hooks.example.org/mirror/*`")]
pub struct UrlGrantError {
    /// What was given.
    pub grant: String,
    /// Why it cannot be.
    pub why: String,
}

impl UrlGrant {
    /// Whether it covers this address. The query is the plugin's own.
    #[must_use]
    pub fn covers(&self, url: &Url) -> bool {
        let same_server = self.url.scheme() == url.scheme()
            && self.url.host() == url.host()
            && self.url.port_or_known_default() == url.port_or_known_default();
        let path = url.path();
        same_server && if self.below { path.starts_with(self.url.path()) } else { path == self.url.path() }
    }
}

impl FromStr for UrlGrant {
    type Err = UrlGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| UrlGrantError { grant: text.to_owned(), why: why.to_owned() };
        let (address, below) = text.strip_suffix('*').map_or((text, false), |address| (address, true));
        if address.contains('*') {
            return Err(wrong("has a `*` that is not its end"));
        }
        let url = Url::parse(address).map_err(|error| wrong(&format!("is no address ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has user information, which belongs into a secret"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or a fragment"));
        }
        // `https://host*` would read as `https://host/*` and never mean `https://host.example.org/`.
        let authority = address.split_once("://").map_or("", |(_, rest)| rest);
        if below && !authority.contains('/') {
            return Err(wrong("has a `*` in its host"));
        }
        if below && !url.path().ends_with('/') {
            return Err(wrong("has a `*` after a part of a name; `/*` covers what is below"));
        }
        Ok(Self { url, below })
    }
}

impl fmt::Display for UrlGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.url, if self.below { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grant: &str, url: &str) -> bool {
        grant.parse::<UrlGrant>().unwrap().covers(&Url::parse(url).unwrap())
    }

    #[test]
    fn scheme_host_port_and_path_all_count() {
        let grant = "https://hooks.example.org/mirror/*";
        for yes in ["https://hooks.example.org/mirror/a?b=c", "https://HOOKS.example.org:443/mirror/"] {
            assert!(covers(grant, yes), "{yes} missed");
        }
        let no = [
            "http://hooks.example.org/mirror/a",
            "https://hooks.example.org:8443/mirror/a",
            "https://hooks.example.org.evil.net/mirror/a",
            "https://evil.net/https://hooks.example.org/mirror/a",
            "https://hooks.example.org/mirror",
            "https://hooks.example.org/mirror/../admin",
            "https://hooks.example.org/mirror/%2e%2e/admin",
        ];
        for no in no {
            assert!(!covers(grant, no), "{no} matched");
        }
        assert!(covers("http://a/x", "http://a/x?y") && !covers("http://a/x", "http://a/x/y"));
        assert!(covers("https://a/*", "https://a"));
    }

    #[test]
    fn addresses_that_say_less_or_more_than_they_seem_are_refused() {
        let bad = [
            "https://*.example.org/",
            "https://example.org*",
            "https://example.org/mir*",
            "https://user@example.org/",
            "https://:pw@example.org/",
            "https://example.org/?a",
            "ftp://example.org/",
            "example.org",
            "",
        ];
        for text in bad {
            assert!(text.parse::<UrlGrant>().is_err(), "{text} was taken");
        }
    }
}
