//! A new base: a database as ordinary chunks of pages, named by one list.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::chunker::pages::{DEFAULT_GROUP_BYTES, PageGroup, PageGroups};
use crate::codec::content::{ChunkRef, Content};
use crate::codec::pack::PackClass;
use crate::codec::version::{Base, VersionRecord};
use crate::id::BlobType;
use crate::repo::blobs::{BlobRead, BlobWrite, Compression, NewBlob};
use crate::repo::error::{Damage, RepoError};
use crate::snapshot::content::read::chunks;
use crate::snapshot::content::write::ContentWriter;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::version::load::base_list;
use crate::snapshot::version::pages::MappedPages;

/// Groups that are stored side by side.
const GROUPS_AT_ONCE: usize = 4;

/// Stores the pages as a base, each group compared with what its stored bytes give back.
pub(super) fn store_base(
    pages: &MappedPages,
    write: &dyn BlobWrite,
    check: &dyn Fn() -> Result<(), RepoError>,
) -> Result<Base, SnapshotError> {
    let page_size = u32::try_from(pages.page_bytes()).unwrap_or_default();
    let groups = PageGroups::new(page_size, DEFAULT_GROUP_BYTES)
        .expect("invariant: the page size of a committed database was checked");
    let groups: Vec<PageGroup> = groups.of_database(pages.count()).collect();
    let mut content = ContentWriter::new(write);
    for batch in groups.chunks(GROUPS_AT_ONCE) {
        check()?;
        let stored: Vec<ChunkRef> = batch
            .into_par_iter()
            .map(|group| store_group(bytes_of(pages, *group), write))
            .collect::<Result<_, RepoError>>()?;
        for chunk in stored {
            content.push(chunk)?;
        }
    }
    let list = content.finish_as_list()?.expect("invariant: a database has a page");
    // What is read back has its id, and the id is that of what was just encoded.
    write.read_back(BlobType::ContentList, &list.id)?;
    Ok(Base { list: list.id, page_count: pages.count() })
}

fn bytes_of(pages: &MappedPages, group: PageGroup) -> &[u8] {
    let range = usize::try_from(group.offset).ok().zip(usize::try_from(group.len).ok());
    let bytes = range.and_then(|(from, len)| pages.bytes().get(from..from.checked_add(len)?));
    bytes.expect("invariant: groups are within the database")
}

fn store_group(plain: &[u8], write: &dyn BlobWrite) -> Result<ChunkRef, RepoError> {
    let blob = NewBlob {
        blob_type: BlobType::Data,
        class: PackClass::BaseGroups,
        compression: Compression::Always,
        plain,
    };
    let put = write.put(blob)?;
    // What was there before is read when it is needed; what is new must be good.
    if put.stored_len.is_some()
        && let Some(stored) = write.read_back(BlobType::Data, &put.id)?
        && stored != plain
    {
        let (object, reason) = (format!("chunk {}", put.id), "is stored as other bytes".to_owned());
        return Err(Damage::Object { object, reason }.into());
    }
    Ok(ChunkRef { id: put.id, len: plain.len() as u64 })
}

/// What the chunks of a base take in the repository, bytes.
pub(super) fn stored_bytes(record: &VersionRecord, read: &dyn BlobRead) -> Result<u64, RepoError> {
    let list = base_list(record);
    let content = Content::List { root: list.id, len: list.len };
    let mut bytes = 0_u64;
    for placed in chunks(&content, read) {
        let place = read.place(BlobType::Data, &placed?.chunk.id)?;
        bytes = bytes.saturating_add(place.map_or(0, |place| u64::from(place.stored_len)));
    }
    Ok(bytes)
}
