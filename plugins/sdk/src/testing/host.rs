//! The host's functions on a native target, with the signatures that `wit-bindgen` gives the real ones.

#![expect(clippy::unnecessary_wraps, reason = "the signatures are the contract's")]

use super::CURRENT;
use crate::bindings::imports::heliostat::plugin as bindings;

pub mod config {
    //! Settings.
    use super::CURRENT;

    pub fn get(key: &str) -> Option<String> {
        CURRENT.with_borrow(|host| host.settings.get(key).cloned())
    }

    pub fn keys() -> Vec<String> {
        CURRENT.with_borrow(|host| host.settings.keys().cloned().collect())
    }
}

pub mod kv {
    //! Stored values.
    use super::{CURRENT, bindings::kv::Error};

    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(CURRENT.with_borrow(|host| host.values.get(key).cloned()))
    }

    pub fn set(key: &str, value: &[u8]) -> Result<(), Error> {
        CURRENT.with_borrow_mut(|host| host.values.insert(key.to_owned(), value.to_owned()));
        Ok(())
    }

    pub fn delete(key: &str) -> Result<(), Error> {
        CURRENT.with_borrow_mut(|host| host.values.remove(key));
        Ok(())
    }
}

pub mod clock {
    //! A clock that stands still, as the samples do.

    pub fn now_ms() -> u64 {
        super::super::NOW_MS
    }

    pub fn monotonic_ns() -> u64 {
        0
    }
}

pub mod random {
    //! Bytes that are the same each time.

    pub fn get(len: u32) -> Vec<u8> {
        (0..len).map(|index| index.to_le_bytes()[0]).collect()
    }
}

pub mod log {
    //! Lines.
    use super::{CURRENT, bindings::log::Level};

    pub fn enabled(_: Level) -> bool {
        true
    }

    pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
        let mut line = format!("{}: {message}", word(level));
        for (key, value) in fields {
            line.push_str(&format!(" {key}={value}"));
        }
        CURRENT.with_borrow_mut(|host| host.log.push(line));
    }

    fn word(level: Level) -> &'static str {
        match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

pub mod http {
    //! Requests.
    use super::{
        CURRENT,
        bindings::http::{Error, Request, Response},
    };

    pub fn send(request: &Request) -> Result<Response, Error> {
        CURRENT.with_borrow_mut(|host| {
            host.requests.push(request.clone());
            if host.responses.is_empty() {
                return Err(Error::Transport("nobody answers".to_owned()));
            }
            let (status, body) = host.responses.remove(0)?;
            Ok(Response { status, headers: Vec::new(), body: body.into_bytes() })
        })
    }
}

pub mod dest {
    //! Files.
    use super::{
        CURRENT,
        bindings::dest::{Error, Kind, Metadata},
    };

    pub fn stat(path: &str) -> Result<Metadata, Error> {
        let size = read(path, 0, u32::MAX)?.len() as u64;
        Ok(Metadata {
            kind: Kind::File,
            size,
            mtime_ms: i64::try_from(super::super::NOW_MS).unwrap_or_default(),
        })
    }

    pub fn read_dir(path: &str, limit: u32) -> Result<Vec<(String, Kind)>, Error> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        CURRENT.with_borrow(|host| {
            let mut entries: Vec<(String, Kind)> = Vec::new();
            for rest in host.files.keys().filter_map(|file| file.strip_prefix(&prefix)) {
                let (name, kind) = match rest.split_once('/') {
                    Some((folder, _)) => (folder, Kind::Dir),
                    None => (rest, Kind::File),
                };
                if entries.last().is_none_or(|(last, _)| last != name) {
                    entries.push((name.to_owned(), kind));
                }
            }
            entries.truncate(limit as usize);
            if entries.is_empty() { Err(Error::NotFound) } else { Ok(entries) }
        })
    }

    pub fn read(path: &str, offset: u64, max: u32) -> Result<Vec<u8>, Error> {
        CURRENT.with_borrow(|host| {
            let content = host.files.get(path).ok_or(Error::NotFound)?;
            let rest = content.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
            Ok(rest.take(max as usize).copied().collect())
        })
    }

    pub fn put(path: &str, data: &[u8]) -> Result<(), Error> {
        CURRENT.with_borrow_mut(|host| host.files.insert(path.to_owned(), data.to_owned()));
        Ok(())
    }
}
