//! Storing the bytes of a captured database: by groups of pages where they are pages.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::chunker::pages::{DEFAULT_GROUP_BYTES, PageGroup, PageGroups};
use crate::chunker::params::Params;
use crate::codec::content::{ChunkRef, Content};
use crate::codec::pack::PackClass;
use crate::id::BlobType;
use crate::repo::blobs::{BlobWrite, Compression, NewBlob};
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::archive::file::{FileStore, Stored};
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::content::write::ContentWriter;
use crate::sqlite::captured::Captured;

/// Groups that are read and stored side by side.
const GROUPS_AT_ONCE: usize = 4;

/// Takes captured databases in.
pub(super) struct CapturedStore<'a> {
    pub(super) cut: Params,
    pub(super) blobs: &'a dyn BlobWrite,
    pub(super) stop: &'a Stop<'a>,
}

impl CapturedStore<'_> {
    pub(super) fn store(&self, captured: &Captured) -> Result<Content, ArchiveError> {
        match page_groups(captured) {
            Some(groups) => self.store_groups(&captured.file, &groups),
            None => self.store_plainly(captured),
        }
    }

    fn store_groups(&self, file: &File, groups: &[PageGroup]) -> Result<Content, ArchiveError> {
        let mut content = ContentWriter::new(self.blobs);
        for batch in groups.chunks(GROUPS_AT_ONCE) {
            self.stop.check()?;
            let stored: Vec<ChunkRef> = batch
                .into_par_iter()
                .map(|group| self.store_group(file, group))
                .collect::<Result<_, _>>()?;
            for chunk in stored {
                content.push(chunk)?;
            }
        }
        Ok(content.finish()?)
    }

    fn store_group(&self, file: &File, group: &PageGroup) -> Result<ChunkRef, ArchiveError> {
        let mut plain = vec![0; usize::try_from(group.len).unwrap_or_default()];
        file.read_exact_at(&mut plain, group.offset).map_err(ArchiveError::Spool)?;
        let blob = NewBlob {
            blob_type: BlobType::Data,
            class: PackClass::BaseGroups,
            compression: Compression::Always,
            plain: &plain,
        };
        Ok(ChunkRef { id: self.blobs.put(blob)?.id, len: plain.len() as u64 })
    }

    /// Bytes that are not known to be pages are cut like any file.
    fn store_plainly(&self, captured: &Captured) -> Result<Content, ArchiveError> {
        let mut bytes = SpoolBytes { file: &captured.file, at: 0, failure: None };
        let mut store = FileStore::new(self.cut, self.blobs, self.stop);
        let stored = store.store(&mut bytes, captured.len, |_| false)?;
        match bytes.failure {
            Some(error) => Err(ArchiveError::Spool(error)),
            None => Ok(Stored::into_content(stored)),
        }
    }
}

/// The groups of a database that is whole pages; nothing for other bytes.
fn page_groups(captured: &Captured) -> Option<Vec<PageGroup>> {
    let whole =
        captured.page_count.checked_mul(u64::from(captured.page_size)) == Some(captured.len);
    let page_count = u32::try_from(captured.page_count).ok().filter(|count| whole && *count > 0)?;
    let groups = PageGroups::new(captured.page_size, DEFAULT_GROUP_BYTES).ok()?;
    Some(groups.of_database(page_count).collect())
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
