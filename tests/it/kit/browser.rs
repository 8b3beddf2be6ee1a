//! A real browser: headless Chromium behind its own driver, as the system's packages have them.
//!
//! Whoever drives it waits for what a person would wait for: a text that shows, a thing that can be pressed. A page that
//! says anything on the console, or breaks its own policy, fails the test that looks at it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriver};
use tokio::runtime::Runtime;

use super::wait_for;

/// Makes a missing browser an error; set where the whole suite must run.
const REQUIRED: &str = "HELIOSTAT_REQUIRE_BROWSER";
/// A window on a desk, and one in a hand.
const DESK: (u32, u32) = (1280, 860);
const HAND: (u32, u32) = (390, 844);
/// What every script may call: the first element that matches a selector, can be used, and shows or is called `text`.
const FIND: &str = "const seen = (node) => node.checkVisibility() && !node.disabled && !node.closest('[inert]');\n\
                    const of = (css, text) => [...document.querySelectorAll(css)].find((node) => seen(node) && \
                    ((node.innerText || '') + ' ' + (node.ariaLabel || '')).includes(text));\n";

/// A browser that ends with the test.
pub(crate) struct Browser {
    runtime: Runtime,
    driver: Option<WebDriver>,
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; where there is none, says what is left out, or fails if it must not be.
    pub(crate) fn start() -> Option<Self> {
        let missing = ["chromium", "chromedriver"].into_iter().find(|name| !is_installed(name));
        if let Some(name) = missing {
            assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and `{name}` is not installed");
            eprintln!("left out: the dashboard in a real browser, since `{name}` is not installed");
            return None;
        }
        let (child, port) = driver();
        let profile = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let address = format!("http://127.0.0.1:{port}");
        api::tls::install();
        let driver = runtime.block_on(WebDriver::new(address, capabilities(profile.path()))).unwrap();
        Some(Self { runtime, driver: Some(driver), child, _profile: profile })
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().unwrap()
    }

    /// Goes to an address.
    pub(crate) fn open(&self, url: &str) {
        self.runtime.block_on(self.driver().goto(url)).unwrap();
    }

    /// What a script in the page gives.
    pub(crate) fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        let script = format!("{FIND}{script}");
        let given = self.runtime.block_on(self.driver().execute(script.clone(), arguments));
        given.unwrap_or_else(|error| panic!("{error}\n{script}")).json().clone()
    }

    /// Everything that the page shows as text.
    pub(crate) fn text(&self) -> String {
        self.script("return document.body.innerText", Vec::new()).as_str().unwrap().to_owned()
    }

    /// Waits until the page shows `text`.
    pub(crate) fn see(&self, text: &str) {
        self.until(
            &format!("the page to show {text:?}"),
            "return document.body.innerText.includes(arguments[0])",
            text,
        );
    }

    /// Waits until a script with this argument gives true.
    pub(crate) fn until(&self, what: &str, script: &str, argument: &str) {
        let holds = || self.script(script, vec![json!(argument)]) == true;
        let mut last = std::time::Instant::now();
        wait_for(what, || {
            if last.elapsed().as_secs() >= 20 {
                last = std::time::Instant::now();
                eprintln!("--- still waiting for {what}; the page shows\n{}", self.text());
            }
            holds().then_some(())
        });
    }

    /// Clicks the first `css` that shows or is called `text`, as soon as there is one.
    pub(crate) fn click(&self, css: &str, text: &str) {
        let script = "const node = of(arguments[0], arguments[1]); node?.click(); return !!node";
        wait_for(&format!("{css} with {text:?}"), || {
            (self.script(script, vec![json!(css), json!(text)]) == true).then_some(())
        });
    }

    /// Gives the focus to the first `css`, and types.
    pub(crate) fn fill(&self, css: &str, text: &str) {
        let script = "const node = of(arguments[0], ''); node?.focus(); node?.select?.(); return !!node";
        wait_for(css, || (self.script(script, vec![json!(css)]) == true).then_some(()));
        self.keys(text);
    }

    /// Types the word that a dialog asks for, and sends it off once the dialog is content with it.
    pub(crate) fn confirm(&self, word: &str) {
        self.fill("dialog[open] input", word);
        let ready = "return document.querySelector('dialog .danger').disabled === arguments[0]";
        self.until("the dialog to take the word", &ready.replace("arguments[0]", "false"), "");
        self.keys("\u{e007}");
    }

    /// Types into whatever has the focus, as a keyboard does.
    pub(crate) fn keys(&self, text: &str) {
        let keys = self.driver().action_chain().send_keys(text);
        self.runtime.block_on(keys.perform()).unwrap();
    }

    /// What the element with the focus shows or is called.
    pub(crate) fn focused(&self) -> String {
        let script = "const node = document.activeElement; \
                      return (node.labels?.[0]?.innerText || node.ariaLabel || node.innerText || node.tagName).trim()";
        self.script(script, Vec::new()).as_str().unwrap().to_owned()
    }

    /// Shows pages as a phone does, or as a desk's window.
    pub(crate) fn hold_in_hand(&self, phone: bool) {
        let (width, height) = if phone { HAND } else { DESK };
        self.protocol(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}),
        );
    }

    /// What the system says that its user prefers.
    pub(crate) fn prefer_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.protocol("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// A command of the browser's own protocol.
    pub(crate) fn protocol(&self, method: &str, params: Value) {
        self.runtime.block_on(self.driver().cdp().send_raw(method, params)).unwrap();
    }

    /// Waits until what was asked for has come, and has been drawn.
    pub(crate) fn rest(&self) {
        let script = "const done = arguments[arguments.length - 1]; \
                      const still = () => !document.querySelector('[aria-busy=true]') && document.fonts.status === 'loaded'; \
                      const look = () => still() ? requestAnimationFrame(() => requestAnimationFrame(() => done(true))) : setTimeout(look, 20); \
                      requestAnimationFrame(look)";
        self.runtime.block_on(self.driver().execute_async(script, Vec::new())).unwrap();
    }

    /// A picture of the window.
    pub(crate) fn picture(&self, path: &Path) {
        self.runtime.block_on(self.driver().screenshot(path)).unwrap();
    }

    /// Fails when a page has said anything on the console since the last look. A refused sign-in is the server's word and
    /// not the page's, and the browser tells of it all the same.
    pub(crate) fn assert_quiet(&self) {
        self.assert_quiet_but(&[]);
    }

    /// The same, but for messages with one of these words.
    pub(crate) fn assert_quiet_but(&self, words: &[&str]) {
        let said = self.runtime.block_on(self.driver().browser_log()).unwrap();
        let expected = |text: &str| words.iter().chain(&["/api/v1/session"]).any(|word| text.contains(word));
        let said: Vec<_> = said.iter().filter(|entry| !expected(&entry.message)).collect();
        assert!(said.is_empty(), "the page complains: {said:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the page shows\n{}", self.text());
            let log = self.runtime.block_on(self.driver().browser_log());
            eprintln!("--- the console\n{log:#?}");
        }
        if let Some(driver) = self.driver.take() {
            let _ = self.runtime.block_on(driver.quit());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// The driver on a port of its own choice.
fn driver() -> (Child, u16) {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = said.find_map(|line| {
        line.unwrap().split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
    });
    // What it says later goes nowhere, but must go.
    std::thread::spawn(move || said.for_each(drop));
    (child, port.unwrap())
}

fn capabilities(profile: &Path) -> ChromeCapabilities {
    let mut wanted = ChromeCapabilities::new();
    let data = format!("--user-data-dir={}", profile.display());
    let size = format!("--window-size={},{}", DESK.0, DESK.1);
    // Root has no sandbox, a container no large /dev/shm; the rest keeps it from talking to anybody but us.
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-features=HttpsUpgrades",
        "--password-store=basic",
        "--hide-scrollbars",
        "--lang=en-GB",
        &data,
        &size,
    ] {
        wanted.add_arg(argument).unwrap();
    }
    wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    wanted
}
