//! The imports of version 0.1, as they reach what is behind them.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::bindings::heliostat::plugin as wit;
use crate::imports::{dest, http, kv, log};
use crate::state::State;

/// The most random bytes at once.
const RANDOM: usize = 4096;

impl wit::types::Host for State {}

impl wit::log::Host for State {
    fn enabled(&mut self, level: wit::log::Level) -> bool {
        log::enabled(level.into())
    }

    fn write(&mut self, level: wit::log::Level, message: String, fields: Vec<(String, String)>) {
        self.log.write(level.into(), &message, &fields);
    }
}

impl From<wit::log::Level> for log::Level {
    fn from(level: wit::log::Level) -> Self {
        match level {
            wit::log::Level::Trace => Self::Trace,
            wit::log::Level::Debug => Self::Debug,
            wit::log::Level::Info => Self::Info,
            wit::log::Level::Warn => Self::Warn,
            wit::log::Level::Error => Self::Error,
        }
    }
}

impl wit::config::Host for State {
    fn get(&mut self, key: String) -> Option<String> {
        self.config.get(&key).cloned()
    }

    fn keys(&mut self) -> Vec<String> {
        self.config.keys().cloned().collect()
    }
}

impl wit::kv::Host for State {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, wit::kv::Error> {
        Ok(self.kv.get(key).await?)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), wit::kv::Error> {
        Ok(self.kv.put(key, Some(value)).await?)
    }

    async fn delete(&mut self, key: String) -> Result<(), wit::kv::Error> {
        Ok(self.kv.put(key, None).await?)
    }
}

impl From<kv::Denial> for wit::kv::Error {
    fn from(denial: kv::Denial) -> Self {
        match denial {
            kv::Denial::Quota => Self::Quota,
            kv::Denial::Denied => Self::Denied,
            kv::Denial::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl wit::clock::Host for State {
    fn now_ms(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ns(&mut self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl wit::random::Host for State {
    fn get(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        let length = usize::try_from(len).unwrap_or(usize::MAX);
        if length > RANDOM {
            return Err(wasmtime::Error::msg(format!("it wanted more than {RANDOM} random bytes at once")));
        }
        let mut bytes = vec![0; length];
        rand::fill(&mut bytes[..]);
        Ok(bytes)
    }
}

impl wit::http::Host for State {
    async fn send(&mut self, request: wit::http::Request) -> Result<wit::http::Response, wit::http::Error> {
        let value = |value| match value {
            wit::http::HeaderValue::Literal(text) => http::Value::Literal(text),
            wit::http::HeaderValue::Secret(name) => http::Value::Secret(name),
        };
        let request = http::Request {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|(name, text)| (name, value(text))).collect(),
            body: request.body,
            timeout: Duration::from_millis(request.timeout_ms.into()),
        };
        let http::Response { status, headers, body } = self.http.send(&self.grants, request).await?;
        Ok(wit::http::Response { status, headers, body })
    }
}

impl From<http::Failure> for wit::http::Error {
    fn from(failure: http::Failure) -> Self {
        match failure {
            http::Failure::Denied(why) => Self::Denied(why),
            http::Failure::Timeout => Self::Timeout,
            http::Failure::TooLarge => Self::TooLarge,
            http::Failure::Transport(why) => Self::Transport(why),
        }
    }
}

impl wit::dest::Host for State {
    async fn stat(&mut self, path: String) -> Result<wit::dest::Metadata, wit::dest::Error> {
        let dest::Metadata { kind, size, mtime_ms } = self.dest.stat(path).await?;
        Ok(wit::dest::Metadata { kind: kind.into(), size, mtime_ms })
    }

    async fn read_dir(
        &mut self,
        path: String,
        limit: u32,
    ) -> Result<Vec<(String, wit::dest::Kind)>, wit::dest::Error> {
        let entries = self.dest.read_dir(path, limit).await?;
        Ok(entries.into_iter().map(|(name, kind)| (name, kind.into())).collect())
    }

    async fn read(&mut self, path: String, offset: u64, max: u32) -> Result<Vec<u8>, wit::dest::Error> {
        Ok(self.dest.read(path, offset, max).await?)
    }

    async fn put(&mut self, path: String, data: Vec<u8>) -> Result<(), wit::dest::Error> {
        Ok(self.dest.put(path, data).await?)
    }
}

impl From<dest::Kind> for wit::dest::Kind {
    fn from(kind: dest::Kind) -> Self {
        match kind {
            dest::Kind::File => Self::File,
            dest::Kind::Dir => Self::Dir,
            dest::Kind::Symlink => Self::Symlink,
            dest::Kind::Other => Self::Other,
        }
    }
}

impl From<dest::Failure> for wit::dest::Error {
    fn from(failure: dest::Failure) -> Self {
        match failure {
            dest::Failure::NotFound => Self::NotFound,
            dest::Failure::Denied => Self::Denied,
            dest::Failure::TooLarge => Self::TooLarge,
            dest::Failure::Io(why) => Self::Io(why),
        }
    }
}
