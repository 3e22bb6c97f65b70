//! Nodes that no writer makes: each is damage that names the node, and nothing panics.

use larder::codec::Durable;
use larder::codec::content::Content;
use larder::codec::manifest::{Child, Entry, EntryKey, EntryKind, Extent, Node, NodeBody};
use larder::id::{BlobId, BlobType};
use larder::repo::error::{Damage, RepoError};
use larder::snapshot::manifest::diff::Changes;
use larder::snapshot::manifest::read::ManifestReader;
use larder_testkit::memory_blobs::MemoryBlobs;

use super::model::{all_entries, attachments, built, chunk, dir, file, file_with, key, put};

/// A node, unless the codec itself refuses to write it.
fn node(blobs: &MemoryBlobs, body: NodeBody) -> Option<BlobId> {
    let plain = Node { body, extensions: Vec::new() }.encode().ok()?;
    Some(put(blobs, BlobType::ManifestNode, &plain))
}

fn leaf(blobs: &MemoryBlobs, entries: &[Entry]) -> Option<BlobId> {
    node(blobs, NodeBody::Leaf(entries.to_vec()))
}

fn child(first: &str, id: BlobId, entries: u64, bytes: u64) -> Child {
    Child { first: key(first), id, entries, bytes }
}

fn inner(blobs: &MemoryBlobs, level: u8, children: Vec<Child>) -> Option<BlobId> {
    node(blobs, NodeBody::Inner { level, children })
}

fn names(error: &RepoError, id: BlobId) -> bool {
    let id = id.to_string();
    matches!(error, RepoError::Damaged(Damage::Object { object, .. }) if object.contains(&id))
}

/// Reading everything, comparing with something else and looking `at` up each name the node as damaged.
fn assert_damaged(blobs: &MemoryBlobs, root: Option<BlobId>, bad: Option<BlobId>, at: &str) {
    let (Some(root), Some(bad)) = (root, bad) else { return };
    let reader = ManifestReader::new(blobs, root);
    let all = reader.entries().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let error = all.expect_err("all entries were read");
    assert!(names(&error, bad), "{error}");
    let error = reader.lookup(&key(at)).expect_err("an entry was found");
    assert!(names(&error, bad), "{error}");
    let empty = node(blobs, NodeBody::Leaf(Vec::new())).unwrap();
    let changes = Changes::between(blobs, &root, &empty);
    let error = changes.and_then(Iterator::collect::<Result<Vec<_>, _>>).expect_err("compared");
    assert!(names(&error, bad), "{error}");
}

/// A sound manifest of two leaves, `a b` and `m n`, whose second child was tampered with.
fn with_second(
    blobs: &MemoryBlobs,
    tamper: impl FnOnce(&mut Child),
) -> (Option<BlobId>, Option<BlobId>) {
    let one = leaf(blobs, &[dir("a"), dir("b")]).unwrap();
    let two = leaf(blobs, &[dir("m"), file("n", 1, 1)]).unwrap();
    let mut second = child("m", two, 2, 11);
    tamper(&mut second);
    let bad = second.id;
    (inner(blobs, 1, vec![child("a", one, 2, 0), second]), Some(bad))
}

#[test]
fn the_untampered_manifest_is_sound() {
    let blobs = MemoryBlobs::default();
    let (root, _) = with_second(&blobs, |_| {});
    assert_eq!(all_entries(&blobs, root.unwrap()).len(), 4);
}

#[test]
fn a_parent_that_promises_something_else_is_noticed() {
    let blobs = MemoryBlobs::default();
    for tamper in [
        |child: &mut Child| child.first = key("l"),
        |child: &mut Child| child.entries = 3,
        |child: &mut Child| child.bytes = 12,
    ] {
        let (root, bad) = with_second(&blobs, tamper);
        assert_damaged(&blobs, root, bad, "n");
    }
}

#[test]
fn a_node_that_reaches_into_the_next_one_is_noticed() {
    let blobs = MemoryBlobs::default();
    let one = leaf(&blobs, &[dir("a"), dir("m")]);
    let two = leaf(&blobs, &[dir("m")]).unwrap();
    let children = vec![child("a", one.unwrap(), 2, 0), child("m", two, 1, 0)];
    assert_damaged(&blobs, inner(&blobs, 1, children), one, "b");
}

#[test]
fn a_deep_node_that_reaches_past_its_grandparents_bound_is_noticed() {
    let blobs = MemoryBlobs::default();
    let one = leaf(&blobs, &[dir("a"), dir("z")]);
    let two = leaf(&blobs, &[dir("m")]).unwrap();
    let left = inner(&blobs, 1, vec![child("a", one.unwrap(), 2, 0)]).unwrap();
    let right = inner(&blobs, 1, vec![child("m", two, 1, 0)]).unwrap();
    let root = inner(&blobs, 2, vec![child("a", left, 2, 0), child("m", right, 1, 0)]);
    assert_damaged(&blobs, root, one, "b");
}

#[test]
fn disorder_within_a_node_is_noticed() {
    let blobs = MemoryBlobs::default();
    for entries in [[dir("b"), dir("a")], [dir("a"), dir("a")], [dir("a!"), dir("a/x")]] {
        let root = leaf(&blobs, &entries);
        assert_damaged(&blobs, root, root, "a");
    }
    let one = leaf(&blobs, &[dir("a")]).unwrap();
    let twice = inner(&blobs, 1, vec![child("a", one, 1, 0), child("a", one, 1, 0)]);
    assert_damaged(&blobs, twice, twice, "a");
}

#[test]
fn levels_that_do_not_descend_are_noticed() {
    let blobs = MemoryBlobs::default();
    let one = leaf(&blobs, &[dir("a")]);
    for level in [0, 33, 255] {
        let root = inner(&blobs, level, vec![child("a", one.unwrap(), 1, 0)]);
        assert_damaged(&blobs, root, root, "a");
    }
    let gap = inner(&blobs, 2, vec![child("a", one.unwrap(), 1, 0)]);
    assert_damaged(&blobs, gap, one, "a");
    let low = inner(&blobs, 1, vec![child("a", one.unwrap(), 1, 0)]);
    let same = inner(&blobs, 1, vec![child("a", low.unwrap(), 1, 0)]);
    assert_damaged(&blobs, same, low, "a");
    let childless = inner(&blobs, 1, Vec::new());
    assert_damaged(&blobs, childless, childless, "a");
    let empty = leaf(&blobs, &[]);
    let root = inner(&blobs, 1, vec![child("a", empty.unwrap(), 0, 0)]);
    assert_damaged(&blobs, root, empty, "a");
}

#[test]
fn bytes_that_are_no_node_are_noticed() {
    let blobs = MemoryBlobs::default();
    for plain in [&b""[..], b"\x03\x00\x00\x00", &[0xff; 300]] {
        let root = Some(put(&blobs, BlobType::ManifestNode, plain));
        assert_damaged(&blobs, root, root, "a");
    }
}

#[test]
fn a_newer_node_is_not_called_damaged() {
    let blobs = MemoryBlobs::default();
    let mut plain =
        Node { body: NodeBody::Leaf(Vec::new()), extensions: Vec::new() }.encode().unwrap();
    plain[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
    let root = put(&blobs, BlobType::ManifestNode, &plain);
    let error = ManifestReader::new(&blobs, root).lookup(&key("")).unwrap_err();
    assert!(matches!(error, RepoError::Unsupported { .. }), "{error}");
}

#[test]
fn a_file_whose_content_is_not_its_size_is_noticed() {
    let blobs = MemoryBlobs::default();
    let sparse = |size, extents: &[(u64, u64)]| {
        let mut entry = file_with("f", size, Content::Inline(vec![chunk(1, 10)]));
        if let EntryKind::File(file) = &mut entry.kind {
            let extents = extents.iter().map(|&(offset, len)| Extent { offset, len });
            file.sparse = Some(extents.collect());
        }
        entry
    };
    let overflowing = vec![chunk(1, u64::MAX), chunk(2, 2)];
    for bad in [
        file_with("f", 11, Content::Inline(vec![chunk(1, 10)])),
        file_with("f", 1, Content::Inline(overflowing)),
        file_with("f", 10, Content::List { root: chunk(1, 1).id, len: 9 }),
        sparse(100, &[(0, 11)]),
        sparse(100, &[(95, 10)]),
        sparse(100, &[(50, 5), (0, 5)]),
        sparse(u64::MAX, &[(u64::MAX, 10)]),
    ] {
        let root = leaf(&blobs, &[bad]);
        assert_damaged(&blobs, root, root, "f");
    }
    let sound = leaf(&blobs, &[sparse(100, &[(10, 4), (94, 6)])]);
    assert_eq!(all_entries(&blobs, sound.unwrap()).len(), 1);
}

#[test]
fn a_lost_node_ends_the_reading_after_what_came_before_it() {
    let blobs = MemoryBlobs::default();
    let root = built(&blobs, &attachments(2_000)).root;
    let reader = ManifestReader::new(&blobs, root);
    let third = reader.leaves().unwrap().nth(2).unwrap().unwrap();
    assert!(blobs.lose(BlobType::ManifestNode, third.child().id));
    let mut leaves = reader.leaves().unwrap();
    assert!(leaves.next().unwrap().is_ok() && leaves.next().unwrap().is_ok());
    let error = leaves.next().unwrap().unwrap_err();
    assert!(matches!(error.damage(), Some(Damage::Unlisted { id, .. }) if *id == third.child().id));
    assert!(leaves.next().is_none());
    let before: EntryKey = third.child().first.clone();
    let read = reader.entries().unwrap().map_while(Result::ok).last().unwrap();
    assert!(read.key < before);
}
