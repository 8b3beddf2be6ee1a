//! The Atom feed of what changes with the projects (RFC 4287).

use std::fmt::Write;

use engine::text;

use super::time;
use crate::alerts::{Change, Feed};
use crate::config::Site;

/// The whole document.
#[must_use]
pub fn atom(feed: &Feed, site: &Site) -> String {
    let named = [&site.name, &site.abbr].into_iter().find(|name| !name.is_empty());
    let name = escaped(named.map_or("Heliostat", String::as_str));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    // Writing into a text cannot fail.
    let _ = writeln!(
        xml,
        "<feed xmlns=\"http://www.w3.org/2005/Atom\">\n<id>{}</id>\n<title>{name}: mirrors</title>\n\
         <updated>{}</updated>\n<author><name>{name}</name></author>\n\
         <generator version=\"{}\">Heliostat</generator>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"/feed.atom\"/>",
        urn(&feed.id),
        time(feed.updated()),
        env!("CARGO_PKG_VERSION"),
    );
    if !site.homepage.is_empty() {
        let _ = writeln!(xml, "<link rel=\"alternate\" href=\"{}\"/>", escaped(&site.homepage));
    }
    for change in &feed.changes {
        entry(&mut xml, change);
    }
    xml.push_str("</feed>\n");
    xml
}

fn entry(xml: &mut String, change: &Change) {
    let says = if change.over { change.kind.over() } else { change.kind.says() };
    let title = escaped(&format!("{} {says}", change.project));
    let at = time(change.time);
    let _ = writeln!(
        xml,
        "<entry>\n<id>{}</id>\n<title>{title}</title>\n<published>{at}</published>\n<updated>{at}</updated>\n\
         <category term=\"{}\"/>\n<content type=\"text\">{title}</content>\n</entry>",
        urn(&change.id),
        escaped(&change.project),
    );
}

fn urn(uuid: &str) -> String {
    format!("urn:uuid:{uuid}")
}

/// A text as XML may hold it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::lines(text.as_bytes()).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write them.
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
