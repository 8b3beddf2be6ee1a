//! The machine that guests run on: one engine for the process, its ticker, and the code that it compiled before.
//!
//! There is none as long as no plugin is configured: a server without plugins has no thread and no cost of this.

mod meter;
mod quota;
mod ticker;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmtime::{Cache, CacheConfig, Config, Engine};

use crate::compiler::CompilerProcess;
use crate::load::LoadError;

pub(crate) use meter::{Meter, Metered};
pub(crate) use quota::{Quota, TooMuchMemory};
pub(crate) use ticker::{Ticker, Ticking};

/// The deepest stack of a guest.
const STACK: usize = 512 * 1024;
/// The stack of a fiber, host functions included.
const FIBER: usize = 1024 * 1024;
/// The address space of a guest's memory in bytes, twice what it may use unless the configuration says otherwise: the
/// engine's own 4 GiB save a comparison with each access, and cost each call more than that to map and to unmap.
const RESERVED: u64 = 64 * 1024 * 1024;
/// How much compiled code is kept, in bytes and files; the oldest goes first.
const CACHE_BYTES: u64 = 1024 * 1024 * 1024;
const CACHE_FILES: u64 = 4096;

/// Compiles components and lets time pass for those that run.
#[derive(Debug)]
pub(crate) struct Runtime {
    engine: Engine,
    ticker: Ticker,
    cache: Option<CodeCache>,
}

/// The kept code, and the program that compiles what is not kept.
#[derive(Debug)]
struct CodeCache {
    folder: PathBuf,
    kept: Cache,
    compiler: Option<CompilerProcess>,
}

/// Why no plugin can run at all.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The folder of compiled code cannot be made.
    #[error("the folder {folder} for compiled plugins cannot be used: {source}")]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever can write there could run code in this process.
    #[error(
        "the folder {0} for compiled plugins belongs to somebody else or can be written by others, who could run their code in the server: remove it, it is made again"
    )]
    Shared(PathBuf),
    /// The engine does not start on this machine.
    #[error("WebAssembly cannot run here: {0}")]
    Engine(String),
    /// The ticker's thread could not be started.
    #[error("the thread that keeps the plugins' time cannot be started: {0}")]
    Ticker(io::Error),
}

impl Runtime {
    /// An engine that keeps what it compiles in `cache`, where `compiler` puts it first.
    pub(crate) fn start(
        cache: Option<&Path>,
        compiler: Option<CompilerProcess>,
    ) -> Result<Self, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .max_wasm_stack(STACK)
            .async_stack_size(FIBER)
            .memory_reservation(RESERVED);
        let kept = cache.map(open_cache).transpose()?;
        config.cache(kept.clone());
        let cache =
            cache.zip(kept).map(|(folder, kept)| CodeCache { folder: folder.to_owned(), kept, compiler });
        let engine = Engine::new(&config).map_err(failed)?;
        let ticker = Ticker::start(engine.weak()).map_err(RuntimeError::Ticker)?;
        Ok(Self { engine, ticker, cache })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Puts the code of a component into the cache by a process of its own, so that this one has nothing to compile.
    pub(crate) async fn compile_apart(&self, component: &[u8]) -> Result<(), LoadError> {
        match &self.cache {
            Some(CodeCache { folder, compiler: Some(compiler), .. }) => {
                compiler.fill(folder, component).await
            }
            _ => Ok(()),
        }
    }

    /// Number of components that were found in the cache.
    pub(crate) fn cache_hits(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.kept.cache_hits())
    }

    /// Time passes as long as the answer lives.
    pub(crate) fn ticking(&self) -> Ticking {
        self.ticker.ticking()
    }
}

/// The engine's own cache: its key holds the digest of the component, the version of the engine and its settings, so
/// that what it finds is what it would compile. Files from elsewhere are never loaded as code: the folder is ours alone.
fn open_cache(folder: &Path) -> Result<Cache, RuntimeError> {
    let failed = |source| RuntimeError::Folder { folder: folder.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let metadata = fs::symlink_metadata(folder).map_err(failed)?;
    let ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours || metadata.permissions().mode() & 0o022 != 0 {
        return Err(RuntimeError::Shared(folder.to_owned()));
    }
    let mut config = CacheConfig::new();
    config
        .with_directory(fs::canonicalize(folder).map_err(failed)?)
        .with_files_total_size_soft_limit(CACHE_BYTES)
        .with_file_count_soft_limit(CACHE_FILES);
    Cache::new(config).map_err(|error| RuntimeError::Engine(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_code_is_kept_in_a_folder_of_ours_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        open_cache(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(open_cache(&folder), Err(RuntimeError::Shared(_))));
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(matches!(open_cache(&link), Err(RuntimeError::Shared(_))));
    }
}
