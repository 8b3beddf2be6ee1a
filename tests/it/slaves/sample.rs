//! What somebody changes on a slave is found by a sample, said, and put right.

use std::fs;

use serde_json::json;

use super::{SECRET, current, master, sync};
use crate::http::Watcher;
use crate::kit::{Server, Upstream, fingerprint, wait_for};

#[test]
fn a_slave_whose_tree_was_changed_finds_it_by_a_sample_says_so_and_heals() {
    let (master, upstream) = (master(), Upstream::start(12));
    let dest = master.project("p", &upstream.url("data"), &json!({}));
    sync(&master, "p");
    let url = master.url("");
    let slave = Server::start_from(|folder, port| {
        let (data, public) = (folder.join("data"), folder.join("public"));
        format!(
            "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", role: Slave(master: {url:?}, name: \"one\",\
             public_dir: {public:?}, enrolment: {SECRET:?}, sample_every: \"200ms\"))"
        )
    });
    current(&master, "one", "p");
    let tree = slave.path("public/p");
    let mut watcher = Watcher::new(&master, "/api/v1/events?types=node.drifted", None);
    let lose = || fs::remove_file(tree.join("d00/file-0")).unwrap();
    let add = || fs::write(tree.join("d00/stray"), "somebody left this").unwrap();
    // The same size and the same time: only the content tells.
    let twist = || {
        let path = tree.join("d01/file-1");
        let (time, length) =
            (fs::metadata(&path).unwrap().modified().unwrap(), fs::read(&path).unwrap().len());
        fs::write(&path, vec![b'?'; length]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    let damages: [(&dyn Fn(), &str); 3] =
        [(&lose, "file-0 is not here"), (&add, "stray is not at the master"), (&twist, "file-1 differs")];
    for (damage, word) in damages {
        damage();
        let (_, _, data) = watcher.next();
        assert_eq!((&data["project"], &data["node"]["id"]), (&json!("p"), &json!("one")), "{data}");
        assert!(data["reason"].as_str().unwrap().contains(word), "{data}");
        wait_for("the tree to be right again", || (fingerprint(&tree) == fingerprint(&dest)).then_some(()));
    }
}
