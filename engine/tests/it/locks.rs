//! One destination, one rsync: the second is refused while the first lives, by whatever path it comes.

use engine::{Attempt, Class, Engine, Exit, Verdict};
use tokio_util::sync::CancellationToken;

use crate::kit::{Recorder, Site, guardian};

#[tokio::test]
async fn a_second_attempt_on_one_destination_is_refused_while_the_first_lives() {
    let site = Site::new().await;
    let (slow, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let alias = site.path("alias");
    std::os::unix::fs::symlink(&slow.dest, &alias).unwrap();
    // Another server: it has locks of its own.
    let other = Engine::new("rsync".into(), guardian(), &site.path("other")).unwrap();
    let (first, ()) = tokio::join!(site.engine.attempt(&slow, &recorder, &cancel), async {
        recorder.started().await;
        let same = site.attempt("small");
        for (engine, attempt) in [(&site.engine, &same), (&other, &same)] {
            let second = Recorder::default();
            let report = engine.attempt(attempt, &second, &CancellationToken::new()).await;
            assert_eq!(
                (&report.exit, report.judgement.class),
                (&Exit::Busy, Class::DestinationBusy),
                "{report:?}"
            );
            assert_eq!((report.judgement.verdict, report.clean), (Verdict::RetrySoon, true));
            assert_eq!(second.seen().pid, None, "rsync was started all the same");
        }
        // By another name it is refused as well: nothing is started through a link.
        let (report, seen) = site.run(&Attempt { dest: alias.clone(), ..same.clone() }).await;
        assert_eq!((report.judgement.class, seen.pid), (Class::Config, None), "{report:?}");
        // A destination beside it is nobody's.
        let (report, _) = site.run(&Attempt { dest: site.path("beside"), ..same }).await;
        assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
        cancel.cancel();
    });
    assert_eq!(first.exit, Exit::Cancelled, "{first:?}");
    let (report, _) = site.run(&site.attempt("small")).await;
    assert_eq!(report.judgement.verdict, Verdict::Done, "{report:?}");
}
