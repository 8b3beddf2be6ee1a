//! A password is in no command line, no environment, and no text that an attempt gives out.

use std::fs;

use engine::{Attempt, Exit, Secret};
use tokio_util::sync::CancellationToken;

use crate::kit::{LOGIN, Recorder, Site, holding, list};

#[tokio::test]
async fn the_password_is_in_no_command_line_and_no_environment() {
    let site = Site::new().await;
    let source = site.source(Some(LOGIN.0), "closed");
    let attempt = Attempt { source, password: Some(Secret::new(LOGIN.1)), ..site.slow() };
    let (recorder, cancel) = (Recorder::default(), CancellationToken::new());
    let (report, ()) = tokio::join!(site.engine.attempt(&attempt, &recorder, &cancel), async {
        let running = recorder.flowing().await;
        // The search finds what is there.
        for pid in [running.main.pid, running.receiver.pid] {
            assert!(holding("cmdline", "--password-file=-").contains(&pid));
            assert!(holding("environ", "LC_ALL=C.UTF-8").contains(&pid));
        }
        for file in ["cmdline", "environ"] {
            assert_eq!(holding(file, LOGIN.1), [0; 0], "the password is in a {file}");
        }
        // What we say of ourselves is not handed on either.
        assert!(!holding("environ", "CARGO").contains(&running.guardian.pid));
        cancel.cancel();
    });
    assert_eq!(report.exit, Exit::Cancelled, "{report:?}");
    let told = format!("{report:?} {attempt:?} {} {:?}", site.engine.command(&attempt), recorder.seen());
    assert!(!told.contains(LOGIN.1), "{told}");
}

#[tokio::test]
async fn rsync_sees_an_empty_home_and_nothing_of_our_environment() {
    let site = Site::new().await;
    let (attempt, recorder, cancel) = (site.slow(), Recorder::default(), CancellationToken::new());
    let ((), ()) =
        tokio::join!(async { drop(site.engine.attempt(&attempt, &recorder, &cancel).await) }, async {
            let running = recorder.flowing().await;
            let environ = fs::read_to_string(format!("/proc/{}/environ", running.main.pid)).unwrap();
            let mut names: Vec<&str> =
                environ.split('\0').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
            names.sort_unstable();
            assert_eq!(names, ["HOME", "LC_ALL", "PATH", "TZ"]);
            let home = environ.split('\0').find_map(|pair| pair.strip_prefix("HOME=")).unwrap();
            assert_eq!(list(home.as_ref()), [""; 0]);
            cancel.cancel();
        });
}
