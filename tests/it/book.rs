//! Every command that the book prints is run, as it stands, on a machine of its own.
//!
//! Each document gets a sandbox in namespaces of its own: its folders as overlays that are thrown away, a
//! network in which every host that the document names is this one, and on the ports that it names real rsync daemons
//! with the modules that it names. There a real master runs, and one shell runs the document's commands from top to
//! bottom: the lines of its `sh` blocks, and those of its `console` blocks that begin with a `$`. What a machine in a box
//! cannot do stands in [`NOT_RUN`], with the reason.

mod document;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::kit::heliostat;
use document::{Document, Step};

/// Commands that are not run, by a part of their text.
const NOT_RUN: [(&str, &str); 8] = [
    ("make ", "builds the program that is under test already"),
    ("target/release", "likewise"),
    ("benches/run", "takes a quarter of an hour"),
    ("docker ", "needs a container engine"),
    ("apt ", "needs a network; scripts/test-package installs the package"),
    ("| man -l -", "needs man-db"),
    ("cargo ", "needs a network"),
    ("rustup ", "needs a network"),
];

/// Programs of a whole machine; in the box they do nothing and say that all is well.
const SHIMS: [&str; 5] = ["systemctl", "journalctl", "shred", "useradd", "promtool"];

/// Commands that would go on for ever: they are ended after two seconds, which is their good end.
const ENDLESS: [&str; 2] = ["--watch", "curl -sN"];

/// Commands that show how something is refused, with the code that they end with.
const REFUSED: [(&str, i32); 1] = [("heliostat sync broken", 1)];

/// What the reader of a document has done before a command, in the shell that runs it: a document, a part of the command
/// (empty: its first one), and what comes before.
const BEFORE: [(&str, &str, &str); 18] = [
    ("api-2014.md", "", "password=$(cat /var/lib/heliostat/root-password)"),
    ("commands.md", "heliostat project add debian", "heliostat project remove debian"),
    ("commands.md", "upstream-password", "echo hunter2 >/etc/heliostat/upstream-password"),
    ("commands.md", "project apply -f", "ron 1 >projects.ron"),
    (
        "commands.md",
        "sync broken",
        "heliostat project add broken rsync://localhost/nothing /srv/mirror/broken --attempts 1 --no-probe",
    ),
    ("commands.md", "heliostat cancel", "endless_run"),
    ("commands.md", "heliostat run ", "heliostat sync debian --follow >/dev/null"),
    ("commands.md", "store backup", "mkdir -p /var/backups"),
    ("commands.md", "store restore", "stop_master"),
    ("commands.md", "heliostat reload", "start_master"),
    (
        "configuration.md",
        "--config heliostat.ron",
        "printf '(\n    listen: \"0.0.0.0:5000\",\n)\n' >heliostat.ron",
    ),
    ("configuration.md", "heliostat reload", "rm heliostat.ron"),
    ("migrating.md", "127.0.0.1:5100", "stop_master; move_master 5100"),
    (
        "migrating.md",
        "heliostat sync fedora",
        "heliostat project update fedora --source rsync://localhost/book --no-probe",
    ),
    ("cookbook.md", "project add debian", "heliostat project remove debian"),
    ("start.md", "runs gnu", "heliostat sync gnu --follow >/dev/null"),
    ("migrating.md", "project add debian", "heliostat project remove debian"),
    ("push.md", "curl", "TOKEN=$(heliostat token create push --start debian)"),
];

#[test]
fn every_command_of_the_book_works_as_it_stands() {
    if let Some(why) = cannot() {
        assert!(std::env::var_os("HELIOSTAT_REQUIRE_BOOK").is_none(), "the book cannot be run: {why}");
        eprintln!("left out: the commands of the book, since {why}");
        return;
    }
    let only = std::env::var("HELIOSTAT_BOOK").ok();
    let documents = Document::all()
        .into_iter()
        .filter(|document| only.as_ref().is_none_or(|only| *only == document.name));
    let failed: Vec<String> = documents.filter_map(|document| failure(&document)).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// Why namespaces cannot be had, if they cannot: they need root, as rsync's daemon does.
fn cannot() -> Option<String> {
    let probe = Command::new("unshare")
        .args(["-mn", "--propagation", "private", "sh", "-c"])
        .arg("d=$(mktemp -d) && mount -t tmpfs tmpfs $d && mkdir $d/u $d/w $d/m && mount -t overlay overlay -o lowerdir=/etc,upperdir=$d/u,workdir=$d/w $d/m")
        .stdin(Stdio::null())
        .output();
    match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// What went wrong in a document, if anything did.
fn failure(document: &Document) -> Option<String> {
    let steps: Vec<&Step> = document.steps.iter().filter(|step| runs(step)).collect();
    if steps.is_empty() {
        return None;
    }
    let output = run(document, &steps);
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let told: Vec<&str> = text.lines().collect();
    let last = told.len().saturating_sub(40);
    Some(format!(
        "docs/{}: a command failed\n{}\n{}",
        document.name,
        told[last..].join("\n"),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn runs(step: &Step) -> bool {
    !step.text.contains('…') && !NOT_RUN.iter().any(|(part, _)| step.text.contains(part))
}

/// Runs the steps in a sandbox.
fn run(document: &Document, steps: &[&Step]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    write("hosts", &hosts(document));
    write("rsyncd.conf", &rsyncd(document));
    write("document.md", &document.text);
    write("trees", &trees(document));
    write("shims", &SHIMS.map(|name| format!("{name}\n")).concat());
    write("commands", &script(document, steps));
    Command::new("unshare")
        .args(["-mn", "--propagation", "private", "--kill-child", "-pf", "--mount-proc"])
        .args(["bash", "-c", include_str!("book/sandbox.sh")])
        .env("HELIOSTAT", heliostat())
        .env("FOLDER", folder.path())
        .env("FIXTURES", Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fixtures/import"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn hosts(document: &Document) -> String {
    let names: Vec<&str> = document.hosts.iter().map(String::as_str).collect();
    format!("127.0.0.1 localhost {}\n::1 localhost\n", names.join(" "))
}

fn rsyncd(document: &Document) -> String {
    let mut text =
        "use chroot = no\nread only = yes\nuid = 0\ngid = 0\n[book]\npath = /upstream/book\n".to_owned();
    for module in &document.modules {
        write!(text, "[{module}]\npath = /upstream/{module}\ncomment = {module} of the book\n").unwrap();
    }
    text
}

fn trees(document: &Document) -> String {
    let paths: Vec<&str> = std::iter::once("book").chain(document.paths.iter().map(String::as_str)).collect();
    format!("{}\n", paths.join("\n"))
}

/// The whole story for one shell: the machine's services, then the document's commands.
fn script(document: &Document, steps: &[&Step]) -> String {
    let mut text = include_str!("book/machine.sh").to_owned();
    let ports: Vec<String> = document.ports.iter().map(ToString::to_string).collect();
    writeln!(text, "upstreams {}\nmaster", ports.join(" ")).unwrap();
    for (number, step) in steps.iter().enumerate() {
        let befores = BEFORE.iter().filter(|(name, part, _)| {
            *name == document.name && if part.is_empty() { number == 0 } else { step.text.contains(part) }
        });
        writeln!(text, "at docs/{}:{} {}", document.name, step.line, quoted(&step.text)).unwrap();
        befores.for_each(|(_, _, before)| writeln!(text, "{before}").unwrap());
        writeln!(text, "{}", command(&with_newest_run(&step.text))).unwrap();
    }
    text.push_str("done_with_it\n");
    text
}

/// A command as the shell gets it: checked, unless the document looks at its code itself.
fn command(text: &str) -> String {
    if ENDLESS.iter().any(|part| text.contains(part)) {
        return format!("endless {}", quoted(text));
    }
    match REFUSED.iter().find(|(part, _)| text.contains(part)) {
        Some((_, code)) => format!("{text} || [ $? = {code} ]"),
        None if text.contains("echo $?") => format!("set +e; trap - ERR\n{text}\nset -e; watch_errors"),
        None => text.to_owned(),
    }
}

/// Names of runs in the book are examples; each stands for the newest one here.
fn with_newest_run(text: &str) -> String {
    let is_ulid = |word: &str| word.len() == 26 && word.starts_with("01");
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            out.push_str(if is_ulid(&word) { "$(newest_run)" } else { &word });
            word.clear();
            out.push(c);
        }
    }
    out.trim_end().to_owned()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn commands_are_found_in_a_document() {
    let text = "# A\n\n```sh\nheliostat a \\\n    b   # why\nheliostat c\n```\n\n```console\n$ heliostat d -d '{\n  1\n}'\noutput\n$ e\n```\n";
    let document = Document::read("x.md", text);
    let steps: Vec<&str> = document.steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(steps, ["heliostat a \\\n    b   # why", "heliostat c", "heliostat d -d '{\n  1\n}'", "e"]);
    assert_eq!(document.steps[0].line, 4);
}

#[test]
fn the_upstreams_of_a_document_are_found() {
    let document =
        Document::read("x.md", "rsync://a.example.org/debian/pool `rsync://u@b.example.org:8873/x`");
    assert_eq!(document.hosts.iter().collect::<Vec<_>>(), ["a.example.org", "b.example.org"]);
    assert_eq!(document.paths.iter().collect::<Vec<_>>(), ["debian", "debian/pool", "x"]);
    assert_eq!(document.ports.iter().copied().collect::<Vec<_>>(), [873, 8873]);
}
