//! Heliostat seen from outside: real processes, real rsync, real HTTP.
//!
//! One binary, so that it is linked once. [`kit`] holds what the tests stand on; each other module is one subject.

mod kit;

mod architecture;
mod bounds;
mod command_line;
mod documents;
mod http;
mod kills;
mod projects;
mod secrets;
mod sync;
