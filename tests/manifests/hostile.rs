//! Nodes that no writer makes: each is damage that names the node, and nothing panics.

use larder::codec::Durable;
use larder::codec::manifest::{Child, Entry, EntryKey, Node, NodeBody};
use larder::id::{BlobId, BlobType};
use larder::repo::error::{Damage, RepoError};
use larder::snapshot::manifest::diff::Changes;
use larder::snapshot::manifest::read::ManifestReader;
use larder_testkit::memory_blobs::MemoryBlobs;

use super::model::{all_entries, attachments, built, dir, file, key, put};

fn node(blobs: &MemoryBlobs, body: NodeBody) -> BlobId {
    let plain = Node { body, extensions: Vec::new() }.encode().unwrap();
    put(blobs, BlobType::ManifestNode, &plain)
}

fn leaf(blobs: &MemoryBlobs, entries: &[Entry]) -> BlobId {
    node(blobs, NodeBody::Leaf(entries.to_vec()))
}

fn child(first: &str, id: BlobId, entries: u64, bytes: u64) -> Child {
    Child { first: key(first), id, entries, bytes }
}

fn inner(blobs: &MemoryBlobs, level: u8, children: Vec<Child>) -> BlobId {
    node(blobs, NodeBody::Inner { level, children })
}

fn names(error: &RepoError, id: BlobId) -> bool {
    let id = id.to_string();
    matches!(error, RepoError::Damaged(Damage::Object { object, .. }) if object.contains(&id))
}

/// Reading everything, comparing with something else and looking `at` up each name the node as damaged.
fn assert_damaged(blobs: &MemoryBlobs, root: BlobId, bad: BlobId, at: &str) {
    let reader = ManifestReader::new(blobs, root);
    let all = reader.entries().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let error = all.expect_err("all entries were read");
    assert!(names(&error, bad), "{error}");
    let error = reader.lookup(&key(at)).expect_err("an entry was found");
    assert!(names(&error, bad), "{error}");
    let empty = node(blobs, NodeBody::Leaf(Vec::new()));
    let changes = Changes::between(blobs, &root, &empty);
    let error = changes.and_then(Iterator::collect::<Result<Vec<_>, _>>).expect_err("compared");
    assert!(names(&error, bad), "{error}");
}

/// A sound manifest of two leaves, `a b` and `m n`, whose second child was tampered with.
fn with_second(blobs: &MemoryBlobs, tamper: impl FnOnce(&mut Child)) -> (BlobId, BlobId) {
    let one = leaf(blobs, &[dir("a"), dir("b")]);
    let two = leaf(blobs, &[dir("m"), file("n", 1, 1)]);
    let mut second = child("m", two, 2, 11);
    tamper(&mut second);
    let bad = second.id;
    (inner(blobs, 1, vec![child("a", one, 2, 0), second]), bad)
}

#[test]
fn the_untampered_manifest_is_sound() {
    let blobs = MemoryBlobs::default();
    let (root, _) = with_second(&blobs, |_| {});
    assert_eq!(all_entries(&blobs, root).len(), 4);
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
    let two = leaf(&blobs, &[dir("m")]);
    let children = vec![child("a", one, 2, 0), child("m", two, 1, 0)];
    assert_damaged(&blobs, inner(&blobs, 1, children), one, "b");
}

#[test]
fn a_deep_node_that_reaches_past_its_grandparents_bound_is_noticed() {
    let blobs = MemoryBlobs::default();
    let one = leaf(&blobs, &[dir("a"), dir("z")]);
    let two = leaf(&blobs, &[dir("m")]);
    let left = inner(&blobs, 1, vec![child("a", one, 2, 0)]);
    let right = inner(&blobs, 1, vec![child("m", two, 1, 0)]);
    let root = inner(&blobs, 2, vec![child("a", left, 2, 0), child("m", right, 1, 0)]);
    assert_damaged(&blobs, root, one, "b");
}

#[test]
fn a_rule_within_a_node_that_is_broken_names_the_node() {
    let blobs = MemoryBlobs::default();
    let body = NodeBody::Leaf(vec![dir("first"), dir("later")]);
    let mut plain = Node { body, extensions: Vec::new() }.encode().unwrap();
    let later = plain.windows(5).position(|at| at == b"later").unwrap();
    plain[later..later + 5].copy_from_slice(b"early");
    let root = put(&blobs, BlobType::ManifestNode, &plain);
    assert_damaged(&blobs, root, root, "early");
}

#[test]
fn levels_that_do_not_descend_are_noticed() {
    let blobs = MemoryBlobs::default();
    let one = leaf(&blobs, &[dir("a")]);
    let gap = inner(&blobs, 2, vec![child("a", one, 1, 0)]);
    assert_damaged(&blobs, gap, one, "a");
    let low = inner(&blobs, 1, vec![child("a", one, 1, 0)]);
    let same = inner(&blobs, 1, vec![child("a", low, 1, 0)]);
    assert_damaged(&blobs, same, low, "a");
    let empty = leaf(&blobs, &[]);
    let root = inner(&blobs, 1, vec![child("a", empty, 1, 0)]);
    assert_damaged(&blobs, root, empty, "a");
}

#[test]
fn bytes_that_are_no_node_are_noticed() {
    let blobs = MemoryBlobs::default();
    for plain in [&b""[..], b"\x03\x00\x00\x00", &[0xff; 300]] {
        let root = put(&blobs, BlobType::ManifestNode, plain);
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
