//! What is stored is proved before it is named: a wrong patch never becomes a version.

use larder::codec::index::Place;
use larder::codec::version::VersionRecord;
use larder::id::{BlobId, BlobType};
use larder::repo::blobs::{BlobRead, BlobWrite, NewBlob, Put};
use larder::repo::error::Result;
use larder_testkit::memory_blobs::MemoryBlobs;
use larder_testkit::seed::Seeded;

use super::{Pages, at, made, record_of, store};

/// What goes wrong between encoding and storage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The encoder writes another patch than it should.
    Encoder,
    /// The storage gives back other bytes.
    Storage(BlobType),
}

struct Faulty<'a> {
    blobs: &'a MemoryBlobs,
    fault: Fault,
}

/// Flips one bit of the last literal.
fn flipped(plain: &[u8]) -> Vec<u8> {
    let mut plain = plain.to_vec();
    *plain.last_mut().unwrap() ^= 4;
    plain
}

impl BlobWrite for Faulty<'_> {
    fn put(&self, blob: NewBlob<'_>) -> Result<Put> {
        if self.fault == Fault::Encoder && blob.blob_type == BlobType::PagePatch {
            return self.blobs.put(NewBlob { plain: &flipped(blob.plain), ..blob });
        }
        self.blobs.put(blob)
    }

    fn has(&self, blob_type: BlobType, id: &BlobId) -> Result<bool> {
        self.blobs.has(blob_type, id)
    }

    fn read_back(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Vec<u8>>> {
        let stored = self.blobs.read_back(blob_type, id)?;
        let wrong = self.fault == Fault::Storage(blob_type);
        Ok(if wrong { stored.map(|plain| flipped(&plain)) } else { stored })
    }
}

impl BlobRead for Faulty<'_> {
    fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>> {
        self.blobs.get(blob_type, id)
    }

    fn place(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Place>> {
        self.blobs.place(blob_type, id)
    }
}

fn state() -> Pages {
    Pages { size: 1024, bytes: Seeded::new(5).bytes(1024 * 80) }
}

fn next() -> Pages {
    let mut next = state();
    next.bytes[40_000..40_020].copy_from_slice(&[0xa5; 20]);
    next
}

/// The second night under a fault.
fn second_night(fault: Fault) -> (MemoryBlobs, VersionRecord, Vec<String>) {
    let blobs = MemoryBlobs::default();
    let first = store((&blobs, &blobs), &state(), &[], at(0, None)).unwrap();
    let faulty = Faulty { blobs: &blobs, fault };
    let second = store((&faulty, &faulty), &next(), &[first.record], at(1, None)).unwrap();
    assert!(made(&blobs, &second.record, 1024 * 80).unwrap() == next().bytes);
    let record = record_of(&blobs, &second.record);
    (blobs, record, second.notices)
}

#[test]
fn a_patch_that_is_wrong_gives_way_to_a_new_base() {
    for fault in [Fault::Encoder, Fault::Storage(BlobType::PagePatch)] {
        let (_, record, notices) = second_night(fault);
        assert_eq!(record.layers, []);
        assert!(notices[0].contains("its patch was wrong"), "{notices:?}");
    }
}

#[test]
fn without_a_fault_it_is_a_patch() {
    let (_, record, notices) = second_night(Fault::Storage(BlobType::ManifestNode));
    assert_eq!((record.layers.len(), notices.len()), (1, 0));
}

#[test]
fn a_base_that_does_not_come_back_ends_the_backup() {
    let blobs = MemoryBlobs::default();
    let faulty = Faulty { blobs: &blobs, fault: Fault::Storage(BlobType::Data) };
    let error = store((&faulty, &faulty), &state(), &[], at(0, None)).unwrap_err();
    assert!(error.to_string().contains("is stored as other bytes"), "{error}");
    assert!(blobs.lengths(BlobType::VersionRecord).is_empty());
}

/// What a new version lies on is put again where the session may not rely on it.
#[test]
fn what_may_not_be_relied_upon_is_stored_again() {
    let (old, new) = (MemoryBlobs::default(), MemoryBlobs::default());
    let first = store((&old, &old), &state(), &[], at(0, None)).unwrap();
    let second = store((&old, &new), &next(), &[first.record], at(1, None)).unwrap();
    assert_eq!(record_of(&new, &second.record).layers.len(), 1);
    assert!(made(&new, &second.record, 1024 * 80).unwrap() == next().bytes);
}
