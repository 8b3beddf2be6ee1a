//! Guests for `wasm32-wasip2`: their world is empty, and what they print is a line in the log.

use crate::guests::{component_of, contract, module};
use crate::kit::{Place, vote};

const IO: &str = "package wasi:io@0.2.0;
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
    }";
const CLI: &str = "package wasi:cli@0.2.0;
    interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
    interface stderr { use wasi:io/streams@0.2.0.{output-stream}; get-stderr: func() -> output-stream; }
    interface environment { get-environment: func() -> list<tuple<string, string>>; }";
const WORLD: &str = "package x:y; world w {
        import wasi:cli/stdout@0.2.0; import wasi:cli/stderr@0.2.0; import wasi:cli/environment@0.2.0;
        export heliostat:plugin/pre-hook@0.1.0;
    }";

#[tokio::test]
async fn what_a_guest_prints_is_logged_and_its_environment_is_empty() {
    let place = Place::new();
    let imports = r#"(import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
        (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
            (func $print (param i32 i32 i32 i32)))"#;
    let text = "one\\0atwo\\0arest";
    let hook = r#"(func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32)
        (call $print (call $stderr) (i32.const 1024) (i32.const 12) (i32.const 128))
        (call $environment (i32.const 256))
        ;; A variable in it would be a trap.
        (if (i32.load (i32.const 260)) (then (unreachable)))
        (i32.const 64))"#;
    let bytes = component_of(&[IO, CLI, &contract(), WORLD], "w", &module(imports, text, hook));
    let vote = vote(&place, place.plugin("printer", &bytes)).await;
    assert_eq!(vote.failure, None);
    let lines = ["warn printer: one", "warn printer: two", "warn printer: rest"];
    assert_eq!(place.lines.all(), lines);
}
