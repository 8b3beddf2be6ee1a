//! Destinations that somebody swaps for something else while they are used: nothing outside is written or removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use engine::{Attempt, Class, DestinationFolder, Exit, Verdict};
use tokio_util::sync::CancellationToken;

use crate::kit::{Recorder, Site};

/// A destination, and what somebody would like to have written instead.
struct DestinationSwap {
    dest: PathBuf,
    away: PathBuf,
    outside: PathBuf,
}

impl DestinationSwap {
    fn of(site: &Site, dest: PathBuf) -> Self {
        let outside = site.path("outside");
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("precious"), "precious").unwrap();
        Self { away: dest.with_file_name("away"), dest, outside }
    }

    /// Puts a link in the destination's place.
    fn link(&self) {
        fs::rename(&self.dest, &self.away).unwrap();
        symlink(&self.outside, &self.dest).unwrap();
    }

    fn assert_untouched(&self) {
        let names: Vec<_> =
            fs::read_dir(&self.outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["precious"]);
    }
}

#[tokio::test]
async fn a_destination_that_was_swapped_before_the_start_gets_no_rsync() {
    let site = Site::new().await;
    let plain = site.attempt("small");
    fs::create_dir(&plain.dest).unwrap();
    let folder = Some(Arc::new(DestinationFolder::open(&plain.dest).unwrap()));
    let held = Attempt { folder, ..plain.clone() };
    let swap = DestinationSwap::of(&site, plain.dest.clone());
    swap.link();
    for attempt in [&held, &plain] {
        let (report, seen) = site.run(attempt).await;
        assert_eq!((report.judgement.class, seen.pid), (Class::Config, None), "{report:?}");
        assert!(report.judgement.reason.contains("a symbolic link stands on the way"), "{report:?}");
        swap.assert_untouched();
    }
    // A real folder in its place is not the one that was looked at.
    fs::remove_file(&swap.dest).unwrap();
    fs::rename(&swap.outside, &swap.dest).unwrap();
    let (report, seen) = site.run(&held).await;
    assert_eq!((report.judgement.class, seen.pid), (Class::Config, None), "{report:?}");
    assert!(report.judgement.reason.contains("another folder took the place"), "{report:?}");
    fs::rename(&swap.dest, &swap.outside).unwrap();
    swap.assert_untouched();
    fs::rename(&swap.away, &swap.dest).unwrap();
    let (report, _) = site.run(&held).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}

#[tokio::test]
async fn an_rsync_that_runs_goes_on_in_the_folder_that_was_opened() {
    let site = Site::new().await;
    let (slow, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let swap = DestinationSwap::of(&site, slow.dest.clone());
    let (report, ()) = tokio::join!(site.engine.attempt(&slow, &recorder, &cancel), async {
        recorder.started().await;
        swap.link();
        cancel.cancel();
    });
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
    swap.assert_untouched();
    assert!(swap.away.is_dir());
}
