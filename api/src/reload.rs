//! Reading the configuration again while the server runs: what can change live does, what cannot is named.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use engine::{Options, RetryPolicy};
use scheduler::core::Commands;
use scheduler::destination::Landing;
use scheduler::disk::{Reserve, Share};
use scheduler::queue::Patience;
use scheduler::retention::Retention;
use scheduler::{Bounds, Guard, Scheduler, Settings, TraceSite};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::config::{self, Config, Master, Role};
use crate::draft::Defaults;
use crate::telemetry::{self, Telemetry};
use crate::tls::Certificate;

/// Holds the configuration in force, and reads it again when asked.
pub struct Reloader {
    /// The file that was named on the command line.
    explicit: Option<PathBuf>,
    /// What runs: the configuration of the start, with what later files changed of it and took effect.
    config: ArcSwap<Config>,
    telemetry: Telemetry,
    certificate: Option<Arc<Certificate>>,
    /// Held by a reload to its end, so that the scheduler never ends up with the settings of an older one.
    turn: Mutex<()>,
}

/// What a reload did.
#[derive(Debug, Serialize)]
pub struct Reloaded {
    /// The keys whose new value is in force.
    live: Vec<String>,
    /// The keys whose new value waits for a restart.
    needs_restart: Vec<String>,
}

impl Reloader {
    /// Starts with the configuration that the server was started with.
    #[must_use]
    pub fn new(
        explicit: Option<PathBuf>,
        config: Config,
        telemetry: Telemetry,
        certificate: Option<Arc<Certificate>>,
    ) -> Self {
        Self { explicit, config: ArcSwap::from_pointee(config), telemetry, certificate, turn: Mutex::new(()) }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// What a project has that says nothing else.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        defaults(&self.config.load())
    }

    /// How HTTP is served.
    #[must_use]
    pub fn http(&self) -> config::Http {
        self.config.load().http.clone()
    }

    /// When the certificate of this server ends; none without HTTPS.
    #[must_use]
    pub fn tls_not_after(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.certificate.as_ref().and_then(|certificate| certificate.not_after())
    }

    /// What the site says of itself in documents for other machines.
    #[must_use]
    pub fn site(&self) -> config::Site {
        self.config.load().site.clone()
    }

    /// Reads the file again, and compares it with what runs: a key that waits for a restart is named by every reload
    /// until the restart, or until it has its old value again.
    ///
    /// # Errors
    /// A report of everything that is wrong with it; nothing has changed then.
    pub async fn reload(&self, scheduler: &Scheduler) -> Result<Reloaded, String> {
        let _turn = self.turn.lock().await;
        let loaded =
            Config::load(self.explicit.as_deref()).map_err(|errors| config::check_report(&errors))?;
        let running = self.config.load_full();
        let diff = running.diff_reload(&loaded.config);
        let next = running.with_live_keys(&loaded.config);

        // All that can be refused comes before anything is taken over.
        let filter = telemetry::filter(&next.log.level).map_err(|error| error.to_string())?;
        // The files may hold a renewed certificate under the same names.
        if let (Some(certificate), Some(tls)) = (&self.certificate, &next.tls) {
            certificate.reload(tls).map_err(|error| error.to_string())?;
        }

        if let Err(error) = self.telemetry.set_filter(filter) {
            tracing::error!("log.level cannot be changed: {error}");
        }
        let mut settings = scheduler.settings();
        apply(&mut settings, &next, loaded.path.as_deref());
        self.config.store(Arc::new(next));
        scheduler.reconfigure(settings).await;
        tracing::info!(live = ?diff.live, needs_restart = ?diff.needs_restart, "configuration read again");
        Ok(Reloaded { live: diff.live, needs_restart: diff.needs_restart })
    }
}

/// Places where projects may land, and where not.
fn landing(config: &Config, file: Option<&Path>, data_dir: PathBuf) -> Landing {
    let roots = &config.allowed_roots;
    let expected = roots.iter().filter(|root| root.expect_mount);
    Landing {
        allowed_roots: roots.iter().map(|root| root.path.clone()).collect(),
        expected_mounts: expected.map(|root| root.path.clone()).collect(),
        reserved: config.places_of_power(file, &data_dir),
        data_dir,
    }
}

/// Puts what can change live into the scheduler's settings; `file` is the configuration's.
pub fn apply(settings: &mut Settings, config: &Config, file: Option<&Path>) {
    settings.bounds = Bounds {
        concurrent: count(config.rsync.concurrent),
        // All that a slave pulls comes from one host.
        per_host: match &config.role {
            Role::Master(_) => count(config.rsync.per_host),
            Role::Slave(_) => count(config.rsync.concurrent),
        },
        per_label: config.rsync.per_label.iter().map(|(label, most)| (label.clone(), count(*most))).collect(),
        hosts: config.rsync.hosts.iter().map(|(host, budget)| (host.clone(), budget.budget())).collect(),
        patience: match &config.role {
            Role::Master(_) => Patience::default(),
            // Its one host tells it when there is something new.
            Role::Slave(_) => Patience { base: SHORT_WAIT, cap: LONG_WAIT },
        },
    };
    settings.tool.limits.bwlimit_kib = config.rsync.bwlimit;
    settings.tool.commands = Arc::new(commands(config));
    settings.landing = landing(config, file, settings.data_dir.clone());
    settings.max_log = config.history.max_log.0;
    settings.trace = trace_site(&config.site);
    settings.reserve = Reserve {
        reserve: share(config.disk.reserve),
        resume: share(config.disk.resume),
        every: config.disk.every,
    };
    settings.retention = Retention {
        max_age: config.history.max_age,
        max_runs: count(config.history.max_runs),
        max_bytes: config.history.max_bytes.0,
    };
}

/// The programs of this site; one whose secret cannot be had is left out, and its projects say so.
fn commands(config: &Config) -> Commands {
    let Role::Master(master) = &config.role else { return Commands::new() };
    let named = master.commands.0.iter().filter_map(|(name, keys)| match keys.command() {
        Ok(command) => Some((name.clone(), command)),
        Err(error) => {
            tracing::error!("the command `{name}` is left out: {error}");
            None
        }
    });
    named.collect()
}

/// How long a slave leaves a master alone that is full or away.
const SHORT_WAIT: Duration = Duration::from_secs(5);
const LONG_WAIT: Duration = Duration::from_mins(2);

/// The host that people reach the trees by, or a name that is one.
fn trace_site(site: &config::Site) -> Option<TraceSite> {
    let host = site.url.split_once("://").map(|(_, rest)| rest.split(['/', ':']).next().unwrap_or_default());
    let plain = |name: &&str| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(good)
    };
    let name = host.into_iter().chain([site.name.as_str()]).find(plain)?;
    Some(TraceSite { name: name.to_owned(), maintainer: site.email.clone() })
}

fn share(share: config::Share) -> Share {
    match share {
        config::Share::Percent(percent) => Share::Percent(percent),
        config::Share::Bytes(size) => Share::Bytes(size.0),
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What the configuration says a project has; checked when it was read.
fn defaults(config: &Config) -> Defaults {
    let commands = match &config.role {
        Role::Master(master) => master.commands.0.keys().cloned().collect(),
        Role::Slave(_) => Vec::new(),
    };
    let given = match &config.role {
        Role::Master(Master { defaults, .. }) => defaults.clone(),
        Role::Slave(_) => config::Defaults::default(),
    };
    let config::Defaults { options, delete, retry, timeout, stall, guard } = given;
    Defaults {
        options: Options::new(&options, &[], &delete).unwrap_or_default(),
        retry: RetryPolicy { attempts: retry.attempts, base: retry.base, cap: retry.cap },
        timeout,
        stall,
        commands,
        plugins: config.plugins.load.iter().map(|plugin| plugin.id.clone()).collect(),
        guard: Guard { max_delete_percent: guard.max_delete_percent, max_delete: guard.max_delete },
    }
}
