//! Contents of files: what is written is read, in whole and in part; hostile lists are damage.

use larder::codec::Durable;
use larder::codec::content::{ChunkRef, Content, ContentList};
use larder::id::{BlobId, BlobType};
use larder::repo::error::{Damage, RepoError};
use larder::snapshot::content::read::{chunks, read_range};
use larder::snapshot::content::write::ContentWriter;
use larder_testkit::memory_blobs::MemoryBlobs;
use proptest::prelude::*;

use super::model::{chunk, put};

fn written(blobs: &MemoryBlobs, refs: &[ChunkRef]) -> Content {
    let mut writer = ContentWriter::new(blobs);
    for chunk in refs {
        writer.push(*chunk).unwrap();
    }
    writer.finish().unwrap()
}

fn read(blobs: &MemoryBlobs, content: &Content) -> Vec<ChunkRef> {
    let mut expected = 0;
    let placed = chunks(content, blobs).map(Result::unwrap);
    placed
        .map(|placed| {
            assert_eq!(placed.offset, expected);
            expected += placed.chunk.len;
            placed.chunk
        })
        .collect()
}

fn many(count: u64) -> Vec<ChunkRef> {
    (0..count).map(|n| chunk(n, 1 + n % 7)).collect()
}

/// Stored chunks and the bytes that they make.
fn stored(blobs: &MemoryBlobs, lens: &[usize]) -> (Vec<ChunkRef>, Vec<u8>) {
    let mut bytes = Vec::new();
    let refs = lens.iter().enumerate().map(|(n, len)| {
        let plain: Vec<u8> =
            (0..*len).map(|at| u8::try_from((n * 31 + at) % 251).unwrap()).collect();
        bytes.extend_from_slice(&plain);
        ChunkRef { id: put(blobs, BlobType::Data, &plain), len: *len as u64 }
    });
    (refs.collect(), bytes)
}

#[test]
fn small_contents_stay_inline_and_empty_chunks_leave_no_trace() {
    let blobs = MemoryBlobs::default();
    assert_eq!(written(&blobs, &[]), Content::Inline(vec![]));
    assert_eq!(written(&blobs, &[chunk(1, 0)]), Content::Inline(vec![]));
    assert_eq!(written(&blobs, &many(64)), Content::Inline(many(64)));
    assert_eq!(blobs.stored(), 0);
    let content = written(&blobs, &many(65));
    assert!(matches!(content, Content::List { .. }));
    assert_eq!(blobs.stored(), 1);
    assert_eq!(read(&blobs, &content), many(65));
}

#[test]
fn a_huge_file_makes_a_tree_of_lists_that_an_append_leaves_alone() {
    let blobs = MemoryBlobs::default();
    let refs = many(300_000);
    let content = written(&blobs, &refs);
    assert_eq!(read(&blobs, &content), refs);
    let lists = blobs.lengths(BlobType::ContentList);
    assert!(lists.iter().all(|(_, len)| *len < 96 * 1024));
    assert!((200..900).contains(&lists.len()), "{}", lists.len());

    let stored = blobs.stored();
    let mut longer = refs.clone();
    longer.push(chunk(5_000_000, 1));
    longer.remove(150_000);
    let content = written(&blobs, &longer);
    assert!(blobs.stored() - stored <= 8, "{}", blobs.stored() - stored);
    assert_eq!(written(&MemoryBlobs::default(), &longer), content);
}

#[test]
fn the_same_chunk_for_ever_makes_lists_too() {
    let blobs = MemoryBlobs::default();
    for id in [[0; 32], [0xff; 32]] {
        let refs = vec![ChunkRef { id: BlobId::from_bytes(id), len: 4096 }; 300_000];
        let content = written(&blobs, &refs);
        assert_eq!(read(&blobs, &content), refs);
    }
}

#[test]
fn a_part_near_the_end_of_a_huge_file_is_found_in_few_reads() {
    let blobs = MemoryBlobs::default();
    let (tail, bytes) = stored(&blobs, &[1000, 2000, 3000]);
    let mut refs = many(100_000);
    let before: u64 = refs.iter().map(|chunk| chunk.len).sum();
    refs.extend(tail);
    let content = written(&blobs, &refs);
    let reads = blobs.reads();
    let part: Vec<u8> = read_range(&content, before + 500..before + 2500, &blobs)
        .flat_map(Result::unwrap)
        .collect();
    assert_eq!(part, bytes[500..2500]);
    // Two lists and the two chunks; one more list where the part lies across a boundary.
    assert!(blobs.reads() - reads <= 5, "{}", blobs.reads() - reads);
}

#[test]
fn a_chunk_of_another_length_is_damage() {
    let blobs = MemoryBlobs::default();
    let (mut refs, _) = stored(&blobs, &[10]);
    refs[0].len = 11;
    let content = Content::Inline(refs.clone());
    let mut parts = read_range(&content, 0..5, &blobs);
    let error = parts.next().unwrap().unwrap_err();
    assert!(names(&error, refs[0].id), "{error}");
    assert!(parts.next().is_none());
}

#[test]
fn content_beyond_what_a_file_can_have_is_refused() {
    let blobs = MemoryBlobs::default();
    let mut writer = ContentWriter::new(&blobs);
    writer.push(chunk(1, u64::MAX)).unwrap();
    assert!(writer.push(chunk(2, 1)).is_err());
    assert_eq!(writer.len_bytes(), u64::MAX);
}

fn names(error: &RepoError, id: BlobId) -> bool {
    let id = id.to_string();
    matches!(error, RepoError::Damaged(Damage::Object { object, .. }) if object.contains(&id))
}

fn list(blobs: &MemoryBlobs, level: u8, items: Vec<ChunkRef>) -> BlobId {
    let plain = ContentList { level, items, extensions: Vec::new() }.encode().unwrap();
    put(blobs, BlobType::ContentList, &plain)
}

/// `bad` is what a reader must name.
fn assert_damaged(blobs: &MemoryBlobs, root: BlobId, len: u64, bad: BlobId) {
    let content = Content::List { root, len };
    let error = chunks(&content, blobs).find_map(Result::err).expect("all chunks were read");
    assert!(names(&error, bad), "{error}");
}

#[test]
fn hostile_lists_are_damage() {
    let blobs = MemoryBlobs::default();
    let sound = list(&blobs, 0, vec![chunk(1, 5), chunk(2, 5)]);
    let item = |id, len| ChunkRef { id, len };
    assert_damaged(&blobs, sound, 11, sound);
    let too_short = list(&blobs, 1, vec![item(sound, 9)]);
    assert_damaged(&blobs, too_short, 9, sound);
    let gap = list(&blobs, 2, vec![item(sound, 10)]);
    assert_damaged(&blobs, gap, 10, sound);
    let low = list(&blobs, 1, vec![item(sound, 10)]);
    let same = list(&blobs, 1, vec![item(low, 10)]);
    assert_damaged(&blobs, same, 10, low);
    let no_list = put(&blobs, BlobType::ContentList, b"no list");
    assert_damaged(&blobs, no_list, 10, no_list);
    let lost = Content::List { root: chunk(7, 1).id, len: 1 };
    let error = chunks(&lost, &blobs).next().unwrap().unwrap_err();
    assert!(matches!(error.damage(), Some(Damage::Unlisted { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_is_the_part_of_the_whole(
        lens in prop::collection::vec(1..50_usize, 0..150),
        start in 0..5_000_u64,
        len in 0..3_000_u64,
    ) {
        let blobs = MemoryBlobs::default();
        let (refs, bytes) = stored(&blobs, &lens);
        let content = written(&blobs, &refs);
        prop_assert_eq!(read(&blobs, &content), refs);
        let part: Vec<u8> =
            read_range(&content, start..start + len, &blobs).flat_map(Result::unwrap).collect();
        let end = bytes.len().min(usize::try_from(start + len).unwrap());
        let start = end.min(usize::try_from(start).unwrap());
        prop_assert_eq!(&part[..], &bytes[start..end]);
    }
}
