//! A program that runs one attempt and says how far it is: what the tests of this crate kill.
//!
//! `engine-supervisor GUARDIAN STATE DEST SOURCE KIB_PER_SECOND [RSYNC]`, or `engine-supervisor sweep STATE`, which ends
//! what an earlier one left and prints the process ids.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Attempt, Change, Engine, Limits, Monitor, Options, Phase, Progress};
use tokio_util::sync::CancellationToken;

/// Says on standard output that rsync was started, and that data flows.
#[derive(Default)]
struct Speaker {
    flows: AtomicBool,
}

fn say(word: &str, number: u64) {
    // Whoever does not listen any more need not hear it.
    let _ = writeln!(std::io::stdout(), "{word} {number}");
}

impl Monitor for Speaker {
    fn phase(&self, phase: Phase) {
        if let Phase::Started { pid } = phase {
            say("rsync", pid.into());
        }
    }

    fn progress(&self, progress: &Progress) {
        if progress.bytes > 0 && !self.flows.swap(true, Ordering::Relaxed) {
            say("flowing", progress.bytes);
        }
    }

    fn change(&self, _: &Change<'_>, _: &[u8]) {}
    fn stdout(&self, _: &[u8]) {}
    fn stderr(&self, _: &[u8]) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, state] = &words[..]
        && word == "sweep"
    {
        let engine = Engine::new("rsync".into(), Vec::new(), state.as_ref())?;
        for pid in engine.end_orphans(Duration::from_secs(5))? {
            say("ended", pid.into());
        }
        return Ok(());
    }

    let [guardian, state, dest, source, kib, rsync @ ..] = &words[..] else {
        return Err("five arguments are needed".into());
    };
    let rsync = rsync.first().map_or("rsync", String::as_str);
    let engine = Engine::new(rsync.into(), vec![guardian.into()], state.as_ref())?.with_nursery();
    let attempt = Attempt {
        source: source.parse()?,
        command: None,
        password: None,
        dest: PathBuf::from(dest),
        folder: None,
        options: Options::default(),
        limits: Limits { bwlimit_kib: Some(kib.parse()?), ..Limits::default() },
        time_limit: None,
        stall: None,
        unclean_since: None,
        stages: None,
    };
    engine.attempt(&attempt, &Speaker::default(), &CancellationToken::new()).await;
    Ok(())
}
