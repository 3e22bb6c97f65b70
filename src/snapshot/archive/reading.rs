//! Reading one file of the source into the repository.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::codec::manifest::EntryKey;
use crate::snapshot::archive::file::{FileStore, Stored};
use crate::snapshot::archive::slots::Read;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::read::{ATTEMPTS, Described, ReadFile, ReadPolicy};
use crate::snapshot::source::walk::{Item, Source};
use crate::sqlite::header::has_magic;

/// Reads one file and stores what is new of it, unless it begins as a database.
///
/// A database that does not (it is sealed, or empty) has a file beside it that gives it away; the walk comes upon that.
pub(super) fn read(
    request: &Request<'_>,
    item: &Item,
    store: &mut FileStore<'_>,
) -> Result<Read, ArchiveError> {
    Ok(match read_unless(request, item, store, has_magic)? {
        Err(problem) => Read::Problem(problem),
        Ok(file) if matches!(file.value, Stored::Special) => Read::Database,
        Ok(file) => Read::File(file.describe(item, Stored::into_content)),
    })
}

/// Reads one file and stores what is new of it, whatever it is.
pub(super) fn read_plainly(
    request: &Request<'_>,
    item: &Item,
    store: &mut FileStore<'_>,
) -> Result<Result<Described, Problem>, ArchiveError> {
    let read = read_unless(request, item, store, |_| false)?;
    Ok(read.map(|file| file.describe(item, Stored::into_content)))
}

fn read_unless(
    request: &Request<'_>,
    item: &Item,
    store: &mut FileStore<'_>,
    is_special: impl Fn(&[u8]) -> bool,
) -> Result<Result<ReadFile<Stored>, Problem>, ArchiveError> {
    let source = source_of(request, &item.key);
    let policy = ReadPolicy { attempts: ATTEMPTS, now_ns: request.clock };
    source.read_file(&item.key.path, policy, |bytes| {
        let (len, hollow) = (bytes.size(), bytes.begins_with_a_hole());
        // Behind a hole is not the head of the file but, say, that of a database in the image of a disk.
        store.store(bytes, len, |head| !hollow && is_special(head))
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
