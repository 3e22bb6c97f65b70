//! Storing the bytes of a captured database: as a version where they are pages, like any file where they are not.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::codec::content::Content;
use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::DatabaseLabel;
use crate::id::BlobId;
use crate::observe::Warning;
use crate::repo::blobs::BlobWrite;
use crate::repo::error::{Damage, RepoError};
use crate::snapshot::archive::file::{FileStore, Stored};
use crate::snapshot::archive::reading::{absolute, source_of};
use crate::snapshot::archive::spools::{Demand, Spools};
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::archive::{ArchiveError, Request, Versions};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::source::walk::Item;
use crate::snapshot::version::store::{SpoolRoom, SpooledPages, StoreError, VersionStore};
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::identity::{bytes_of, observe};
use crate::sqlite::spool::{Space, SpoolError};

/// Takes captured databases in.
pub(super) struct CapturedStore<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) blobs: &'a dyn BlobWrite,
    pub(super) stop: &'a Stop<'a>,
}

/// A database that was stored.
pub(super) struct StoredDatabase {
    pub(super) content: Content,
    /// Its version record, if it is a version.
    pub(super) version: Option<BlobId>,
    pub(super) damage: Vec<Damage>,
    pub(super) notices: Vec<String>,
}

impl CapturedStore<'_> {
    /// Refuses to begin where a database and the versions before do not fit into the spool directory beside what it holds. Much is said
    /// before it is done.
    pub(super) fn admit(&self, item: &Item, spools: &Spools) -> Result<Demand, ArchiveError> {
        let (key, dir) = (&item.key, self.request.spool_dir);
        let path = absolute(source_of(self.request, key), key);
        let capture_bytes = observe(&path).map_or(item.stat.size, |now| bytes_of(&now));
        let mut demand = Demand { capture_bytes, before_bytes: 0 };
        if let Some(versions) = self.request.versions {
            demand.before_bytes =
                self.versions(versions, &|| false).spool_bytes(&(versions.of)(key));
        }
        if let Some(remark) = demand.remark(dir) {
            self.stop.remark(Warning::about(&*key.path, remark));
        }
        let Some(versions) = self.request.versions else { return Ok(demand) };
        let admitted = match Space::of(dir) {
            Ok(space) => spools.admit(demand, (space, dir), versions.min_free_bytes),
            Err(source) => Err(SpoolError::Io { dir: dir.to_owned(), source }),
        };
        admitted.map(|()| demand).map_err(|source| self.no_spool(key, source))
    }

    pub(super) fn store(
        &self,
        key: &EntryKey,
        captured: &Captured,
    ) -> Result<StoredDatabase, ArchiveError> {
        match (self.request.versions, pages_of(captured)) {
            (Some(versions), Some(pages)) => self.store_version(key, versions, pages),
            _ => Ok(StoredDatabase {
                content: self.store_plainly(captured)?,
                version: None,
                damage: Vec::new(),
                notices: Vec::new(),
            }),
        }
    }

    fn store_version(
        &self,
        key: &EntryKey,
        versions: Versions<'_>,
        pages: SpooledPages<'_>,
    ) -> Result<StoredDatabase, ArchiveError> {
        let cancelled = || self.stop.check().is_err();
        let stored = self.versions(versions, &cancelled).store(pages, &(versions.of)(key));
        let stored = stored.map_err(|error| match error {
            StoreError::Snapshot(SnapshotError::Repo(RepoError::Cancelled)) => {
                ArchiveError::Cancelled
            }
            StoreError::Snapshot(error) => error.into(),
            StoreError::Spool(source) => self.no_spool(key, source),
            StoreError::File(error) => ArchiveError::Spool(error),
        })?;
        let (version, content) = (Some(stored.record), stored.content);
        Ok(StoredDatabase { content, version, damage: stored.damage, notices: stored.notices })
    }

    fn versions<'v>(
        &'v self,
        versions: Versions<'v>,
        cancelled: &'v (dyn Fn() -> bool + Sync),
    ) -> VersionStore<'v> {
        VersionStore {
            read: versions.blobs,
            write: self.blobs,
            moment: versions.moment,
            room: SpoolRoom {
                dir: self.request.spool_dir,
                min_free_bytes: versions.min_free_bytes,
            },
            cancelled,
        }
    }

    fn no_spool(&self, key: &EntryKey, source: SpoolError) -> ArchiveError {
        let path = absolute(source_of(self.request, key), key);
        ArchiveError::Capture(CaptureError::Spool { path, source })
    }

    /// Bytes that are not known to be pages are cut like any file.
    fn store_plainly(&self, captured: &Captured) -> Result<Content, ArchiveError> {
        let mut bytes = SpoolBytes { file: &captured.file, at: 0, failure: None };
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        let stored = store.store(&mut bytes, captured.len, |_| false)?;
        match bytes.failure {
            Some(error) => Err(ArchiveError::Spool(error)),
            None => Ok(Stored::into_content(stored)),
        }
    }
}

/// The pages of a database that is nothing but whole pages, and one of its own states.
fn pages_of(captured: &Captured) -> Option<SpooledPages<'_>> {
    let page_size = captured.page_size;
    let sound = captured.label == DatabaseLabel::Committed
        && page_size.is_power_of_two()
        && (512..=65_536).contains(&page_size)
        && captured.page_count.checked_mul(u64::from(page_size)) == Some(captured.len);
    let page_count = u32::try_from(captured.page_count).ok().filter(|count| sound && *count > 0)?;
    Some(SpooledPages { file: &captured.file, page_size, page_count })
}
/// The bytes of a spool, read without moving its cursor; remembers why it failed.
struct SpoolBytes<'a> {
    file: &'a File,
    at: u64,
    failure: Option<std::io::Error>,
}

impl std::io::Read for SpoolBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.file.read_at(buffer, self.at) {
            Ok(len) => {
                self.at += len as u64;
                Ok(len)
            }
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
