//! How large nodes are, how many one change rewrites, how many a question reads.

use std::collections::HashSet;

use larder::codec::Durable;
use larder::codec::manifest::{EntryKey, EntryKind, FileTime, Node, NodeBody, Xattr};
use larder::id::{BlobId, BlobType};
use larder::repo::blobs::BlobRead;
use larder::snapshot::error::SnapshotError;
use larder::snapshot::manifest::MAX_ENTRY_BYTES;
use larder::snapshot::manifest::build::ManifestBuilder;
use larder::snapshot::manifest::diff::{Change, Changes, Differences};
use larder::snapshot::manifest::read::ManifestReader;
use larder_testkit::memory_blobs::MemoryBlobs;

use super::model::{Model, all_entries, attachments, built, dir, file, key, model, rebuilt};

const KIB: usize = 1024;

fn node(blobs: &MemoryBlobs, id: &BlobId) -> NodeBody {
    Node::decode(&blobs.get(BlobType::ManifestNode, id).unwrap()).unwrap().body
}

fn depth(blobs: &MemoryBlobs, root: &BlobId) -> u64 {
    match node(blobs, root) {
        NodeBody::Leaf(_) => 1,
        NodeBody::Inner { level, .. } => u64::from(level) + 1,
    }
}

/// The path of some file in the middle.
fn some_file(model: &Model) -> EntryKey {
    let files = model.values().filter(|entry| matches!(entry.kind, EntryKind::File(_)));
    files.clone().nth(files.count() / 2).unwrap().key.clone()
}

fn reads_of<T>(blobs: &MemoryBlobs, work: impl FnOnce() -> T) -> (T, u64) {
    let before = blobs.reads();
    let done = work();
    (done, blobs.reads() - before)
}

#[test]
fn twenty_thousand_directories_make_nodes_of_a_good_size() {
    let blobs = MemoryBlobs::default();
    let model = attachments(20_000);
    let built = built(&blobs, &model);
    let sizes: Vec<usize> =
        blobs.lengths(BlobType::ManifestNode).into_iter().map(|(_, len)| len).collect();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((16 * KIB..=32 * KIB).contains(&mean), "{mean}");
    assert!(sizes.iter().all(|len| *len < 96 * KIB), "{:?}", sizes.iter().max());
    assert_eq!(built.entries, model.len() as u64);
    assert_eq!(depth(&blobs, &built.root), 3);
}

#[test]
fn a_lookup_reads_one_node_a_level() {
    let blobs = MemoryBlobs::default();
    let model = attachments(20_000);
    let root = built(&blobs, &model).root;
    let reader = ManifestReader::new(&blobs, root);
    let wanted = some_file(&model);
    let (found, reads) = reads_of(&blobs, || reader.lookup(&wanted).unwrap());
    assert_eq!(found.as_ref(), model.get(&wanted));
    assert_eq!(reads, depth(&blobs, &root));
    let (found, reads) = reads_of(&blobs, || reader.lookup(&key("attachments/zz")).unwrap());
    assert_eq!((found, reads), (None, depth(&blobs, &root)));
}

#[test]
fn a_listing_passes_what_lies_deeper_without_reading_it() {
    let blobs = MemoryBlobs::default();
    let model = attachments(20_000);
    let root = built(&blobs, &model).root;
    let reader = ManifestReader::new(&blobs, root);
    let all = blobs.lengths(BlobType::ManifestNode).len() as u64;
    let (top, reads) = reads_of(&blobs, || reader.children_of(key("")).unwrap().count());
    assert_eq!(top, 1);
    assert!(reads <= 2 * depth(&blobs, &root), "{reads}");
    let (dirs, reads) =
        reads_of(&blobs, || reader.children_of(key("attachments")).unwrap().count());
    assert_eq!(dirs, 256);
    assert!(reads < all, "{reads} of {all}");
}

#[test]
fn one_changed_entry_rewrites_one_node_a_level_and_shares_the_rest() {
    let blobs = MemoryBlobs::default();
    let mut model = attachments(20_000);
    let before = built(&blobs, &model).root;
    let changed = some_file(&model);
    let longer = file(std::str::from_utf8(&changed.path).unwrap(), 2, 9);
    model.insert(changed.clone(), longer);

    let stored = blobs.stored();
    let (after, used) = rebuilt(&blobs, &before, &model);
    assert_eq!(blobs.stored() - stored, depth(&blobs, &before));
    let leaves = ManifestReader::new(&blobs, before).leaves().unwrap().count();
    assert!(used + 2 >= leaves, "{used} of {leaves}: all but the changed leaf and the last one");

    let (old, new) = (nodes_of(&blobs, &before), nodes_of(&blobs, &after.root));
    assert_eq!(new.difference(&old).count() as u64, depth(&blobs, &before));
    assert_eq!(built(&MemoryBlobs::default(), &model), after);

    let compare = || Changes::between(&blobs, &before, &after.root).unwrap().map(Result::unwrap);
    let (found, reads) = reads_of(&blobs, || compare().collect::<Vec<_>>());
    assert!(matches!(&found[..], [Change::Changed { after, .. }] if after.key == changed));
    assert_eq!(reads, 2 * depth(&blobs, &before));
}

fn nodes_of(blobs: &MemoryBlobs, root: &BlobId) -> HashSet<BlobId> {
    let mut found = HashSet::from([*root]);
    if let NodeBody::Inner { children, .. } = node(blobs, root) {
        for child in children {
            found.extend(nodes_of(blobs, &child.id));
        }
    }
    found
}

#[test]
fn an_unchanged_manifest_is_rebuilt_without_storing_anything() {
    let blobs = MemoryBlobs::default();
    let model = attachments(5_000);
    let before = built(&blobs, &model);
    let stored = blobs.stored();
    let (after, used) = rebuilt(&blobs, &before.root, &model);
    assert_eq!((after, blobs.stored()), (before, stored));
    assert!(used > 50, "{used}");
    assert_eq!(Changes::between(&blobs, &before.root, &after.root).unwrap().count(), 0);
}

#[test]
fn nothing_is_a_manifest_too() {
    let blobs = MemoryBlobs::default();
    let built = built(&blobs, &Model::new());
    assert_eq!((built.entries, built.bytes), (0, 0));
    assert_eq!(all_entries(&blobs, built.root), []);
    let reader = ManifestReader::new(&blobs, built.root);
    assert_eq!(reader.leaves().unwrap().count(), 0);
    assert_eq!(reader.lookup(&key("")).unwrap(), None);
    let one = self::built(&blobs, &model([dir("")])).root;
    let changes: Vec<_> =
        Changes::between(&blobs, &built.root, &one).unwrap().map(Result::unwrap).collect();
    assert_eq!(changes, [Change::Added(Box::new(dir("")))]);
}

#[test]
fn the_largest_entries_fit_into_nodes_and_larger_ones_are_refused() {
    let blobs = MemoryBlobs::default();
    let mut builder = ManifestBuilder::new(&blobs);
    let with_value = |n: usize, len: usize| {
        let mut entry = file(&format!("{n:04}"), 1, 1);
        let value = |name: &str| Xattr { name: name.into(), value: vec![7; len / 2].into() };
        entry.xattrs = vec![value("user.a"), value("user.b")];
        entry
    };
    let most = usize::try_from(MAX_ENTRY_BYTES).unwrap() - 500;
    for n in 0..200 {
        // Small ones between the large: the large one may come last into a full node.
        let len = if n % 10 == 9 { most } else { n * 97 % (20 * KIB) };
        builder.push(with_value(n, len)).unwrap();
    }
    let refused = builder.push(with_value(200, most + 500)).unwrap_err();
    assert!(
        matches!(refused, SnapshotError::EntryTooLarge { key, .. } if key == self::key("0200"))
    );
    builder.push(with_value(201, 1)).unwrap();
    assert_eq!(builder.finish().unwrap().entries, 201);
}

#[test]
fn disorder_and_contradiction_are_refused_and_the_rest_goes_on() {
    let blobs = MemoryBlobs::default();
    let mut builder = ManifestBuilder::new(&blobs);
    builder.push(dir("b")).unwrap();
    for bad in [dir("b"), dir("a")] {
        assert!(matches!(builder.push(bad), Err(SnapshotError::Disorder { .. })));
    }
    let mut short = file("c", 1, 2);
    if let EntryKind::File(file) = &mut short.kind {
        file.size += 1;
    }
    assert!(matches!(builder.push(short), Err(SnapshotError::BadEntry { .. })));
    builder.push(dir("b/a")).unwrap();
    builder.push(dir("b!")).unwrap();
    assert_eq!(builder.finish().unwrap().entries, 3);
}

#[test]
fn a_leaf_that_comes_too_early_is_refused() {
    let blobs = MemoryBlobs::default();
    let built = built(&blobs, &attachments(100));
    let mut builder = ManifestBuilder::new(&blobs);
    let mut leaves = ManifestReader::new(&blobs, built.root).leaves().unwrap();
    let first = leaves.next().unwrap().unwrap();
    assert!(builder.push_leaf(first.clone()).unwrap());
    assert!(matches!(builder.push_leaf(first), Err(SnapshotError::Disorder { .. })));
}

#[test]
fn differences_are_told_apart() {
    let before = file("a", 1, 1);
    let mut touched = before.clone();
    touched.ctime = FileTime { secs: 1, nanos: 0 };
    touched.inode = 99;
    assert!(!Differences::between(&before, &touched).any());
    touched.mode = 0o600;
    let metadata = Differences { metadata: true, ..Differences::default() };
    assert_eq!(Differences::between(&before, &touched), metadata);
    let content = Differences { content: true, ..Differences::default() };
    assert_eq!(Differences::between(&before, &file("a", 2, 1)), content);
    let kind = Differences { kind: true, ..Differences::default() };
    assert_eq!(Differences::between(&before, &dir("a")), kind);
}
