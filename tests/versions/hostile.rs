//! Version records and segments that break the rules of reading: each is damage, and named.

use larder::codec::Durable;
use larder::codec::pack::PackClass;
use larder::codec::version::{Layer, SegmentRef, VersionRecord};
use larder::delta::encode::{PageChange, encode_segment};
use larder::delta::shape::PageShape;
use larder::id::{BlobId, BlobType};
use larder::repo::blobs::{BlobWrite, Compression, NewBlob};
use larder::snapshot::version::page::PageReader;
use larder_testkit::memory_blobs::MemoryBlobs;
use larder_testkit::seed::Seeded;

use super::{Pages, at, damage_of, made, record_of, store};

const SIZE: u32 = 512;

/// A base of eight pages, and whatever is said to lie on it.
struct Yard {
    blobs: MemoryBlobs,
    base: VersionRecord,
    pages: Pages,
}

impl Yard {
    fn new() -> Self {
        let blobs = MemoryBlobs::default();
        let pages = Pages { size: SIZE, bytes: Seeded::new(3).bytes(8 * SIZE as usize) };
        let stored = store((&blobs, &blobs), &pages, &[], at(0, None)).unwrap();
        let base = record_of(&blobs, &stored.record);
        Self { blobs, base, pages }
    }

    fn put(&self, blob_type: BlobType, plain: &[u8]) -> BlobId {
        let (class, compression) = (PackClass::Metadata, Compression::Always);
        self.blobs.put(NewBlob { blob_type, class, compression, plain }).unwrap().id
    }

    /// A segment that turns each of these pages into zeros but for one byte, from its own old image.
    fn segment(&self, numbers: &[u32]) -> SegmentRef {
        let mut new = vec![0; SIZE as usize];
        new[9] = 9;
        let change = |number: &u32| {
            let old = (*number <= 8).then(|| self.pages.page(*number));
            PageChange { number: *number, old, new: &new }
        };
        let pages: Vec<_> = numbers.iter().map(change).collect();
        let plain = encode_segment(&pages, PageShape::new(SIZE, 0).unwrap()).unwrap();
        let id = self.put(BlobType::PagePatch, &plain);
        SegmentRef { id, pages: u32::try_from(numbers.len()).unwrap() }
    }

    fn version(&self, layers: Vec<Layer>) -> BlobId {
        let record = VersionRecord { layers, ..self.base.clone() };
        self.put(BlobType::VersionRecord, &record.encode().unwrap())
    }

    /// What both ways of reading say of it. Page 1 is only read where the layers are in its way.
    fn refused(&self, layers: Vec<Layer>, what: &str) {
        let len = u64::from(layers.last().unwrap().page_count) * u64::from(SIZE);
        let version = self.version(layers);
        let damage = damage_of(made(&self.blobs, &version, len));
        assert!(damage.contains(what), "{damage}");
    }

    fn refused_by_page(&self, layers: Vec<Layer>, number: u32, what: &str) {
        self.refused(layers.clone(), what);
        let version = self.version(layers);
        let reader = || PageReader::open(&self.blobs, &version).unwrap();
        for mut reader in [reader(), reader().keeping(0)] {
            let error = reader.page(number).unwrap_err();
            assert!(error.damage().is_some() && error.to_string().contains(what), "{error}");
        }
    }
}

fn layer(page_count: u32, segments: Vec<SegmentRef>) -> Layer {
    Layer { page_count, segments, time_ns: 0, zone: "UTC".into() }
}

#[test]
fn a_sound_layer_is_only_wanting_in_its_root() {
    let yard = Yard::new();
    yard.refused(vec![layer(8, vec![yard.segment(&[2, 3])])], "does not have its root");
    yard.refused(vec![layer(10, vec![yard.segment(&[2, 9, 10])])], "does not have its root");
}

#[test]
fn a_page_in_two_segments_is_refused() {
    let yard = Yard::new();
    let layers = vec![layer(8, vec![yard.segment(&[2, 3]), yard.segment(&[3, 4])])];
    yard.refused_by_page(layers, 4, "page 3, which is in another segment too");
    let twice = yard.segment(&[2, 3]);
    yard.refused_by_page(vec![layer(8, vec![twice, twice])], 2, "in another segment too");
}

#[test]
fn a_segment_of_other_pages_than_the_record_says_is_refused() {
    let yard = Yard::new();
    for said in [1, 3] {
        let segment = SegmentRef { pages: said, ..yard.segment(&[2, 3]) };
        yard.refused_by_page(vec![layer(8, vec![segment])], 2, "2 pages, not");
    }
}

#[test]
fn a_page_beyond_the_database_is_refused() {
    let yard = Yard::new();
    let layers = vec![layer(8, vec![yard.segment(&[2, 9])])];
    yard.refused_by_page(layers, 2, "page 9 of a database of 8 pages");
}

#[test]
fn a_layer_without_its_new_pages_is_refused() {
    let yard = Yard::new();
    let layers = vec![layer(10, vec![yard.segment(&[1, 2, 10])])];
    yard.refused_by_page(layers, 9, "lacks pages that are beyond what is below it");
}

/// A page that was cut away has no old image, though the file below still has its bytes.
#[test]
fn an_old_image_beyond_what_is_below_is_refused() {
    let yard = Yard::new();
    let mut near = yard.pages.page(5).to_vec();
    near[100] ^= 1;
    let change = [5, 6, 7, 8].map(|number| {
        let old = (number == 5).then(|| yard.pages.page(5));
        PageChange { number, old, new: &near }
    });
    let plain = encode_segment(&change, PageShape::new(SIZE, 0).unwrap()).unwrap();
    assert!(plain.len() < 100, "the others are made from page 5: {}", plain.len());
    let segment = SegmentRef { id: yard.put(BlobType::PagePatch, &plain), pages: 4 };
    let layers = vec![layer(4, vec![]), layer(8, vec![segment])];
    yard.refused_by_page(layers, 6, "old image of page 5, which does not exist");
}

#[test]
fn a_segment_of_nonsense_or_of_other_pages_is_refused() {
    let yard = Yard::new();
    for plain in [&b""[..], b"x", &[0; 600], &Seeded::new(4).bytes(3000)] {
        let segment = SegmentRef { id: yard.put(BlobType::PagePatch, plain), pages: 1 };
        yard.refused_by_page(vec![layer(8, vec![segment])], 1, "page patch");
    }
    let big = vec![7; 4096];
    let change = [PageChange { number: 1, old: None, new: &big }];
    let plain = encode_segment(&change, PageShape::new(4096, 0).unwrap()).unwrap();
    let segment = SegmentRef { id: yard.put(BlobType::PagePatch, &plain), pages: 1 };
    yard.refused_by_page(vec![layer(8, vec![segment])], 1, "page patch");
}

#[test]
fn a_base_of_another_length_is_refused() {
    let yard = Yard::new();
    let mut record = yard.base.clone();
    record.base.page_count = 9;
    let version = yard.put(BlobType::VersionRecord, &record.encode().unwrap());
    let damage = damage_of(made(&yard.blobs, &version, 9 * u64::from(SIZE)));
    assert!(damage.contains("content list"), "{damage}");
    let page = PageReader::open(&yard.blobs, &version).unwrap().page(9);
    assert!(page.unwrap_err().damage().is_some());
}

#[test]
fn a_length_that_is_not_the_files_is_refused_before_anything_is_read() {
    let yard = Yard::new();
    let version = yard.version(vec![]);
    let reads = yard.blobs.reads();
    let damage = damage_of(made(&yard.blobs, &version, 4095));
    assert!(damage.contains("of 4096 bytes where a file has 4095"), "{damage}");
    assert_eq!(yard.blobs.reads(), reads + 1);
}

#[test]
fn a_lost_part_is_named() {
    let yard = Yard::new();
    let segment = yard.segment(&[2]);
    let version = yard.version(vec![layer(8, vec![segment])]);
    yard.blobs.lose(BlobType::PagePatch, segment.id);
    assert!(damage_of(made(&yard.blobs, &version, 4096)).contains(&segment.id.to_string()));
    let (chunk, _) = yard.blobs.lengths(BlobType::Data)[0];
    yard.blobs.lose(BlobType::Data, chunk);
    assert!(damage_of(made(&yard.blobs, &version, 4096)).contains(&chunk.to_string()));
}
