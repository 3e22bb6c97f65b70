//! What is stored is proved before it is named: a wrong patch never becomes a version.

use larder::codec::Durable;
use larder::codec::index::Place;
use larder::codec::pack::PackClass;
use larder::codec::version::VersionRecord;
use larder::id::{BlobId, BlobType};
use larder::repo::blobs::{BlobRead, BlobWrite, Compression, NewBlob, Put};
use larder::repo::error::{Damage, RepoError, Result};
use larder::snapshot::version::store::StoredVersion;
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
    /// The storage gives nothing back.
    Unreadable(BlobType),
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
        if self.fault == Fault::Unreadable(blob_type) {
            return Err(RepoError::Damaged(Damage::Unlisted { blob_type, id: *id }));
        }
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
fn second_night(fault: Fault) -> (VersionRecord, StoredVersion) {
    let blobs = MemoryBlobs::default();
    let first = store((&blobs, &blobs), &state(), &[], at(0, None)).unwrap();
    let faulty = Faulty { blobs: &blobs, fault };
    let second = store((&faulty, &faulty), &next(), &[first.record], at(1, None)).unwrap();
    assert!(made(&blobs, &second.record, 1024 * 80).unwrap() == next().bytes);
    let record = record_of(&blobs, &second.record);
    (record, second)
}

#[test]
fn a_patch_that_is_wrong_gives_way_to_a_new_base() {
    for fault in [Fault::Encoder, Fault::Storage(BlobType::PagePatch)] {
        let (record, stored) = second_night(fault);
        assert_eq!((record.layers, stored.damage), (vec![], vec![]));
        assert!(stored.notices[0].contains("its patch was wrong"), "{:?}", stored.notices);
    }
}

#[test]
fn without_a_fault_it_is_a_patch() {
    let (record, stored) = second_night(Fault::Storage(BlobType::ManifestNode));
    assert_eq!((record.layers.len(), stored.notices.len()), (1, 0));
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

/// A disk that is dying is damage, whatever can be stored instead.
#[test]
fn a_patch_that_cannot_be_read_back_is_damage() {
    let (record, stored) = second_night(Fault::Unreadable(BlobType::PagePatch));
    assert_eq!(record.layers, []);
    assert!(stored.notices[0].contains("its patch cannot be read"), "{:?}", stored.notices);
    let of = stored.damage.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(of.len() == 1 && stored.notices[0].contains(&of[0]), "{of:?}");
}

#[test]
fn after_three_versions_without_their_root_a_new_base_is_made() {
    let blobs = MemoryBlobs::default();
    let first = store((&blobs, &blobs), &state(), &[], at(0, None)).unwrap();
    let of_root = |number: u8| {
        let record = VersionRecord { root: [number; 32], ..record_of(&blobs, &first.record) };
        let plain = record.encode().unwrap();
        let blob = NewBlob {
            blob_type: BlobType::VersionRecord,
            class: PackClass::Metadata,
            compression: Compression::Always,
            plain: &plain,
        };
        blobs.put(blob).unwrap().id
    };
    for (wrong, depth) in [(2, 1), (3, 0), (5, 0)] {
        let mut candidates: Vec<_> = (0..wrong).map(of_root).collect();
        candidates.push(first.record);
        let stored = store((&blobs, &blobs), &next(), &candidates, at(1, None)).unwrap();
        assert_eq!(stored.damage.len(), usize::from(wrong.min(3)), "{:?}", stored.damage);
        assert_eq!(record_of(&blobs, &stored.record).layers.len(), depth, "{wrong}");
        assert!(made(&blobs, &stored.record, 1024 * 80).unwrap() == next().bytes);
    }
}
