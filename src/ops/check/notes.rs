//! What is odd and harmless: names that are not larder's, and what interrupted backups have left.

use std::str::FromStr;

use crate::codec::Durable;
use crate::codec::session::SessionRecord;
use crate::error::{Error, Result};
use crate::id::{FactId, PackId, SegmentId, SessionId, SnapshotId};
use crate::ops::catalog::Catalog;
use crate::repo::backend::Backend;
use crate::repo::layout;

/// Everything of the kind, each in a line.
pub(super) fn notes(catalog: &Catalog<'_>) -> Result<Vec<String>> {
    let backend = catalog.repository().backend();
    let mut notes = foreign::<PackId>(backend, layout::PACKS)?;
    notes.extend(foreign::<SegmentId>(backend, layout::INDEX)?);
    notes.extend(foreign::<SnapshotId>(backend, layout::SNAPSHOTS)?);
    notes.extend(foreign::<FactId>(backend, layout::FACTS)?);
    notes.extend(foreign::<SessionId>(backend, layout::SESSIONS)?);
    notes.extend(sessions(backend)?);
    let unknown = catalog.facts().unknown.iter();
    notes.extend(unknown.map(|id| format!("{} is of a newer larder", layout::fact(id))));
    Ok(notes)
}

/// Names in a directory that are none of its objects'.
fn foreign<I: FromStr>(backend: &dyn Backend, directory: &str) -> Result<Vec<String>> {
    let objects = backend.list(directory).map_err(Error::from_backend)?;
    let not_ours =
        objects.iter().filter(|object| object.is_dir || object.name.parse::<I>().is_err());
    Ok(not_ours.map(|object| format!("{directory}/{} is not larder's", object.name)).collect())
}

/// Backups that are at work, or were cut off. A marker may be torn: it is named before its bytes are durable.
fn sessions(backend: &dyn Backend) -> Result<Vec<String>> {
    let objects = backend.list(layout::SESSIONS).map_err(Error::from_backend)?;
    let describe = |id: SessionId| {
        let marker = layout::session(&id);
        let record = backend.get(&marker).ok().and_then(|bytes| SessionRecord::decode(&bytes).ok());
        match record.filter(|record| record.session == id) {
            Some(by) => format!(
                "{marker}: `{}` on {}, process {}, is at work or was cut off",
                by.command, by.host, by.pid
            ),
            None => format!("{marker}: a backup was cut off; whose it was cannot be read"),
        }
    };
    Ok(layout::ids(&objects).map(|(id, _)| describe(id)).collect())
}
