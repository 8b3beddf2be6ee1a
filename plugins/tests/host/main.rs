//! The host with real components: what it refuses, what it stops, what it asks.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is how a failure is told")]

mod bounds;
mod compiling;
mod examples;
mod frozen;
mod guests;
mod kit;
mod loading;
mod real;
mod reloading;
mod rules;
mod trials;
mod values;
mod wasi;
