//! A program that compiles one component within bounds: what the tests of this crate start in the server's place.
//!
//! `plugins-compiler BYTES SECONDS CACHE`

use std::path::Path;
use std::process::ExitCode;

use plugins::{CompileBounds, compile_main};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [memory, seconds, cache] = &words[..] else { return ExitCode::FAILURE };
    match (memory.parse(), seconds.parse()) {
        (Ok(memory), Ok(seconds)) => compile_main(Path::new(cache), CompileBounds { memory, seconds }),
        _ => ExitCode::FAILURE,
    }
}
