//! A file that changes while the server runs.

use plugins::Reloaded;
use scheduler::hooks::{Decision, Hooks};

use crate::guests::{pre, proceed};
use crate::kit::Place;

#[tokio::test]
async fn a_new_file_is_taken_and_a_broken_one_leaves_the_old_going() {
    let place = Place::new();
    let plugins = place.load(vec![place.plugin("p", &proceed())]).await;
    let word = async || plugins.pre_sync(&place.context()).await.remove(0).word;
    assert_eq!(word().await, Decision::Proceed);
    assert!(matches!(plugins.reload().await[0].1, Ok(Reloaded::Same)));

    place.plugin("p", &pre("", "new", "(call $say (i32.const 2))"));
    assert!(matches!(plugins.reload().await[0].1, Ok(Reloaded::New)));
    assert_eq!(word().await, Decision::Skip("new".to_owned()));

    std::fs::write(place.path("p.wasm"), b"\0asm").unwrap();
    assert!(plugins.reload().await[0].1.is_err());
    assert_eq!(word().await, Decision::Skip("new".to_owned()));
    let report = plugins.list().remove(0);
    assert!(report.refused.unwrap().contains("ends within"));
    assert_eq!(report.reloads, 1);

    place.plugin("p", &proceed());
    assert!(matches!(plugins.reload().await[0].1, Ok(Reloaded::New)));
    assert_eq!((word().await, plugins.list()[0].refused.clone()), (Decision::Proceed, None));
}

#[tokio::test]
async fn a_call_in_flight_ends_with_the_code_it_began_with() {
    let place = Place::new();
    let mut slow = place.plugin("p", &pre("", "", "(loop (br 0)) (unreachable)"));
    slow.limits.wall = std::time::Duration::from_mins(5);
    let plugins = place.load(vec![slow]).await;
    let context = place.context();
    let (old, new) = tokio::join!(plugins.pre_sync(&context), async {
        place.plugin("p", &proceed());
        plugins.reload().await;
        plugins.pre_sync(&context).await
    });
    assert!(old[0].failure.as_ref().unwrap().contains("processor time"));
    assert_eq!(new[0].failure, None);
}
