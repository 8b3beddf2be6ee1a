//! From a file to something that can be called, or to a sentence that says what to do.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::Component;

use crate::component::{MAX_BYTES, Need, SUPPORTED, Shape, check_header};
use crate::guest::Guest;
use crate::runtime::Runtime;
use crate::settings::{Digest, Part, ProjectPatternError};

/// Why a file is not used as a plugin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is too large.
    #[error("it has {0} bytes, and {MAX_BYTES} are the most: strip it, or build it with `opt-level = \"s\"`")]
    TooLarge(u64),
    /// It is something else.
    #[error("it is no WebAssembly: give the `.wasm` file that the build made")]
    NotWasm,
    /// It is WebAssembly, and no component.
    #[error(
        "it is a core module, not a component: build it with `cargo build --release --target wasm32-wasip2`, or make a component of it with `wasm-component-ld` or `wasm-tools component new`"
    )]
    CoreModule,
    /// It is damaged, cut off, or uses what is not known here.
    #[error(
        "it cannot be read as a component: {0}; if it was copied, copy it again, and replace it by renaming"
    )]
    Invalid(String),
    /// Its compilation took too much memory.
    #[error(
        "its compilation needs more than {0} MiB of memory: strip it, build it with `opt-level = \"s\"`, or split its largest functions"
    )]
    CompileMemory(u64),
    /// Its compilation took too much processor time.
    #[error(
        "its compilation needs more than {0} s of processor time: strip it, build it with `opt-level = \"s\"`, or split its largest functions"
    )]
    CompileTime(u64),
    /// The program that compiles it failed.
    #[error("it was not compiled: {0}")]
    Compiler(String),
    /// It is another file than the configuration wants.
    #[error(
        "its sha256 is {found}, and the configuration wants {expected}: put the right file there, or change `sha256`"
    )]
    Digest {
        /// What was configured.
        expected: Digest,
        /// What the file has.
        found: Digest,
    },
    /// Its projects cannot be understood.
    #[error("`projects`: {0}")]
    Projects(ProjectPatternError),
    /// It exports nothing that could be asked.
    #[error(
        "it is a component for another world: it exports {}, and none of heliostat:plugin/pre-hook, post-hook and policy",
        list(.0)
    )]
    NoParts(Vec<String>),
    /// It was built for a version that is not spoken here.
    #[error(
        "it was built for version {0} of heliostat:plugin, and this server speaks {SUPPORTED}: build it with a crate heliostat-plugin for {SUPPORTED}, or update the server"
    )]
    Version(String),
    /// It wants something that no plugin gets.
    #[error(
        "it imports {0}, which is not part of heliostat:plugin {SUPPORTED}: build it without what needs that"
    )]
    Import(String),
    /// A policy that could look at the world would not decide the same twice.
    #[error(
        "it is a policy and imports `{0}`: a policy may import `log` and `config` only, so that its decisions can be asked again"
    )]
    ImpurePolicy(String),
    /// It needs more than it was granted.
    #[error("it imports {}: grant {}, or do not use it", list(.0), .0.iter().map(|need| need.grant()).collect::<Vec<_>>().join("; and "))]
    MissingGrants(Vec<Need>),
    /// It is to be asked what it cannot answer.
    #[error("it has no {}, only {}: change `hooks`", .part.as_str(), list(&.has.iter().map(|part| part.as_str()).collect::<Vec<_>>()))]
    MissingPart {
        /// What it was to be asked.
        part: Part,
        /// What it can be asked.
        has: Vec<Part>,
    },
    /// Its functions are not those of the contract.
    #[error(
        "it does not fit heliostat:plugin {SUPPORTED}: {0}; it was built for a newer version or by hand: build it with the crate heliostat-plugin"
    )]
    Misfit(String),
    /// Its code did not get through its own start.
    #[error("it did not start: {0}")]
    Start(String),
}

fn list(names: &[impl ToString]) -> String {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// A file as it was read, once: what is judged is what is compiled.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

/// Reads a file, and no more of it than a plugin may have.
pub(crate) async fn read(path: &Path) -> Result<File, LoadError> {
    let path = path.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let failed = |source| LoadError::Read { path: path.clone(), source };
        // Asked before opening: opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(&path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is no file")));
        }
        if metadata.len() > MAX_BYTES {
            return Err(LoadError::TooLarge(metadata.len()));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let digest = Digest::of(&bytes);
        Ok(File { bytes, digest })
    });
    work.await.unwrap_or_else(|error| Err(LoadError::Invalid(error.to_string())))
}

/// Compiles a file, away from the threads that must not wait, and judges what it is.
pub(crate) async fn compile(runtime: &Arc<Runtime>, file: File) -> Result<(Shape, Guest), LoadError> {
    check_header(&file.bytes)?;
    runtime.compile_apart(&file.bytes).await?;
    let runtime = Arc::clone(runtime);
    let work = tokio::task::spawn_blocking(move || {
        let engine = runtime.engine();
        let component = Component::from_binary(engine, &file.bytes);
        let component = component.map_err(|error| LoadError::Invalid(cause(&error)))?;
        let shape = Shape::of(engine, &component, file.digest, file.bytes.len() as u64)?;
        let guest = Guest::link(engine, &component, &shape);
        Ok((shape, guest.map_err(|error| LoadError::Misfit(cause(&error)))?))
    });
    work.await.unwrap_or_else(|error| Err(LoadError::Invalid(error.to_string())))
}

/// The whole chain of an error, in one line.
pub(crate) fn cause(error: &wasmtime::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}
