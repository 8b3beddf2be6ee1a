//! Compilation in a process of its own, with bounds on memory and processor time.
//!
//! The compiler works for as long, and takes as much memory, as a component makes it. Such a component ends that
//! process, and not the server. Its code reaches the server through the cache of the engine, which trusts nothing that
//! it did not compile.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use wasmtime::component::Component;

use crate::load::{LoadError, cause};
use crate::runtime::{Runtime, RuntimeError};

/// Most bytes of memory of one compilation. A component of Python with 18 MB needs 394 MB.
const MEMORY: u64 = 1 << 30;
/// Most processor time of one compilation, in seconds.
const SECONDS: u64 = 300;
/// Seconds from the signal that ends a compilation (XCPU) to the one that cannot be caught.
const MERCY: u64 = 10;
/// Longest wait for one compilation, on a machine that is busy with other work.
const WAIT: Duration = Duration::from_mins(30);
/// Most bytes that are read of the error text of a compilation.
const TEXT: u64 = 16 << 10;
/// Words of the allocator and of the system when there is no memory.
const NO_MEMORY: [&str; 2] = ["memory allocation of", "Cannot allocate memory"];

/// The program that compiles components, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompilerProcess {
    /// Its argv; the bounds and the folder of the cache follow, and the component is its standard input. The program
    /// calls [`compile_main`].
    pub command: Vec<OsString>,
    /// What one compilation may use.
    pub bounds: CompileBounds,
}

/// What one compilation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileBounds {
    /// Most bytes of memory.
    pub memory: u64,
    /// Most seconds of processor time.
    pub seconds: u64,
}

impl Default for CompileBounds {
    fn default() -> Self {
        Self { memory: MEMORY, seconds: SECONDS }
    }
}

impl CompilerProcess {
    /// A compiler with the usual bounds.
    #[must_use]
    pub fn new(command: Vec<OsString>) -> Self {
        Self { command, bounds: CompileBounds::default() }
    }

    /// Puts the compiled code of a component into the cache, unless it is there.
    pub(crate) async fn fill(&self, cache: &Path, component: &[u8]) -> Result<(), LoadError> {
        let CompileBounds { memory, seconds } = self.bounds;
        let ran = tokio::time::timeout(WAIT, self.run(cache, component)).await;
        let (status, text) = match ran {
            Ok(Ok(ran)) => ran,
            Ok(Err(error)) => return Err(LoadError::Compiler(error.to_string())),
            Err(_) => return Err(LoadError::Compiler(format!("it took more than {} s", WAIT.as_secs()))),
        };
        if status.success() {
            return Ok(());
        }

        let text = text.trim().to_owned();
        if NO_MEMORY.iter().any(|words| text.contains(words)) {
            return Err(LoadError::CompileMemory(memory >> 20));
        }
        Err(match (status.code(), status.signal()) {
            (_, Some(signal)) if signal == Signal::XCPU.as_raw() => LoadError::CompileTime(seconds),
            (Some(code), _) if code == i32::from(REFUSED) => LoadError::Invalid(text),
            _ => LoadError::Compiler(format!("{status}: {text}")),
        })
    }

    /// Runs it to its end. Returns its status and the beginning of its error text.
    async fn run(&self, cache: &Path, component: &[u8]) -> io::Result<(ExitStatus, String)> {
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut child = Command::new(program)
            .args(arguments)
            .args([self.bounds.memory.to_string(), self.bounds.seconds.to_string()])
            .arg(cache)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;

        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let give = async {
            if let Some(mut stdin) = stdin {
                // One that has ended before it read all says why itself.
                let _ = stdin.write_all(component).await;
            }
        };
        let hear = async {
            let mut text = Vec::new();
            if let Some(stderr) = stderr {
                stderr.take(TEXT).read_to_end(&mut text).await?;
            }
            io::Result::Ok(text)
        };
        let ((), text) = tokio::join!(give, hear);
        Ok((child.wait().await?, String::from_utf8_lossy(&text?).into_owned()))
    }
}

/// Exit code for a component that the engine does not take.
const REFUSED: u8 = 3;

/// Reason why a component was not compiled.
#[derive(Debug, thiserror::Error)]
enum CompileError {
    /// The bounds cannot be set, or the component cannot be read.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The engine does not take the component.
    #[error("{0}")]
    Refused(String),
    /// WebAssembly cannot run here.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The cache did not take the code.
    #[error("the compiled code cannot be kept in {0}: is the disk full?")]
    NotKept(PathBuf),
}

/// Bounds this process, compiles the component on standard input, and leaves its code in a cache: the whole work of the
/// program of a [`CompilerProcess`].
#[must_use]
pub fn compile_main(cache: &Path, bounds: CompileBounds) -> ExitCode {
    let Err(error) = compile_into(cache, bounds) else { return ExitCode::SUCCESS };
    eprintln!("{error}");
    match error {
        CompileError::Refused(_) => ExitCode::from(REFUSED),
        _ => ExitCode::FAILURE,
    }
}

fn compile_into(cache: &Path, bounds: CompileBounds) -> Result<(), CompileError> {
    bound(Resource::Core, 0, 0)?;
    bound(Resource::Data, bounds.memory, bounds.memory)?;
    bound(Resource::Cpu, bounds.seconds, bounds.seconds + MERCY)?;

    let mut component = Vec::new();
    io::stdin().take(crate::MAX_BYTES).read_to_end(&mut component)?;
    let runtime = Runtime::start(Some(cache), None)?;
    let load = || {
        let loaded = Component::from_binary(runtime.engine(), &component);
        loaded.map(drop).map_err(|error| CompileError::Refused(cause(&error)))
    };

    load()?;
    if runtime.cache_hits() == 0 {
        // The engine goes on without a word where its cache takes nothing, and the server would compile it again.
        load()?;
    }
    if runtime.cache_hits() == 0 {
        return Err(CompileError::NotKept(cache.to_owned()));
    }
    Ok(())
}

/// Sets a bound of this process, or keeps one that is tighter.
fn bound(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(current.min(most)), maximum: Some(maximum.min(most)) };
    Ok(setrlimit(resource, limit)?)
}
