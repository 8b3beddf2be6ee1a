//! Heliostat seen from outside: real processes, real rsync, real HTTP.
//!
//! One binary, so that it is linked once. [`kit`] holds what the tests stand on; each other module is one subject.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here, with the line")]

mod kit;

mod access;
mod alerts;
mod answers;
mod architecture;
mod book;
mod bounds;
mod browser;
mod by_list;
mod command_line;
mod commands;
mod contract;
mod damage;
mod dashboard;
mod deploy;
mod destinations;
mod disk;
mod documents;
mod freshness;
mod guard;
mod hardening;
mod holds;
mod hosts;
mod http;
mod kills;
mod metrics;
mod mounts;
mod old_api;
mod plugin_new;
mod plugin_trial;
mod plugins;
mod projects;
mod promtool;
mod proxies;
mod published;
mod rehearsals;
mod secrets;
mod slaves;
mod stages;
mod strangers;
mod sync;
mod texts;
mod tls;
mod upstreams;
