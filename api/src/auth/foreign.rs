//! Requests that another site makes a browser send.
//!
//! A browser adds cookies, and logins that it was once asked for, to whatever any page has it send. It also says on whose
//! behalf it sends: in `Sec-Fetch-Site`, or, where it knows no such header, in `Origin`. Programs that are no browsers
//! send neither.

use axum::http::{HeaderMap, Uri, header};

use super::sessions::{self, is_from_page};
use crate::http::RequestOrigin;

/// Header by which a browser says which site has it send a request.
const FETCH_SITE: &str = "sec-fetch-site";
/// Headers that only browsers send.
const OF_BROWSERS: [&str; 5] =
    [FETCH_SITE, "sec-fetch-mode", "sec-fetch-dest", "upgrade-insecure-requests", "origin"];

/// Returns whether a browser sends this on behalf of another site. The own origins are `site_url`, where it is set, and
/// the scheme and host of the request.
#[must_use]
pub fn is_foreign(headers: &HeaderMap, request: &RequestOrigin, site_url: &str) -> bool {
    if headers.contains_key(FETCH_SITE) {
        let mut sites = headers.get_all(FETCH_SITE).iter();
        return !sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    }

    let scheme = if request.is_https { "https" } else { "http" };
    let host = request.host.as_deref().unwrap_or_default();
    let own = [WebOrigin::parse(site_url), WebOrigin::parse(&format!("{scheme}://{host}"))];
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.any(|origin| {
        let origin = origin.to_str().ok().and_then(WebOrigin::parse);
        origin.is_none() || !own.contains(&origin)
    })
}

/// Returns whether a browser sends this. It is never asked for a login by Basic: it would remember that login, and send
/// it along with whatever another page makes it send.
#[must_use]
pub fn is_from_browser(headers: &HeaderMap) -> bool {
    is_from_page(headers)
        || sessions::cookie(headers).is_some()
        || OF_BROWSERS.iter().any(|name| headers.contains_key(*name))
}

/// Scheme, host and port of a page.
#[derive(Debug, PartialEq, Eq)]
struct WebOrigin {
    scheme: String,
    host: String,
    port: u16,
}

impl WebOrigin {
    /// Reads the origin of an address; none for `null`, and for whatever is no address of a page.
    fn parse(text: &str) -> Option<Self> {
        let address: Uri = text.parse().ok()?;
        let scheme = address.scheme_str()?;
        let port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        Some(Self {
            scheme: scheme.to_owned(),
            host: address.host()?.to_ascii_lowercase(),
            port: address.port_u16().unwrap_or(port),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn request(host: &str) -> RequestOrigin {
        RequestOrigin { address: [127, 0, 0, 1].into(), is_https: false, host: Some(host.to_owned()) }
    }

    #[test]
    fn another_site_is_told_from_the_own_page_and_from_programs() {
        let is_foreign = |pairs: &[(&'static str, &str)]| {
            is_foreign(&headers(pairs), &request("Mirror.example:8080"), "https://public.example/")
        };
        let own: [&[(&str, &str)]; 7] = [
            &[],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            // A browser that knows `Sec-Fetch-Site` knows better than an address that a proxy has changed.
            &[("sec-fetch-site", "same-origin"), ("origin", "https://elsewhere.example")],
            &[("origin", "http://mirror.example:8080")],
            &[("origin", "https://public.example")],
            &[("origin", "https://public.example:443")],
        ];
        for pairs in own {
            assert!(!is_foreign(pairs), "{pairs:?}");
        }
        let foreign: [&[(&str, &str)]; 10] = [
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://mirror.example:8080")],
            &[("origin", "null")],
            &[("origin", "http://mirror.example")],
            &[("origin", "https://mirror.example:8080")],
            &[("origin", "http://mirror.example:8080"), ("origin", "http://evil.example")],
            &[("origin", "http://mirror.example.evil.example:8080")],
        ];
        for pairs in foreign {
            assert!(is_foreign(pairs), "{pairs:?}");
        }
    }

    #[test]
    fn without_an_address_of_its_own_a_site_trusts_no_origin() {
        let given = headers(&[("origin", "http://mirror.example")]);
        assert!(is_foreign(&given, &RequestOrigin { host: None, ..request("") }, ""));
    }
}
