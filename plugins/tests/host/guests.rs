//! Components made from text while the tests run: no toolchain for WebAssembly is needed, and no binary is kept.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract, as it is frozen.
pub(crate) fn contract() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("wit/v0.1/heliostat.wit")).unwrap()
}

/// A component of this world of the contract around this core module.
pub(crate) fn component(world: &str, module: &str) -> Vec<u8> {
    component_of(&[&contract()], &format!("heliostat:plugin/{world}"), module)
}

/// A component of a world of any packages, the last of which has the world.
pub(crate) fn component_of(packages: &[&str], world: &str, module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    let mut last = None;
    for (number, package) in packages.iter().enumerate() {
        last = Some(resolve.push_str(format!("{number}.wit"), package).unwrap());
    }
    let name = world.rsplit('/').next();
    let world = resolve.select_world(&[last.unwrap()], name).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// Where the text of a guest stands in its memory.
pub(crate) const TEXT: usize = 1024;

/// A core module with these imports, this text at [`TEXT`], and these functions. At 64 there are zeros, which mean
/// "proceed" and "accept" when they are returned; a reason is written by the functions `$say`.
pub(crate) fn module(imports: &str, text: &str, functions: &str) -> String {
    format!(
        r#"(module
            {imports}
            (memory (export "memory") 4)
            (global $at (mut i32) (i32.const 8192))
            (data (i32.const {TEXT}) "{text}")
            (func (export "cabi_realloc")
                (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
                (local $here i32)
                (local.set $here
                    (i32.and
                        (i32.add (global.get $at) (i32.sub (local.get $align) (i32.const 1)))
                        (i32.sub (i32.const 0) (local.get $align))))
                (global.set $at (i32.add (local.get $here) (local.get $size)))
                (local.get $here))
            ;; A variant of a good answer, with the text as its reason.
            (func $say (param $variant i32) (result i32)
                (i32.store8 (i32.const 72) (local.get $variant))
                (i32.store (i32.const 80) (i32.const {TEXT}))
                (i32.store (i32.const 84) (i32.const {length}))
                (i32.const 64))
            ;; An error, with the text as its reason: 0 failed, 1 retryable.
            (func $fail (param $variant i32) (result i32)
                (i32.store8 (i32.const 64) (i32.const 1))
                (i32.store8 (i32.const 72) (local.get $variant))
                (i32.store (i32.const 76) (i32.const {TEXT}))
                (i32.store (i32.const 80) (i32.const {length}))
                (i32.const 64))
            {functions})"#,
        length = text.len(),
    )
}

/// A pre-sync hook whose answer is what `body` leaves on the stack: an address.
pub(crate) fn pre(imports: &str, text: &str, body: &str) -> Vec<u8> {
    let hook = format!(
        r#"(func (export "heliostat:plugin/pre-hook@0.1.0#pre-sync") (param i32) (result i32) {body})"#
    );
    component("pre", &module(imports, text, &hook))
}

/// A post-sync hook.
pub(crate) fn post(text: &str, body: &str) -> Vec<u8> {
    let hook = format!(
        r#"(func (export "heliostat:plugin/post-hook@0.1.0#post-sync") (param i32) (result i32) {body})"#
    );
    component("post", &module("", text, &hook))
}

/// A policy: bodies of `pick` and `next-delay`.
pub(crate) fn policy(text: &str, pick: &str, next_delay: &str) -> Vec<u8> {
    let functions = format!(
        r#"(func (export "heliostat:plugin/policy@0.1.0#pick")
            (param i64 i32 i32 i32 i32 i32) (result i32) {pick})
        (func (export "heliostat:plugin/policy@0.1.0#next-delay") (param i32) (result i32) {next_delay})"#
    );
    component("scheduler", &module("", text, &functions))
}

/// The import of `log.write`.
pub(crate) const LOG: &str =
    r#"(import "heliostat:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32)))"#;
/// The import of `http.send`.
pub(crate) const HTTP: &str = r#"(import "heliostat:plugin/http@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
/// The import of `kv.get`.
pub(crate) const KV: &str = r#"(import "heliostat:plugin/kv@0.1.0" "get" (func $get (param i32 i32 i32)))"#;
/// The import of `dest.put`.
pub(crate) const DEST: &str =
    r#"(import "heliostat:plugin/dest@0.1.0" "put" (func $put (param i32 i32 i32 i32 i32)))"#;

/// Says the text, at the level info.
pub(crate) fn log(text: &str) -> String {
    let length = text.len();
    format!("(call $log (i32.const 2) (i32.const {TEXT}) (i32.const {length}) (i32.const 0) (i32.const 0))")
}

/// A hook that goes on.
pub(crate) fn proceed() -> Vec<u8> {
    pre("", "", "(i32.const 64)")
}
