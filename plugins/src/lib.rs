//! WASM components as hooks and policies: the only crate that names wasmtime.
