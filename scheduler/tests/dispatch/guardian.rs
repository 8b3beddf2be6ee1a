//! A program that is nothing but a guardian: what the tests of this crate re-execute, as the server does itself.

fn main() -> std::process::ExitCode {
    engine::guardian::main()
}
