//! Every kind of login of one server, with the weaker tokens of stronger users, and those that have ended.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::super::answer;
use super::table::Column;
use crate::kit::{PASSWORD, Server, free_port, wait_for};
use crate::old_api::no_rsync;

/// How a request says who sends it.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    Nothing,
    Password(String, String),
    Bearer(String),
    /// A token as the user name of Basic.
    Name(String),
    Cookie(String),
}

/// A login, and what the table says of its like.
pub(super) struct KnownLogin {
    pub(super) name: String,
    pub(super) column: Column,
    pub(super) credential: Credential,
    /// In whose name it acts.
    pub(super) user: String,
    /// The project that this user owns.
    pub(super) owns: Option<&'static str>,
    pub(super) is_by_password: bool,
}

impl KnownLogin {
    /// Returns whether it has anything that the table calls its own.
    pub(super) fn has_own(&self) -> bool {
        match self.column {
            Column::Nobody => false,
            Column::UpstreamUser | Column::Start => self.owns.is_some(),
            Column::Viewer | Column::Root | Column::Slave => true,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.column == Column::Nobody
    }
}

/// A server with users, projects and slaves.
pub(super) struct Site {
    pub(super) server: Server,
    /// An ended run of each project.
    pub(super) runs: BTreeMap<String, String>,
    /// A token that nobody but its owner and root may end.
    pub(super) kept_token: String,
}

impl Site {
    pub(super) fn start() -> Self {
        let server = Server::start_from(|folder, port| {
            let (data, program, rsyncd) = (folder.join("data"), no_rsync(), free_port());
            format!(
                "(data_dir: {data:?}, listen: \"127.0.0.1:{port}\", rsync: (program: {program:?}), \
                 allowed_roots: [\"/\"], role: Master(\
                 enrolment: \"an enrolment secret of tests\", rsyncd: Managed(listen: \"127.0.0.1:{rsyncd}\")))"
            )
        });
        let mut site = Self { server, runs: BTreeMap::new(), kept_token: String::new() };
        for (name, role) in [
            ("admin", "root"),
            ("owner", "upstreamuser"),
            ("other", "upstreamuser"),
            ("viewer", "viewer"),
            ("keeper", "viewer"),
        ] {
            site.add_user(name, role);
        }
        for (id, user) in [("roots", "root"), ("owners", "owner")] {
            site.add_project(id, user);
            let run = site.server.sync(id);
            let cancel = site.server.post(&format!("/api/v1/runs/{run}/cancel"), &json!({}));
            assert!(matches!(cancel.status, 200 | 409), "{}", cancel.text);
            site.server.ended(&run);
            site.runs.insert(id.to_owned(), run);
        }
        let slave = site.server.post("/add_slave", &json!({"hostname": "127.0.0.1", "port": "1"}));
        assert_eq!(slave.status, 200, "{}", slave.text);
        site.kept_token = site.token("keeper", &json!({"name": "kept"}))["id"].as_str().unwrap().to_owned();
        site
    }

    /// Holds that nothing was changed which nobody was allowed to.
    pub(super) fn is_as_it_was(&self) {
        let tokens = self.server.get("/api/v1/tokens").json();
        assert!(tokens["items"].as_array().unwrap().iter().any(|token| token["id"] == *self.kept_token));
        let projects = self.server.get("/api/v1/projects").json();
        let found = projects["items"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|project| (&project["id"], &project["owner"])).collect();
        let (root, owner) = (json!("root"), json!("owner"));
        assert_eq!(found, [(&json!("owners"), &owner), (&json!("roots"), &root)]);
    }

    /// Signs in at the page, and gives the cookie.
    pub(super) fn sign_in(&self, user: &str) -> String {
        let request =
            crate::kit::client().post(self.server.url("/api/v1/session")).header("X-Heliostat", "1");
        let body = json!({"user": user, "password": password(user)});
        let signed_in = request.json(&body).send().unwrap();
        assert_eq!(signed_in.status(), 201, "{user}");
        signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn add_user(&self, name: &str, role: &str) {
        let body = json!({"name": name, "role": role, "password": password(name)});
        let added = self.server.post("/api/v1/users", &body);
        assert_eq!(added.status, 201, "{}", added.text);
    }

    fn add_project(&self, id: &str, user: &str) {
        let retry = json!({"attempts": 1});
        let dest = self.server.path("mirrors").join(id);
        let body = json!({"id": id, "source": "rsync://127.0.0.1:1/m", "dest": dest, "retry": retry});
        assert_eq!(self.as_user(user, Method::POST, "/api/v1/projects", &body).0, 201);
    }

    fn as_user(&self, user: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = crate::kit::client().request(method, self.server.url(path));
        answer(request.basic_auth(user, Some(password(user))).json(body))
    }

    /// Makes a token by a user's password.
    fn token(&self, user: &str, body: &Value) -> Value {
        let (status, token) = self.as_user(user, Method::POST, "/api/v1/tokens", body);
        assert_eq!(status, 201, "{user}, {body}: {token}");
        token
    }

    /// Makes a token with a token.
    fn child(&self, parent: &Value, body: &Value) -> Value {
        let request = crate::kit::client().post(self.server.url("/api/v1/tokens")).bearer_auth(text(parent));
        let (status, token) = answer(request.json(body));
        assert_eq!(status, 201, "{body}: {token}");
        token
    }

    fn of_2014(&self, user: &str) -> String {
        text(&self.as_user(user, Method::GET, "/get_token", &json!({})).1)
    }

    fn remove(&self, path: &str) {
        let removed = self.server.send(self.server.request(Method::DELETE, path));
        assert_eq!(removed.status, 204, "{path}: {}", removed.text);
    }
}

fn password(user: &str) -> String {
    if user == "root" { PASSWORD.to_owned() } else { format!("{user}'s password") }
}

fn text(token: &Value) -> String {
    token["token"].as_str().unwrap().to_owned()
}

fn owned_by(user: &str) -> Option<&'static str> {
    match user {
        "root" => Some("roots"),
        "owner" => Some("owners"),
        _ => None,
    }
}

/// Every login.
pub(super) fn all(site: &Site) -> Vec<KnownLogin> {
    let mut logins = whole(site);
    logins.extend(weaker(site));
    logins.extend(ended(site));
    logins
}

fn login(name: &str, column: Column, user: &str, credential: Credential) -> KnownLogin {
    let is_by_password = matches!(credential, Credential::Password(..) | Credential::Cookie(_));
    let (name, user, owns) = (format!("{user}: {name}"), user.to_owned(), owned_by(user));
    KnownLogin { name, column, credential, user, owns, is_by_password }
}

/// Logins with all the power of their user.
fn whole(site: &Site) -> Vec<KnownLogin> {
    let users = [
        ("root", Column::Root),
        ("admin", Column::Root),
        ("owner", Column::UpstreamUser),
        ("other", Column::UpstreamUser),
        ("viewer", Column::Viewer),
    ];
    let of_user = |(user, column): (&str, Column)| {
        let whole = site.token(user, &json!({"name": "whole"}));
        let child = site.child(&whole, &json!({"name": "child", "expires_in": "1h"}));
        [
            login("password", column, user, Credential::Password(user.to_owned(), password(user))),
            login("session", column, user, Credential::Cookie(site.sign_in(user))),
            login("token", column, user, Credential::Bearer(text(&whole))),
            login("token as a name", column, user, Credential::Name(text(&child))),
            login("token of 2014", column, user, Credential::Name(site.of_2014(user))),
        ]
    };
    users.into_iter().flat_map(of_user).collect()
}

/// Tokens with less power than their owner.
fn weaker(site: &Site) -> Vec<KnownLogin> {
    let bearer = |name: &str, column: Column, user: &str, token: &Value| {
        login(name, column, user, Credential::Bearer(text(token)))
    };
    let as_viewer = |user: &str| site.token(user, &json!({"name": "weak", "role": "viewer"}));
    let (of_root, of_owner) = (as_viewer("root"), as_viewer("owner"));
    let as_upstream = site.token("root", &json!({"name": "weak", "role": "upstreamuser"}));
    let start = |user: &str, project: &str| site.token(user, &json!({"name": "push", "start": project}));
    let node = site.server.post("/api/v1/nodes", &json!({"name": "cron"}));
    assert_eq!(node.status, 201, "{}", node.text);

    let mut logins = vec![
        bearer("viewer's token", Column::Viewer, "root", &of_root),
        bearer("viewer's token", Column::Viewer, "owner", &of_owner),
        bearer("upstreamuser's token", Column::UpstreamUser, "root", &as_upstream),
        bearer("child", Column::Viewer, "root", &site.child(&of_root, &json!({"name": "child"}))),
        bearer("token that starts", Column::Start, "owner", &start("owner", "owners")),
        bearer("token that starts", Column::Start, "root", &start("root", "roots")),
        bearer("token of a slave", Column::Slave, "cron", &node.json()),
    ];
    // The owner of a token that is weaker changes with it what the weaker role owns: nothing.
    logins.push(KnownLogin {
        credential: Credential::Name(text(&start("owner", "owners"))),
        ..login("token that starts, as a name", Column::Start, "owner", Credential::Nothing)
    });
    logins
}

/// Logins that have ended: each is nobody.
fn ended(site: &Site) -> Vec<KnownLogin> {
    let nobody = |name: &str, credential| login(name, Column::Nobody, "viewer", credential);
    let bearer = |name: &str, token: &Value| nobody(name, Credential::Bearer(text(token)));

    let short = site.token("root", &json!({"name": "short", "expires_in": "1s"}));
    let of_short = site.child(&short, &json!({"name": "child"}));
    let revoked = site.token("root", &json!({"name": "revoked"}));
    let of_revoked = site.child(&revoked, &json!({"name": "child", "role": "viewer"}));
    site.remove(&format!("/api/v1/tokens/{}", revoked["id"].as_str().unwrap()));

    site.add_user("gone", "root");
    let of_gone = site.token("gone", &json!({"name": "of a user who is gone"}));
    let session_of_gone = site.sign_in("gone");
    site.remove("/api/v1/users/gone");
    site.add_user("gone", "root");

    let node = site.server.post("/api/v1/nodes", &json!({"name": "gone"})).json();
    site.remove("/api/v1/nodes/gone");
    let signed_out = site.sign_in("viewer");
    let sign_out = crate::kit::client().delete(site.server.url("/api/v1/session"));
    let sign_out = sign_out.header("X-Heliostat", "1").header("Cookie", &signed_out).send().unwrap();
    assert_eq!(sign_out.status(), 204);

    wait_for("the short token to expire", || {
        let asked = crate::kit::client().get(site.server.url("/test")).bearer_auth(text(&of_short));
        (answer(asked).0 == 401).then_some(())
    });
    vec![
        nobody("nothing", Credential::Nothing),
        bearer("expired token", &short),
        bearer("child of an expired token", &of_short),
        bearer("revoked token", &revoked),
        bearer("child of a revoked token", &of_revoked),
        bearer("token of a user who was removed and added again", &of_gone),
        bearer("token of a slave that was removed", &node),
        nobody("session of a user who was removed and added again", Credential::Cookie(session_of_gone)),
        nobody("session that was signed out", Credential::Cookie(signed_out)),
    ]
}
