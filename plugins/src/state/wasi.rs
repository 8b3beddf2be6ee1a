//! WASI for guests built for `wasm32-wasip2`: no files, no environment, no network. What they print is a log line.
//!
//! A policy's clocks stand still and its dice fall the same each time, so that it decides the same when asked again.

use std::time::Duration;

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView,
    WasiView, async_trait,
};

use super::State;
use crate::imports::log::{Level, Log};

/// The longest line that is kept together.
const LINE: usize = 2048;
/// How much may be printed at once.
const PERMIT: usize = 64 * 1024;
/// The most streams, timers and the like at once.
const RESOURCES: usize = 1024;

/// The empty world.
pub(crate) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.log, self.frozen)));
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl Wasi {
    fn new(log: &Log, frozen: Option<u64>) -> Self {
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdout(Printed { log: log.clone(), level: Level::Debug })
            .stderr(Printed { log: log.clone(), level: Level::Warn })
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .socket_addr_check(|_, _| Box::pin(async { false }));
        if let Some(now) = frozen {
            let dice = || Deterministic::new(vec![4]);
            let clock = Frozen(Duration::from_millis(now));
            builder.secure_random(dice()).insecure_random(dice()).insecure_random_seed(4);
            builder.wall_clock(clock).monotonic_clock(clock);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Self { context: builder.build(), table }
    }
}

/// A clock that stands still.
#[derive(Clone, Copy)]
struct Frozen(Duration);

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Standard output or standard error.
struct Printed {
    log: Log,
    level: Level,
}

/// One stream of it.
struct Lines {
    log: Log,
    level: Level,
    rest: Vec<u8>,
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only the third preview of WASI asks for this one, and it is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { log: self.log.clone(), level: self.level, rest: Vec::new() })
    }
}

impl Lines {
    fn say(&mut self) {
        let line = std::mem::take(&mut self.rest);
        if !line.is_empty() {
            self.log.write(self.level, &String::from_utf8_lossy(&line), &[]);
        }
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let room = LINE.saturating_sub(self.rest.len()).min(text.len());
            self.rest.extend_from_slice(&text[..room]);
            if text.len() < piece.len() {
                self.say();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.say();
    }
}
