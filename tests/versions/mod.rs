//! Versions of databases over blobs in memory: what goes in comes out, whatever the nights did, and what is hostile is refused.
//!
//! Not here: backups, damage on a disk, crashes (`product::versions`).

mod hostile;
mod nights;
mod proof;

use std::fs::File;
use std::io::{Read, Seek, Write};

use larder::codec::Durable;
use larder::codec::content::Content;
use larder::codec::version::VersionRecord;
use larder::id::{BlobId, BlobType};
use larder::repo::blobs::{BlobRead, BlobWrite};
use larder::repo::error::RepoError;
use larder::snapshot::version::decode::{MakeError, Watch};
use larder::snapshot::version::read::make_database;
use larder::snapshot::version::stack::Moment;
use larder::snapshot::version::store::{
    SpoolRoom, SpooledPages, StoreError, StoredVersion, VersionStore,
};
use larder_testkit::memory_blobs::MemoryBlobs;

const HOUR_NS: i64 = 3_600_000_000_000;

/// Bytes of pages of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pages {
    size: u32,
    bytes: Vec<u8>,
}

impl Pages {
    fn count(&self) -> u32 {
        u32::try_from(self.bytes.len() / self.size as usize).unwrap()
    }

    fn page(&self, number: u32) -> &[u8] {
        self.bytes.chunks(self.size as usize).nth(number as usize - 1).unwrap()
    }
}

fn spooled(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn at(time_ns: i64, before_ns: Option<i64>) -> Moment<'static> {
    Moment { time_ns, before_ns, zone: "Europe/Zurich" }
}

fn store(
    (read, write): (&dyn BlobRead, &dyn BlobWrite),
    pages: &Pages,
    candidates: &[BlobId],
    moment: Moment<'_>,
) -> Result<StoredVersion, StoreError> {
    let (spool, dir) = (spooled(&pages.bytes), std::env::temp_dir());
    let store = VersionStore {
        read,
        write,
        moment,
        room: SpoolRoom { dir: &dir, min_free_bytes: 0 },
        cancelled: &|| false,
    };
    let pages = SpooledPages { file: &spool, page_size: pages.size, page_count: pages.count() };
    store.store(pages, candidates)
}

fn record_of(blobs: &MemoryBlobs, id: &BlobId) -> VersionRecord {
    VersionRecord::decode(&blobs.get(BlobType::VersionRecord, id).unwrap()).unwrap()
}

fn made(blobs: &dyn BlobRead, id: &BlobId, len: u64) -> Result<Vec<u8>, MakeError> {
    let mut file = tempfile::tempfile().unwrap();
    make_database(blobs, (id, len), &file, Watch::NOBODY)?;
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

fn len_of(content: &Content) -> u64 {
    content.len_bytes().unwrap()
}

fn damage_of<T: std::fmt::Debug>(result: Result<T, MakeError>) -> String {
    match result {
        Err(MakeError::Repository(RepoError::Damaged(damage))) => damage.to_string(),
        other => panic!("no damage: {other:?}"),
    }
}
