//! What a manifest leads to: all of it, each node once, and damage with the paths that it hits.

use std::collections::{BTreeMap, BTreeSet};

use larder::codec::content::{ChunkRef, Content};
use larder::codec::manifest::{EntryKey, EntryKind};
use larder::id::{BlobId, BlobType};
use larder::repo::error::{Damage, RepoError};
use larder::snapshot::content::write::ContentWriter;
use larder::snapshot::manifest::read::ManifestReader;
use larder::snapshot::reach::{Paths, Reach, Reached, Visitor};
use larder_testkit::memory_blobs::MemoryBlobs;

use super::model::{Model, attachments, built, chunk, file, file_with};

#[derive(Default)]
struct Seen {
    times: BTreeMap<(BlobType, BlobId), usize>,
    unreadable: Vec<(BlobId, Option<EntryKey>, Option<EntryKey>)>,
    stop_after: Option<usize>,
}

impl Visitor for Seen {
    fn reached(&mut self, blob: Reached<'_>) {
        assert_eq!(blob.plain_len.is_some(), blob.blob_type == BlobType::Data);
        *self.times.entry((blob.blob_type, blob.id)).or_default() += 1;
    }

    fn unreadable(&mut self, blob: Reached<'_>, _: &Damage) {
        let (first, until) = match blob.paths {
            Paths::Span { first, until } => (first.cloned(), until.cloned()),
            Paths::Entry(entry) => (Some(entry.key.clone()), None),
        };
        self.unreadable.push((blob.id, first, until));
    }

    fn cancelled(&self) -> bool {
        self.stop_after.is_some_and(|most| self.times.len() > most)
    }
}

impl Seen {
    fn of(&self, blob_type: BlobType) -> BTreeSet<BlobId> {
        self.times.keys().filter(|(of, _)| *of == blob_type).map(|(_, id)| *id).collect()
    }
}

fn big_chunks() -> Vec<ChunkRef> {
    (0..5_000).map(|n| chunk(900_000 + n, 3)).collect()
}

fn with_big_file(blobs: &MemoryBlobs) -> Model {
    let mut writer = ContentWriter::new(blobs);
    for chunk in big_chunks() {
        writer.push(chunk).unwrap();
    }
    let big = file_with("big", writer.len_bytes(), writer.finish().unwrap());
    let mut model = attachments(3_000);
    model.insert(big.key.clone(), big);
    model
}

fn chunks_of(model: &Model) -> BTreeSet<BlobId> {
    let inline = model.values().flat_map(|entry| match &entry.kind {
        EntryKind::File(file) => match &file.content {
            Content::Inline(chunks) => chunks.clone(),
            Content::List { .. } => big_chunks(),
            Content::Version { .. } => unreachable!("these tests make none"),
        },
        _ => Vec::new(),
    });
    inline.map(|chunk| chunk.id).collect()
}

#[test]
fn everything_is_reached_and_every_node_once() {
    let blobs = MemoryBlobs::default();
    let mut model = with_big_file(&blobs);
    let one = built(&blobs, &model).root;
    let mut reach = Reach::new();
    let mut seen = Seen::default();
    reach.walk(&blobs, &one, &mut seen).unwrap();
    for blob_type in [BlobType::ManifestNode, BlobType::ContentList] {
        let kept = blobs.lengths(blob_type).into_iter().map(|(id, _)| id).collect();
        assert_eq!(seen.of(blob_type), kept);
    }
    assert_eq!(seen.of(BlobType::Data), chunks_of(&model));
    assert_eq!(reach.visited() as u64, blobs.reads());

    // A second snapshot costs what it does not share.
    let changed = file("later", 5, 1);
    model.insert(changed.key.clone(), changed);
    let other = built(&blobs, &model).root;
    let reads = blobs.reads();
    reach.walk(&blobs, &other, &mut seen).unwrap();
    reach.walk(&blobs, &one, &mut seen).unwrap();
    assert!(blobs.reads() - reads <= 4, "{}", blobs.reads() - reads);
    assert_eq!(seen.of(BlobType::Data), chunks_of(&model));
    let nodes = seen.times.iter().filter(|((of, _), _)| *of != BlobType::Data);
    assert!(nodes.into_iter().all(|(_, times)| *times == 1));
    assert!(seen.unreadable.is_empty());
}

#[test]
fn a_lost_leaf_is_reported_with_its_paths_and_the_rest_is_reached() {
    let blobs = MemoryBlobs::default();
    let model = with_big_file(&blobs);
    let root = built(&blobs, &model).root;
    let leaves: Vec<_> =
        ManifestReader::new(&blobs, root).leaves().unwrap().map(Result::unwrap).collect();
    let (lost, next) = (leaves[3].child(), leaves[4].child());
    assert!(blobs.lose(BlobType::ManifestNode, lost.id));
    let mut seen = Seen::default();
    Reach::new().walk(&blobs, &root, &mut seen).unwrap();
    let expected = (lost.id, Some(lost.first.clone()), Some(next.first.clone()));
    assert_eq!(seen.unreadable, [expected]);
    let mut rest = model;
    rest.retain(|key, _| *key < lost.first || *key >= next.first);
    assert_eq!(seen.of(BlobType::Data), chunks_of(&rest));
}

#[test]
fn a_lost_list_is_reported_with_its_file() {
    let blobs = MemoryBlobs::default();
    let root = built(&blobs, &with_big_file(&blobs)).root;
    let (lost, _) = blobs.lengths(BlobType::ContentList)[0];
    assert!(blobs.lose(BlobType::ContentList, lost));
    let mut seen = Seen::default();
    Reach::new().walk(&blobs, &root, &mut seen).unwrap();
    assert_eq!(seen.unreadable, [(lost, Some(super::model::key("big")), None)]);
}

#[test]
fn a_lost_root_is_reported_and_a_walk_can_be_stopped() {
    let blobs = MemoryBlobs::default();
    let root = built(&blobs, &attachments(2_000)).root;
    let mut seen = Seen { stop_after: Some(5), ..Seen::default() };
    let stopped = Reach::new().walk(&blobs, &root, &mut seen);
    assert!(matches!(stopped, Err(RepoError::Cancelled)));
    assert!(blobs.lose(BlobType::ManifestNode, root));
    let mut seen = Seen::default();
    Reach::new().walk(&blobs, &root, &mut seen).unwrap();
    assert_eq!(seen.unreadable, [(root, None, None)]);
}
