//! Reading small objects that are named by the hash of their bytes.

use crate::codec::Durable;
use crate::id::HashKeys;
use crate::repo::backend::{Backend, BackendError, Key};
use crate::repo::error::{Damage, RepoError, Result};

/// The bytes of a small object; `None` when there is none. One that is there and cannot be read, tried twice, is damaged: it must
/// not keep the others from serving.
pub(super) fn read_object(backend: &dyn Backend, key: &Key) -> Result<Option<Vec<u8>>> {
    let attempt = || match backend.get(key) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(BackendError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    attempt().or_else(|_| attempt()).map_err(|error| {
        Damage::Object { object: key.to_string(), reason: error.to_string() }.into()
    })
}

/// The structure in an object, proved by its name; `None` when no such object exists. `has_name` compares the hash of the bytes with
/// the name.
pub(super) fn read_named<T: Durable>(
    backend: &dyn Backend,
    key: &Key,
    keys: &HashKeys,
    has_name: impl Fn(&HashKeys, &[u8]) -> bool,
) -> Result<Option<T>> {
    let Some(bytes) = read_object(backend, key)? else { return Ok(None) };
    let damage = |reason: String| Damage::Object { object: key.to_string(), reason };
    if !has_name(keys, &bytes) {
        return Err(
            damage("the bytes do not have the hash that is the object's name".into()).into()
        );
    }
    match T::decode(&bytes) {
        Ok(structure) => Ok(Some(structure)),
        Err(error) if error.is_too_new() => Err(RepoError::Unsupported { what: error.to_string() }),
        Err(error) => Err(damage(error.to_string()).into()),
    }
}
