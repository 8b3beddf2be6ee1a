//! What a real daemon sent, with some of its bytes changed: there may be any answer, but there is one, and soon.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use engine::Secret;
use engine::protocol::{Connection, ListLimits, Timeouts, What, list};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::PATIENT;
use crate::daemon::{Config, LOGIN, source};
use crate::servers::{between, serve};

const STREAMS: u64 = 600;
const BOUND: Duration = Duration::from_secs(20);

/// Changes one to eight bytes, and cuts or doubles a piece now and then.
fn mutate(stream: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut changed = stream.to_vec();
    for _ in 0..random.random_range(1..=8) {
        let at = random.random_range(0..changed.len());
        changed[at] = match random.random_range(0..4) {
            0 => changed[at] ^ (1 << random.random_range(0..8)),
            1 => 0xff,
            2 => 0,
            _ => random.random(),
        };
    }
    let (from, length) = (random.random_range(0..changed.len()), random.random_range(0..64));
    let to = changed.len().min(from + length);
    match random.random_range(0..6) {
        0 => changed.truncate(from),
        1 => drop(changed.drain(from..to)),
        2 => {
            let piece = changed[from..to].to_vec();
            drop(changed.splice(from..from, piece));
        }
        _ => {}
    }
    changed
}

#[tokio::test]
async fn recorded_conversations_with_changed_bytes_end_soon_and_without_a_panic() {
    let daemon = Config::new().with_motd("Hello\n").closed("closed").start().await;
    let tree = daemon.path("closed");
    for folder in 0..20 {
        fs::create_dir(tree.join(format!("folder-{folder}"))).unwrap();
        for file in 0..20 {
            fs::write(tree.join(format!("folder-{folder}/file-{file}")), "data").unwrap();
        }
        symlink("../nowhere", tree.join(format!("folder-{folder}/link"))).unwrap();
    }
    let (server, recording) = between(daemon.address, str::to_owned).await;
    let (source, password) = (source(server.address, Some(LOGIN.0), "closed", ""), Secret::new(LOGIN.1));
    let limits = ListLimits { entries: 5000, bytes: 1 << 20 };
    let listing = list(&source, Some(&password), What::Tree, &limits, &PATIENT).await.unwrap();
    assert_eq!(listing.totals.entries(), 20 + 20 * 20 + 20);
    let listed = recording.take();
    Connection::open(&source, &PATIENT).await.unwrap().modules().await.unwrap();
    let modules = recording.take();

    let limit = Duration::from_secs(5);
    let timeouts = Timeouts { connect: limit, handshake: limit, silence: limit, list: limit };
    let (sender, receiver) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
    let replay = serve(move |mut stream| {
        let receiver = std::sync::Arc::clone(&receiver);
        async move {
            let bytes = receiver.lock().await.recv().await.unwrap();
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut heard = [0; 4096];
            while matches!(stream.read(&mut heard).await, Ok(1..)) {}
        }
    })
    .await;
    let source = crate::daemon::source(replay.address, Some(LOGIN.0), "closed", "");
    let mut whole = 0;
    for seed in 0..STREAMS {
        let mut random = StdRng::seed_from_u64(seed);
        sender.send(mutate(if seed % 6 == 0 { &modules } else { &listed }, &mut random)).await.unwrap();
        let conversation = async {
            if seed % 6 == 0 {
                let opened = Connection::open(&source, &timeouts).await;
                return if let Ok(opened) = opened { opened.modules().await.is_ok() } else { false };
            }
            let listing = list(&source, Some(&password), What::Tree, &limits, &timeouts).await;
            if let Ok(listing) = &listing {
                let bytes = listing.entries.iter().map(|entry| entry.name.len()).sum::<usize>();
                assert!(listing.entries.len() <= 5000 && bytes <= 1 << 20, "seed {seed}");
            }
            listing.is_ok()
        };
        let answer = timeout(BOUND, conversation).await;
        whole += u32::from(answer.unwrap_or_else(|_| panic!("seed {seed} does not end")));
    }
    // Some changes touch only a size or a time; most are noticed.
    assert!(whole > 0 && u64::from(whole) < STREAMS, "{whole}");
}
