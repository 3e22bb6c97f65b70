//! Making durable what others have named.
//!
//! A name is visible before it is durable, and whoever gave it may have died in
//! between. Who relies on such a name syncs its directory first; a name that was
//! moved is durable only when the directory that it left is synced, too.

use crate::repo::backend::Backend;
use crate::repo::error::Result;
use crate::repo::layout;

/// Both ends of every move into the trash and out of it.
pub(super) fn sync_trash(backend: &dyn Backend) -> Result<()> {
    for entry in backend.list(layout::TRASH)?.iter().filter(|entry| entry.is_dir) {
        let directory = format!("{}/{}", layout::TRASH, entry.name);
        match backend.sync(&directory) {
            // It was emptied and removed meanwhile: nothing of it comes back.
            Err(_) if !is_there(backend, &entry.name)? => {}
            other => other?,
        }
    }
    Ok(backend.sync(layout::TRASH)?)
}

/// True when the trash has a directory of this name.
pub(super) fn is_there(backend: &dyn Backend, name: &str) -> Result<bool> {
    Ok(backend.list(layout::TRASH)?.iter().any(|entry| entry.is_dir && entry.name == name))
}
