//! Values that last from one call to the next, by plugin and project. Granted with `kv_kib`, which is their quota.

use crate::host::kv;

#[doc(inline)]
pub use crate::bindings::imports::heliostat::plugin::kv::Error;

/// The value of `key`, if there is one.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    kv::get(key)
}

/// The value of `key` as text, if there is one; what is not UTF-8 in it is replaced.
pub fn get_text(key: &str) -> Result<Option<String>, Error> {
    Ok(kv::get(key)?.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

/// Sets `key`. It is durable when this returns.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    kv::set(key, value.as_ref())
}

/// Removes `key`, if it is there.
pub fn delete(key: &str) -> Result<(), Error> {
    kv::delete(key)
}
