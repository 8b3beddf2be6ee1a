//! The files by which Debian's mirrors know each other: `Archive-Update-in-Progress-NAME` while a tree is brought up to
//! date, `project/trace/NAME` once it was.
//!
//! They are written for projects with the stages of Debian, where the site has a name. The upstream cannot take their
//! place, and no deletion reaches them. Failing to write them is said in the log, and is no reason to fail a run.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use engine::{Attempt, DestinationFolder};

use crate::dispatcher::TraceSite;
use crate::project::{Project, Repository};
use crate::run::AttemptEnd;

/// What is written into one tree during one attempt.
pub(super) struct Trace {
    site: TraceSite,
    /// The tree, once something was written into it.
    folder: Option<Arc<DestinationFolder>>,
    started: DateTime<Utc>,
}

impl Trace {
    /// Lets the attempt keep its hands off both files; none: this tree has no such files.
    pub(super) fn prepare(project: &Project, site: Option<TraceSite>, attempt: &mut Attempt) -> Option<Self> {
        let site = site.filter(|_| project.stages == Some(Repository::Debian))?;
        let trace = Self { site, folder: None, started: Utc::now() };
        let stages = attempt.stages.take()?;
        let (progress, own) = (progress(&trace.site), trace.own());
        attempt.stages = Some(stages.with_ours(format!("/{progress}")).with_ours(format!("/{own}")));
        Some(trace)
    }

    /// Says that an update is in progress.
    pub(super) fn begin(&mut self, attempt: &Attempt) -> io::Result<()> {
        let folder = self.folder.insert(attempt.open_or_make()?);
        let text = format!("{}\n", self.started.format("%a %b %e %H:%M:%S UTC %Y"));
        folder.replace(Path::new(&progress(&self.site)), &text)
    }

    /// Says that it is over, and after a good end what it was.
    pub(super) fn finish(&self, upstream: &str, end: &AttemptEnd) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if end.verdict == engine::Verdict::Done {
            let serial = serial(&folder.path().join("project/trace/master"));
            let content = self.content(upstream, end, serial.as_deref(), Utc::now());
            folder.replace(Path::new(&self.own()), &content)?;
        }
        folder.remove_file(Path::new(&progress(&self.site)))
    }

    fn own(&self) -> String {
        format!("project/trace/{}", self.site.name)
    }

    /// The fields of ftpsync that are known here, in its order.
    fn content(&self, upstream: &str, end: &AttemptEnd, serial: Option<&str>, now: DateTime<Utc>) -> String {
        let received = end.stats.map_or(0, |stats| stats.received);
        let seconds = end.duration.as_secs().max(1);
        let mut text = format!("{}\n", now.format("%a %b %e %H:%M:%S UTC %Y"));
        let mut line = |key: &str, value: &str| {
            if !value.is_empty() {
                // Writing into a text does not fail.
                let _ = writeln!(text, "{key}: {value}");
            }
        };
        line("Date", &now.to_rfc2822());
        line("Date-Started", &self.started.to_rfc2822());
        line("Archive serial", serial.unwrap_or_default());
        line("Creator", concat!("Heliostat ", env!("CARGO_PKG_VERSION")));
        line("Running on host", &self.site.name);
        line("Maintainer", &self.site.maintainer);
        line("Architectures-Configuration", "ALL");
        line("Upstream-mirror", upstream);
        line("Rsync-Transport", "plain");
        line("Total bytes received in rsync", &received.to_string());
        line("Total time spent in rsync", &seconds.to_string());
        line("Average rate", &format!("{} B/s", received / seconds));
        text
    }
}

/// The serial of the archive, as its own trace says it.
fn serial(master: &Path) -> Option<String> {
    let text = std::fs::read_to_string(master).ok()?;
    let serial = text.lines().find_map(|line| line.strip_prefix("Archive serial: "))?;
    serial.chars().all(|c| c.is_ascii_digit()).then(|| serial.to_owned())
}

/// Name of the file that stands while a tree is brought up to date.
fn progress(site: &TraceSite) -> String {
    format!("Archive-Update-in-Progress-{}", site.name)
}
