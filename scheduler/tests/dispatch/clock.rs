//! A server that starts under a clock that is behind what its store holds.

use chrono::{TimeDelta, Utc};
use scheduler::core::Write;

use crate::kit::Site;

#[tokio::test]
async fn a_start_behind_the_stored_times_replaces_them_and_tells_readers() {
    let site = Site::new(None).await;
    site.create(site.project()).await;
    site.synced().await;
    assert_eq!(site.scheduler.board().clock_step(), None);

    let id = "p".parse().unwrap();
    let mut standing = site.scheduler.board().project(&id).unwrap().standing.clone();
    let ahead = Utc::now() + TimeDelta::minutes(40);
    (standing.fired, standing.last_success) = (Some(ahead), Some(ahead));
    let write = Write::Standing(id.clone(), Box::new(standing));
    site.scheduler.store().commit(vec![write]).await.unwrap();

    let site = site.restart(None).await;
    let told = site.scheduler.board().clock_step().unwrap();
    assert!(told.is_current(Utc::now()) && told.by > TimeDelta::minutes(30), "{told:?}");
    let entry = site.scheduler.board().project(&id).unwrap();
    for time in [entry.standing.fired, entry.standing.last_success] {
        assert!(time.unwrap() <= Utc::now(), "{entry:?}");
    }
    // What was replaced is replaced for good.
    let site = site.restart(None).await;
    assert_eq!(site.scheduler.board().clock_step(), None);
}
