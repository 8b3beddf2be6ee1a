//! What a file is, before anything of it runs: a component, for this host, with these needs.

use std::fmt;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load::LoadError;
use crate::settings::{Digest, Grants, Part};

/// The largest file.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The package of the contract.
const PACKAGE: &str = "heliostat:plugin/";
/// The versions that this host speaks, as authors are told them.
pub(crate) const SUPPORTED: &str = "0.1";
/// What a component for `wasm32-wasip2` may import: an empty version of it is there.
const WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// A component, as its exports and imports show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Which file it is.
    pub digest: Digest,
    /// How large.
    pub bytes: u64,
    /// The version of the contract that it was built for.
    pub version: String,
    /// What it can be asked.
    pub parts: Vec<Part>,
    /// Everything that it imports, by name.
    pub imports: Vec<String>,
    /// The grants that it does not start without.
    pub needs: Vec<Need>,
}

/// An import that has to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Requests.
    Http,
    /// Files of the destination.
    Dest,
    /// Values that last.
    Kv,
}

impl Need {
    /// The import's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dest => "dest",
            Self::Kv => "kv",
        }
    }

    /// What to write into the configuration.
    #[must_use]
    pub fn grant(self) -> &'static str {
        match self {
            Self::Http => "`http`, the addresses that it may send requests to",
            Self::Dest => "`dest_read` or `dest_write`, the paths that it may read or write",
            Self::Kv => "`kv_kib`, how much it may keep",
        }
    }

    fn granted(self, grants: &Grants) -> bool {
        match self {
            Self::Http => !grants.http.is_empty(),
            Self::Dest => !grants.dest_read.is_empty() || !grants.dest_write.is_empty(),
            Self::Kv => grants.kv_kib > 0,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Looks at the first bytes: both kinds of WebAssembly begin alike, and only one of them is a component.
pub(crate) fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(LoadError::TooLarge(bytes.len() as u64));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm);
    }
    match bytes.get(4..8) {
        Some([0x0d, 0, 1, 0]) => Ok(()),
        Some([1, 0, 0, 0]) => Err(LoadError::CoreModule),
        Some(_) => {
            Err(LoadError::Invalid("it is of a kind of WebAssembly that is not known here".to_owned()))
        }
        None => Err(LoadError::Invalid("it ends within its first eight bytes".to_owned())),
    }
}

impl Shape {
    /// Reads it off a compiled component; refuses what this host cannot serve.
    pub(crate) fn of(
        engine: &Engine,
        component: &Component,
        digest: Digest,
        bytes: u64,
    ) -> Result<Self, LoadError> {
        let kind = component.component_type();
        let names = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect::<Vec<_>>();
        let exports = names(&mut kind.exports(engine).map(|(name, _)| name));
        let imports = names(&mut kind.imports(engine).map(|(name, _)| name));
        let found: Vec<_> = exports.iter().filter_map(|name| part(name)).collect();
        let Some((_, version)) = found.first() else { return Err(LoadError::NoParts(exports)) };
        if let Some((_, unknown)) = found.iter().find(|(_, version)| !is_supported(version)) {
            return Err(LoadError::Version((*unknown).to_owned()));
        }
        let mut parts: Vec<_> = found.iter().map(|(part, _)| *part).collect();
        parts.sort_unstable();
        let needs = needs(&imports, parts.contains(&Part::Policy))?;
        Ok(Self { digest, bytes, version: (*version).to_owned(), parts, imports, needs })
    }

    /// The name of its world.
    #[must_use]
    pub fn world(&self) -> &'static str {
        match self.parts.as_slice() {
            [Part::PreSync] => "pre",
            [Part::PostSync] => "post",
            [Part::PreSync, Part::PostSync] => "hooks",
            [Part::Policy] => "scheduler",
            _ => "hooks and scheduler",
        }
    }

    /// Whether these grants are enough for it.
    pub(crate) fn check_grants(&self, grants: &Grants) -> Result<(), LoadError> {
        let missing: Vec<_> = self.needs.iter().copied().filter(|need| !need.granted(grants)).collect();
        if missing.is_empty() { Ok(()) } else { Err(LoadError::MissingGrants(missing)) }
    }

    /// Whether it has the parts that are wanted of it.
    pub(crate) fn check_parts(&self, wanted: &[Part]) -> Result<(), LoadError> {
        let missing = wanted.iter().copied().find(|part| !self.parts.contains(part));
        missing.map_or(Ok(()), |part| Err(LoadError::MissingPart { part, has: self.parts.clone() }))
    }
}

/// The part that an export is, and its version.
fn part(export: &str) -> Option<(Part, &str)> {
    let (interface, version) = export.strip_prefix(PACKAGE)?.split_once('@')?;
    let part = match interface {
        "pre-hook" => Part::PreSync,
        "post-hook" => Part::PostSync,
        "policy" => Part::Policy,
        _ => return None,
    };
    Some((part, version))
}

/// Whether it is one of [`SUPPORTED`]: within one minor everything fits, between two nothing has to.
fn is_supported(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| patch.bytes().all(|byte| byte.is_ascii_digit()))
}

fn needs(imports: &[String], policy: bool) -> Result<Vec<Need>, LoadError> {
    let mut needs = Vec::new();
    for import in imports {
        let of_wasi = WASI.iter().any(|package| import.starts_with(package)) && import.contains("@0.2.");
        let ours = import.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@'));
        let (name, version) = match ours {
            Some(ours) => ours,
            None if of_wasi => continue,
            None => return Err(LoadError::Import(import.clone())),
        };
        if !is_supported(version) {
            return Err(LoadError::Version(version.to_owned()));
        }
        let need = match name {
            "types" | "log" | "config" => continue,
            _ if policy => return Err(LoadError::ImpurePolicy(name.to_owned())),
            "clock" | "random" => continue,
            "http" => Need::Http,
            "dest" => Need::Dest,
            "kv" => Need::Kv,
            _ => return Err(LoadError::Import(import.clone())),
        };
        needs.push(need);
    }
    needs.sort_unstable();
    Ok(needs)
}
