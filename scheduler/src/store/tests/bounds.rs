//! What the store keeps in memory, however much is written.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chrono::DateTime;
use tokio_util::sync::CancellationToken;

use crate::account::{AccountWrite, AuditEntry};
use crate::journal::Journals;
use crate::retention::{Retention, sweep, trim_audit};

use super::super::keys::Table;
use super::super::tables::{Tables, UNWRITTEN_BYTES};
use super::*;

#[test]
fn what_is_seldom_written_is_written_out_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables::make(folder.path()).unwrap();
    let entry = |table, key: &str, bytes: usize| (table, key.as_bytes().to_vec(), Some(vec![1; bytes]));
    let part = usize::try_from(UNWRITTEN_BYTES).unwrap() / 4;
    tables.write(1, &[entry(Table::Notes, "seldom", 10)]).unwrap();
    for number in 0..4 {
        assert_eq!(tables.table_files(Table::Notes), 0, "after {number} parts");
        tables.write(2 + number, &[entry(Table::Runs, &number.to_string(), part)]).unwrap();
    }

    // The worker of the database needs its time.
    let began = Instant::now();
    while tables.table_files(Table::Notes) == 0 {
        assert!(began.elapsed() < Duration::from_mins(1), "it is still in memory alone");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(tables.get(Table::Notes, b"seldom").unwrap().is_some());
}

#[tokio::test]
async fn the_newest_lines_of_the_audit_trail_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let line = |id: u128| AuditEntry {
        id,
        at: DateTime::UNIX_EPOCH,
        by: "ann".to_owned(),
        action: "project.sync".to_owned(),
        target: "debian".to_owned(),
        from: None,
        before: None,
        after: None,
    };
    store.commit_accounts((0..2500).map(|id| AccountWrite::Audit(line(id))).collect()).await.unwrap();
    assert_eq!(trim_audit(&store, 3000).await.unwrap(), 0);
    assert_eq!(trim_audit(&store, 3).await.unwrap(), 2497);
    assert_eq!(store.audit(None, 9).unwrap(), [line(2499), line(2498), line(2497)]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_long_past() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let journals = Journals::new(&folder.path().join("runs"), 1000).unwrap();
    let runs = (0..2500).map(|number| Write::Run(run(number, "gone", ended())));
    store.commit(runs.collect()).await.unwrap();
    let sweep = async |stop: &CancellationToken| {
        let (projects, live) = (HashSet::new(), HashSet::new());
        sweep(&store, &journals, &Retention::default(), projects, live, at(1), stop).await.unwrap()
    };

    let stopped = CancellationToken::new();
    stopped.cancel();
    assert_eq!(sweep(&stopped).await, 0);
    assert_eq!(sweep(&CancellationToken::new()).await, 2500);
}
