//! Any set of entries, any edits: what is read is what was written, and the root knows no history.

use std::collections::BTreeSet;

use larder::codec::manifest::{Entry, EntryKey};
use larder::snapshot::manifest::diff::{Change, Changes};
use larder::snapshot::manifest::read::{ManifestReader, is_beneath};
use larder_testkit::memory_blobs::MemoryBlobs;
use proptest::prelude::*;

use super::model::{Model, all_entries, built, dir, file, key, model, rebuilt};

/// Paths are long, so that a few hundred entries make three levels.
fn path(n: u16) -> String {
    let deep = ["p", "q", "r"].map(|letter| letter.repeat(250) + "/");
    let dirs = deep[..usize::from(n % 4)].concat();
    format!("d{:02}/{dirs}{n:04}{}", n % 17, "x".repeat(usize::from(n % 7) * 30))
}

fn entry_of(n: u16, version: u8) -> Entry {
    if n.is_multiple_of(5) {
        dir(&path(n))
    } else {
        file(&path(n), version.into(), 1 + u64::from(n % 9))
    }
}

fn any_model() -> impl Strategy<Value = Model> {
    let numbers = prop::collection::vec((0..800_u16, 0..3_u8), 0..500);
    numbers.prop_map(|numbers| model(numbers.into_iter().map(|(n, version)| entry_of(n, version))))
}

/// Edits: what to put or take away.
fn edited() -> impl Strategy<Value = (Model, Model)> {
    let edits = prop::collection::vec((0..800_u16, prop::option::weighted(0.7, 0..3_u8)), 0..40);
    (any_model(), edits).prop_map(|(before, edits)| {
        let mut after = before.clone();
        for (n, version) in edits {
            match version {
                Some(version) => after.insert(key(&path(n)), entry_of(n, version)),
                None => after.remove(&key(&path(n))),
            };
        }
        (before, after)
    })
}

fn expected_changes(before: &Model, after: &Model) -> Vec<Change> {
    let keys: BTreeSet<&EntryKey> = before.keys().chain(after.keys()).collect();
    let change = |key: &EntryKey| match (before.get(key).cloned(), after.get(key).cloned()) {
        (Some(before), Some(after)) if before == after => None,
        (Some(before), Some(after)) => {
            Some(Change::Changed { before: before.into(), after: after.into() })
        }
        (Some(before), None) => Some(Change::Removed(before.into())),
        (None, after) => after.map(|after| Change::Added(after.into())),
    };
    keys.into_iter().filter_map(change).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_root_depends_on_the_entries_alone((before, after) in edited()) {
        let blobs = MemoryBlobs::default();
        let first = built(&blobs, &before);
        let (second, _) = rebuilt(&blobs, &first.root, &after);
        let fresh = MemoryBlobs::default();
        prop_assert_eq!(second, built(&fresh, &after));
        let (back, _) = rebuilt(&blobs, &second.root, &before);
        prop_assert_eq!(back, first);
    }

    /// The last leaf of a manifest ended because the entries did: it must not be taken for a whole one.
    #[test]
    fn what_comes_after_the_end_goes_on_with_the_last_leaf(model in any_model(), kept in 0..500_usize) {
        let blobs = MemoryBlobs::default();
        let start: Model = model.clone().into_iter().take(kept).collect();
        let first = built(&blobs, &start);
        prop_assert_eq!(rebuilt(&blobs, &first.root, &model).0, built(&blobs, &model));
        let all = built(&blobs, &model).root;
        prop_assert_eq!(rebuilt(&blobs, &all, &start).0, first);
    }

    #[test]
    fn what_is_read_is_the_model(model in any_model(), probe in 0..800_u16) {
        let blobs = MemoryBlobs::default();
        let built = built(&blobs, &model);
        let reader = ManifestReader::new(&blobs, built.root);
        let expected: Vec<Entry> = model.values().cloned().collect();
        prop_assert_eq!(built.entries, expected.len() as u64);
        prop_assert_eq!(all_entries(&blobs, built.root), expected.clone());
        let leaves = reader.leaves().unwrap().flat_map(|leaf| leaf.unwrap().into_entries());
        prop_assert_eq!(leaves.collect::<Vec<_>>(), expected);

        let probe = key(&path(probe));
        prop_assert_eq!(reader.lookup(&probe).unwrap(), model.get(&probe).cloned());
        let from = reader.entries_from(probe.clone()).unwrap().map(Result::unwrap);
        prop_assert!(from.eq(model.range(probe..).map(|(_, entry)| entry.clone())));
    }

    #[test]
    fn a_directory_is_read_as_the_model_has_it(model in any_model(), n in 0..17_u16, deep in any::<bool>()) {
        let blobs = MemoryBlobs::default();
        let reader = ManifestReader::new(&blobs, built(&blobs, &model).root);
        let dir = key(&if deep { format!("d{n:02}/{}", "p".repeat(250)) } else { format!("d{n:02}") });
        let beneath = |key: &&EntryKey| **key == dir || is_beneath(key, &dir);
        let within = reader.entries_within(dir.clone()).unwrap().map(|entry| entry.unwrap().key);
        prop_assert!(within.eq(model.keys().filter(beneath).cloned()));

        let direct = |key: &&EntryKey| {
            is_beneath(key, &dir) && !key.path[dir.path.len() + 1..].contains(&b'/')
        };
        let children = reader.children_of(dir.clone()).unwrap().map(|entry| entry.unwrap().key);
        let children: Vec<_> = children.filter(|key| direct(&key)).collect();
        prop_assert!(children.iter().eq(model.keys().filter(direct)));
    }

    #[test]
    fn a_comparison_is_the_models((before, after) in edited()) {
        let blobs = MemoryBlobs::default();
        let (one, other) = (built(&blobs, &before).root, built(&blobs, &after).root);
        let changes = Changes::between(&blobs, &one, &other).unwrap();
        let changes: Vec<_> = changes.map(Result::unwrap).collect();
        prop_assert_eq!(changes, expected_changes(&before, &after));
    }
}
