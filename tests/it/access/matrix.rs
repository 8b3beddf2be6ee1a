//! Every route with every kind of login, held against the table in docs/security.md: each weaker token of each stronger
//! user, logins that have ended, each method, and requests that another site makes a browser send.

mod logins;
mod table;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;

use api::routes::{Route, RouteEffect};
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use logins::{Credential, KnownLogin, Site};
use table::{Column, TableCell, TableRow};

/// Who sends a request, by which headers, and whether on behalf of another site.
type SentBy = (&'static str, &'static [(&'static str, &'static str)], bool);

/// Headers of a browser, or of a program.
const SITES: [SentBy; 6] = [
    ("a program", &[], false),
    ("our own page", &[("Sec-Fetch-Site", "same-origin")], false),
    ("a person", &[("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate")], false),
    ("another port", &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://127.0.0.1:1")], true),
    ("another site", &[("Sec-Fetch-Site", "cross-site")], true),
    ("another site, of an old browser", &[("Origin", "https://evil.example")], true),
];

/// What is asked for: something of the login's own, or of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Own,
    Others,
}

/// Ways to ask this: `HEAD` goes the way of `GET`, and one of each kind is enough.
fn sites(method: &Method, foreign: bool) -> impl Iterator<Item = &'static SentBy> {
    let most = if *method == Method::HEAD { 1 } else { SITES.len() };
    SITES.iter().filter(move |(_, _, is_foreign)| *is_foreign == foreign).take(most)
}

/// The addresses that one part of the requests comes from.
struct Caller {
    network: u8,
    number: Cell<u16>,
    asked: Cell<u16>,
    client: RefCell<Client>,
}

impl Caller {
    /// Requests of one address that are sure not to be held off, however wrong they are.
    const PER_ADDRESS: u16 = 15;

    fn new(network: u8) -> Self {
        let client = RefCell::new(crate::kit::client());
        Self { network, number: Cell::new(0), asked: Cell::new(0), client }
    }

    /// A client for one request. Logins that have ended are wrong logins: they come from ever new addresses.
    fn client(&self, login: &KnownLogin) -> Client {
        if login.has_ended() {
            self.asked.set(self.asked.get() + 1);
            if self.asked.get() % Self::PER_ADDRESS == 1 {
                self.number.set(self.number.get() + 1);
                let [high, low] = self.number.get().to_be_bytes();
                let address = IpAddr::from([127, self.network, high, low]);
                let client =
                    Client::builder().no_proxy().local_address(address).timeout(crate::kit::PATIENCE);
                self.client.replace(client.build().unwrap());
            }
        }
        self.client.borrow().clone()
    }
}

/// One request of the matrix.
struct Question<'a> {
    site: &'a Site,
    caller: &'a Caller,
    route: &'a Route,
    login: &'a KnownLogin,
}

impl Question<'_> {
    fn send(&self, method: Method, subject: Subject, headers: &[(&str, &str)], header: bool) -> Response {
        let client = self.caller.client(self.login);
        let request = client.request(method, self.site.server.url(&self.address(subject)));
        // A version that no project has: what may be done is refused for another reason, and changes nothing.
        let mut request = request.header("If-Match", "\"0\"").json(&self.body(subject));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if header {
            request = request.header("X-Heliostat", "1");
        }
        self.with_login(request).send().unwrap()
    }

    fn with_login(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login.credential {
            Credential::Nothing => request,
            Credential::Password(name, password) => request.basic_auth(name, Some(password)),
            Credential::Bearer(token) => request.bearer_auth(token),
            Credential::Name(token) => request.basic_auth(token, Some("anything")),
            // It is signed out with this very request.
            Credential::Cookie(_) if self.signs_out() && !self.login.has_ended() => {
                request.header("Cookie", self.site.sign_in(&self.login.user))
            }
            Credential::Cookie(cookie) => request.header("Cookie", cookie),
        }
    }

    fn project(&self, subject: Subject) -> &str {
        match (subject, self.login.owns) {
            (Subject::Own, Some(own)) => own,
            (_, Some("roots")) => "owners",
            _ => "roots",
        }
    }

    fn address(&self, subject: Subject) -> String {
        let project = self.project(subject);
        let of_projects = self.route.path.starts_with("/api/v1/projects");
        let user = if subject == Subject::Own { &self.login.user } else { "keeper" };
        let token = if subject == Subject::Own { "none" } else { &self.site.kept_token };
        let path = self.route.path.replace("{id}", if of_projects { project } else { "none" });
        let path = path.replace("{project}", project).replace("{run}", &self.site.runs[project]);
        let path = path.replace("{token}", token).replace("{asked}", &format!("id={project}"));
        let path = if path.ends_with("/password") { path.replace("{name}", user) } else { path };
        let named = matches!(path.as_str(), "/enable_project" | "/disable_project" | "/syncup");
        if named { format!("{path}?id={project}") } else { path }
    }

    /// A body that is refused where who sends it is not: a test of who may ask must change nothing.
    fn body(&self, subject: Subject) -> Value {
        let project = self.project(subject);
        match self.route.path {
            // Removed for good where that may be done.
            "/remove_project" if subject == Subject::Own => json!({ "id": "none" }),
            "/remove_project" => json!({ "id": project }),
            path if path.starts_with("/update_project") => json!({ "id": project, "nonsense": true }),
            "/slave_rsync_complete" if subject == Subject::Own => {
                json!({ "slave_id": "99", "project": project })
            }
            "/slave_rsync_complete" => json!({ "slave_id": "1", "project": project }),
            _ => json!({ "nonsense": true }),
        }
    }

    fn describe(&self, method: &Method, subject: Subject, from: &str) -> String {
        let address = self.address(subject);
        format!("{method} {address} as {} ({subject:?}, sent by {from})", self.login.name)
    }

    /// Asks as a program, a page and a person do, and holds the answers against the table.
    fn ask_directly(&self, method: &Method, cell: TableCell) {
        for (from, headers, _) in sites(method, false) {
            for subject in self.subjects(cell) {
                let answer = self.send(method.clone(), subject, headers, self.sends_header());
                let (status, what) = (answer.status().as_u16(), self.describe(method, subject, from));
                if status == 401 {
                    let asks = answer.headers().contains_key("www-authenticate");
                    let is_program = headers.is_empty() && !self.sends_header();
                    assert_eq!(asks, is_program, "{what}: a browser must not be asked for a password");
                }
                match (self.allows(cell, subject), self.login.column) {
                    (true, _) => assert!(!matches!(status, 401 | 403), "{what}: refused with {status}"),
                    (false, Column::Nobody) => assert_eq!(status, 401, "{what}"),
                    // Another user's token is no business of theirs, not even whether it is there.
                    (false, _) if self.route.path.ends_with("/{token}") => {
                        assert!(matches!(status, 403 | 404), "{what}: answered {status}");
                    }
                    (false, _) => assert_eq!(status, 403, "{what}"),
                }
            }
        }
    }

    /// Asks as other sites do: what changes something is refused to everybody, and what shows something is as ever.
    fn ask_from_elsewhere(&self, method: &Method, cell: TableCell) {
        for (from, headers, _) in sites(method, true) {
            let subject = Subject::Own;
            let answer = self.send(method.clone(), subject, headers, self.sends_header());
            let (status, what) = (answer.status().as_u16(), self.describe(method, subject, from));
            if self.route.effect == RouteEffect::Changes {
                assert_eq!(status, 403, "{what}");
            } else {
                let is_allowed = self.allows(cell, subject);
                assert_eq!(!matches!(status, 401 | 403), is_allowed, "{what}: answered {status}");
            }
            assert!(!answer.headers().contains_key("www-authenticate"), "{what}: asks for a password");
        }
    }

    /// A cookie alone, which a browser sends by itself, changes nothing.
    fn ask_by_cookie_alone(&self, method: &Method) {
        let headers = [("Sec-Fetch-Site", "same-origin")];
        let status = self.send(method.clone(), Subject::Own, &headers, false).status().as_u16();
        let what = self.describe(method, Subject::Own, "our own page, without its header");
        match self.route.effect {
            RouteEffect::Changes => assert_eq!(status, 403, "{what}"),
            RouteEffect::Shows => assert_ne!(status, 401, "{what}"),
        }
    }

    /// What is worth asking for: where the address names nothing, there is nothing of others.
    fn subjects(&self, cell: TableCell) -> Vec<Subject> {
        let request = |subject| (self.address(subject), self.body(subject));
        let mut subjects = cell.subjects(self.has_own());
        if request(Subject::Own) == request(Subject::Others) {
            subjects.retain(|subject| *subject == Subject::Own);
        }
        subjects
    }

    fn allows(&self, cell: TableCell, subject: Subject) -> bool {
        cell.allows(self.login, self.has_own(), subject)
    }

    /// Returns whether the login has what the route is about: everybody has tokens, and few have a project.
    fn has_own(&self) -> bool {
        self.route.path.starts_with("/api/v1/tokens") || self.login.has_own()
    }

    fn signs_out(&self) -> bool {
        (self.route.method, self.route.path) == ("delete", "/api/v1/session")
    }

    fn sends_header(&self) -> bool {
        let signs_in = (self.route.method, self.route.path) == ("post", "/api/v1/session");
        signs_in || matches!(self.login.credential, Credential::Cookie(_))
    }
}

/// Asks one route in every way as one login.
fn ask(question: &Question<'_>, row: &TableRow) {
    let method = Method::from_bytes(question.route.method.to_uppercase().as_bytes()).unwrap();
    // What is shown is shown to `HEAD` too, and what is done is done by it.
    let methods = if method == Method::GET { vec![method, Method::HEAD] } else { vec![method] };
    let cell: TableCell = row.cells[&question.login.column];
    for method in methods {
        if cell != TableCell::Master {
            question.ask_directly(&method, cell);
        }
        question.ask_from_elsewhere(&method, cell);
        // What is open to everybody asks for no cookie; signing in asks for the header all the same.
        let is_closed =
            row.cells[&Column::Nobody] == TableCell::No || question.route.path == "/api/v1/session";
        let by_cookie = matches!(question.login.credential, Credential::Cookie(_));
        if is_closed && by_cookie && !question.login.has_ended() {
            question.ask_by_cookie_alone(&method);
        }
    }
}

#[test]
fn every_route_answers_every_login_as_the_table_says() {
    let (site, rows) = (Site::start(), table::read());
    let routes = api::routes::table();
    let name = |route: &Route| format!("{} {}", route.method.to_uppercase(), route.path);
    let known: BTreeMap<String, &Route> = routes.iter().map(|route| (name(route), route)).collect();
    let missing: Vec<_> = known.keys().filter(|name| !rows.contains_key(*name)).collect();
    let gone: Vec<_> = rows.keys().filter(|name| !known.contains_key(*name)).collect();
    assert!(missing.is_empty() && gone.is_empty(), "docs/security.md lacks {missing:?}, and has {gone:?}");

    let logins = logins::all(&site);
    for column in Column::ALL {
        assert!(logins.iter().any(|login| login.column == column), "no login is {column:?}");
    }
    std::thread::scope(|scope| {
        for (network, part) in (1..).zip(logins.chunks(logins.len().div_ceil(4))) {
            let (site, rows, known) = (&site, &rows, &known);
            scope.spawn(move || {
                let caller = Caller::new(network);
                for (name, route) in known {
                    let changes = route.effect == RouteEffect::Changes;
                    assert_eq!(rows[name].changes, changes, "{name}: whether it changes something");
                    for login in part {
                        ask(&Question { site, caller: &caller, route, login }, &rows[name]);
                    }
                }
            });
        }
    });
    site.is_as_it_was();
}

#[test]
fn only_what_is_asked_by_get_may_show_without_changing() {
    for route in api::routes::table() {
        let changes = route.effect == RouteEffect::Changes;
        assert!(changes || route.method == "get", "{} {} changes nothing?", route.method, route.path);
    }
}
