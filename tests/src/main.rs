//! The `heliostat` program under a name that Cargo tells the tests of this package.

fn main() -> std::process::ExitCode {
    api::main()
}
