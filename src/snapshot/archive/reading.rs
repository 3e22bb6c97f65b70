//! Reading one file of the source into the repository.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::codec::manifest::EntryKey;
use crate::snapshot::archive::file::{FileStore, Stored};
use crate::snapshot::archive::slots::Read;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::source::read::{ATTEMPTS, ReadPolicy};
use crate::snapshot::source::walk::{Item, Source};
use crate::sqlite::recognise::{SideFiles, recognise};

/// Reads one file and stores what is new of it.
pub(super) fn read(
    request: &Request<'_>,
    item: &Item,
    store: &mut FileStore<'_>,
) -> Result<Read, ArchiveError> {
    let source = source_of(request, &item.key);
    let path = absolute(source, &item.key);
    let policy = ReadPolicy { attempts: ATTEMPTS, now_ns: request.clock };
    let is_database = |head: &[u8]| recognise(head, SideFiles::beside(&path)).is_some();
    let read = source.read_file(&item.key.path, policy, |bytes| {
        let len = bytes.size();
        store.store(bytes, len, is_database)
    })?;
    Ok(match read {
        Err(problem) => Read::Problem(problem),
        Ok(file) if matches!(file.value, Stored::Special) => Read::Database,
        Ok(file) => Read::File(file.describe(item, Stored::into_content)),
    })
}

/// The root that a key belongs to.
pub(super) fn source_of<'a>(request: &Request<'a>, key: &EntryKey) -> &'a Source {
    let source = usize::try_from(key.root).ok().and_then(|root| request.sources.get(root));
    source.expect("invariant: keys are made from the sources of the request")
}

/// Where a key is on disk.
pub(super) fn absolute(source: &Source, key: &EntryKey) -> PathBuf {
    if key.path.is_empty() {
        return source.path().to_path_buf();
    }
    source.path().join(Path::new(OsStr::from_bytes(&key.path)))
}
