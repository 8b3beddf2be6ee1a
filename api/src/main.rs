//! The `heliostat` program. Everything is in the library, so that tests can run the same main.

fn main() -> std::process::ExitCode {
    api::main()
}
