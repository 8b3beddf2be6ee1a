//! Destinations: places where no tree may land, and trees whose place somebody swaps for a link.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Server, Upstream, free_port, heliostat, write_private};

/// A folder in which somebody may rename the destination `p`, and one that he may not write.
struct RootSwap {
    root: PathBuf,
    outside: PathBuf,
}

impl RootSwap {
    fn new(folder: &Path) -> Self {
        let (root, outside) = (folder.join("allowed"), folder.join("outside"));
        for made in [&root, &outside] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(outside.join("precious"), "precious").unwrap();
        Self { root, outside }
    }

    /// Puts a link in the destination's place; a second time it does nothing.
    fn link(&self) {
        if !self.root.join("away").exists() {
            let _ = fs::rename(self.root.join("p"), self.root.join("away"));
            let _ = symlink(&self.outside, self.root.join("p"));
        }
    }

    fn undo(&self) {
        fs::remove_file(self.root.join("p")).unwrap();
        fs::rename(self.root.join("away"), self.root.join("p")).unwrap();
    }

    fn assert_untouched(&self, when: &str) {
        let names: Vec<_> =
            fs::read_dir(&self.outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["precious"], "{when}");
    }
}

/// A proxy before a daemon that calls somebody before it passes a connection on. Returns its port.
fn proxy(daemon: u16, before: impl Fn() + Send + 'static) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            before();
            let Ok(server) = TcpStream::connect(("127.0.0.1", daemon)) else { continue };
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}

/// A server with one root. `prepare` makes what its configuration names.
fn server_with_roots(rsync: &str, prepare: impl Fn(&Path)) -> Server {
    let mut server = Server::start_with("allowed_roots: [\"ROOT\"], rsync: (RSYNC), ", |text, folder| {
        prepare(folder);
        let text = text.replace("ROOT", &folder.join("allowed").display().to_string());
        text.replace("RSYNC", &rsync.replace("FOLDER", &folder.display().to_string()))
    });
    server.ready();
    server
}

#[test]
fn a_destination_that_becomes_a_link_at_any_connection_of_a_run_leads_nobody_outside() {
    let (server, upstream) = (server_with_roots("", |_| {}), Upstream::start(20));
    let swap = Arc::new(RootSwap::new(&server.path("")));
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (acting, counting) = (Arc::clone(&swap), Arc::clone(&left));
    let port = proxy(upstream.port(), move || {
        if counting.fetch_sub(1, Ordering::SeqCst) == 1 {
            acting.link();
        }
    });
    let settings = json!({"dest": swap.root.join("p"), "guard": {"max_delete_percent": 100}});
    server.project("p", &format!("rsync://127.0.0.1:{port}/data"), &settings);
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");

    let mut swapped = 0;
    for connection in 1..=8 {
        fs::write(upstream.tree().join(format!("new-{connection}")), "new").unwrap();
        left.store(connection, Ordering::SeqCst);
        let run = server.ended(&server.sync("p"));
        left.store(usize::MAX, Ordering::SeqCst);
        swap.assert_untouched(&format!("connection {connection}: {run}"));
        if swap.root.join("away").exists() {
            swapped += 1;
            assert_eq!(run["attempts"][0]["class"], "config", "{run}");
            swap.undo();
        }
    }
    assert!(swapped >= 2, "the rehearsal and the run make a connection each");
    let run = server.ended(&server.sync("p"));
    assert!(matches!(run["state"].as_str(), Some("succeeded" | "unchanged")), "{run}");
}

/// An rsync that swaps the destination before it begins, at the start that the file `at` says.
fn swapping_rsync(folder: &Path) -> String {
    format!(
        "#!/bin/sh\ncase \"$*\" in *--version*) exec rsync \"$@\";; esac\n\
         (cd {0}; echo x >> starts\n\
         if [ -f at ] && [ $(wc -l < starts) = $(cat at) ]; then\n\
         mv allowed/p allowed/away; ln -s {0}/outside allowed/p; fi)\nexec rsync \"$@\"\n",
        folder.display()
    )
}

#[test]
fn a_destination_that_becomes_a_link_when_a_program_starts_leads_nobody_outside() {
    // The guardian has opened the destination by then, and the program has not begun.
    let script = |folder: &Path| {
        let script = swapping_rsync(folder);
        fs::write(folder.join("rsync"), script).unwrap();
        fs::set_permissions(folder.join("rsync"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    let server = server_with_roots("program: \"FOLDER/rsync\"", script);
    let upstream = Upstream::start(20);
    let swap = RootSwap::new(&server.path(""));
    let settings = json!({"dest": swap.root.join("p"), "stages": "debian", "freshness": {"marker": "none"}});
    server.project("p", &upstream.url("data"), &settings);
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");

    let mut swapped = 0;
    for start in 1..=4 {
        fs::write(upstream.tree().join(format!("new-{start}")), "new").unwrap();
        let _ = fs::remove_file(server.path("starts"));
        fs::write(server.path("at"), start.to_string()).unwrap();
        let run = server.ended(&server.sync("p"));
        fs::remove_file(server.path("at")).unwrap();
        swap.assert_untouched(&format!("start {start}: {run}"));
        if swap.root.join("away").exists() {
            swapped += 1;
            assert_eq!(run["attempts"][0]["class"], "config", "{run}");
            swap.undo();
        }
    }
    assert!(swapped >= 3, "a rehearsal and two stages");
}

#[test]
fn what_rules_the_server_is_no_destination_at_saving_and_at_the_start() {
    let mut server = Server::start_with(
        "plugins: (folder: Some(\"FOLDER/plugins\")), alerts: (channels: [Webhook(name: \"w\", url: \
         File(\"FOLDER/secrets/hook\"))]), ",
        |text, folder| {
            for made in ["plugins", "secrets"] {
                fs::create_dir(folder.join(made)).unwrap();
            }
            write_private(&folder.join("secrets/hook"), "http://127.0.0.1:1/");
            text.replace("FOLDER", &folder.display().to_string())
        },
    );
    server.ready();
    let upstream = Upstream::start(3);
    let program = heliostat();
    let folder = server.path("");
    for (dest, named) in [
        (folder.clone(), "the server's own data folder"),
        (folder.join("secrets"), "a file with a secret"),
        (folder.join("plugins"), "the folder of plugins"),
        (folder.join("plugins/own"), "the folder of plugins"),
        (folder.join("data/mirror"), "the server's own data folder"),
        (program.parent().unwrap().to_owned(), "this program"),
    ] {
        let body = json!({"id": "q", "source": upstream.url("data"), "dest": dest});
        let answer = server.post("/api/v1/projects", &body);
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &json!("dest")), "{dest:?}");
        assert!(answer.text.contains(named), "{dest:?}: {}", answer.text);
    }
    server.project("p", &upstream.url("data"), &json!({}));
    assert_eq!(server.ended(&server.sync("p"))["state"], "succeeded");

    // What becomes a place of power later is found at the start.
    let dest = server.path("mirrors/p");
    let text = fs::read_to_string(server.config()).unwrap();
    let here = dest.join("hook");
    fs::write(
        server.config(),
        text.replace(server.path("secrets/hook").to_str().unwrap(), here.to_str().unwrap()),
    )
    .unwrap();
    write_private(&here, "http://127.0.0.1:1/");
    let reloaded = server.post("/api/v1/reload", &json!({}));
    assert_eq!(reloaded.status, 200, "{}", reloaded.text);
    let run = server.ended(&server.sync("p"));
    assert_eq!((&run["state"], &run["attempts"][0]["class"]), (&json!("failed"), &json!("config")), "{run}");
    assert!(run["reason"].as_str().unwrap().contains("a file with a secret"), "{run}");
    assert!(here.exists(), "the upstream does not have it");
}

#[test]
fn without_roots_only_root_says_where_a_tree_lands_by_both_apis() {
    let mut server = Server::start_with("", |text, _| text);
    server.ready();
    assert!(server.log().contains("`allowed_roots` is empty"), "{}", server.log());
    let ann = json!({"name": "ann", "password": "a long password", "role": "upstreamuser"});
    assert_eq!(server.post("/api/v1/users", &ann).status, 201);
    let ask = |method: Method, path: &str, body: &Value| {
        let request = crate::kit::client().request(method, server.url(path));
        let answer = request.basic_auth("ann", Some("a long password")).json(body).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let old = json!({"project": "o", "rsync_host": "h", "rsync_module": "m", "dest": server.path("mirrors")});
    let new = json!({"id": "a", "source": "rsync://h/m", "dest": server.path("mirrors/a")});
    let create = [(Method::POST, "/api/v1/projects", &new), (Method::POST, "/add_project", &old)];
    for (method, path, body) in create.clone() {
        let (status, text) = ask(method, path, body);
        assert!(status == 403 && text.contains("allowed_roots"), "{path}: {status} {text}");
    }

    // What she has from before goes on, and may be changed where it stands.
    let root = |body: &Value| {
        let config = fs::read_to_string(server.config()).unwrap();
        let with_roots = config.replacen('(', "(allowed_roots: [\"/\"], ", 1);
        fs::write(server.config(), with_roots).unwrap();
        assert_eq!(server.post("/api/v1/reload", &json!({})).status, 200);
        let made = ask(Method::POST, "/api/v1/projects", body);
        assert_eq!(made.0, 201, "{}", made.1);
        fs::write(server.config(), config).unwrap();
        assert_eq!(server.post("/api/v1/reload", &json!({})).status, 200);
    };
    root(&json!({"id": "a", "source": "rsync://h/m", "dest": server.path("mirrors/a"), "name": "a"}));
    let (change, elsewhere) = (json!({"priority": 3}), json!({"dest": server.path("mirrors/b")}));
    assert_eq!(ask(Method::PATCH, "/api/v1/projects/a", &change).0, 200);
    for (method, path, body) in [
        (Method::PATCH, "/api/v1/projects/a", elsewhere),
        (Method::POST, "/update_project/basic", json!({"id": "a", "dest": server.path("elsewhere")})),
        (Method::POST, "/update_project/basic", json!({"id": "a", "project": "b"})),
    ] {
        let (status, text) = ask(method, path, &body);
        assert!(status == 403 && text.contains("allowed_roots"), "{path} {body}: {status} {text}");
    }
    let same = json!({"id": "a", "dest": server.path("mirrors"), "rsync_module": "n"});
    assert_eq!(ask(Method::POST, "/update_project/basic", &same).0, 200);
    let moved =
        server.request(Method::PATCH, "/api/v1/projects/a").json(&json!({"dest": server.path("mirrors/c")}));
    assert_eq!(server.send(moved).status, 200, "root may");
}
