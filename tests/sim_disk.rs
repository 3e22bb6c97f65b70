//! The simulated disk notices forgotten syncs. If it did not, the crash tests built on it would prove nothing.

use std::collections::BTreeSet;

use larder::repo::disk::{Disk, DiskErrorKind, DiskFile, LockMode};
use larder_testkit::sim_disk::{Errno, Pattern, Repeat, SimDisk};

const SEEDS: u64 = 64;

/// A disk with two durable, empty directories.
fn prepared() -> SimDisk {
    let sim = SimDisk::new();
    sim.create_dir("tmp").unwrap();
    sim.create_dir("packs").unwrap();
    sim.sync_dir("").unwrap();
    sim
}

fn written(sim: &SimDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let mut file = sim.create_new(path).unwrap();
    file.append(bytes).unwrap();
    file
}

/// What the path holds after a crash, for many choices of what survives.
fn outcomes(sim: &SimDisk, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..SEEDS).map(|seed| sim.crash(seed).files().remove(path)).collect()
}

fn always(bytes: &[u8]) -> BTreeSet<Option<Vec<u8>>> {
    [Some(bytes.to_vec())].into()
}

#[test]
fn a_synced_file_with_a_synced_name_always_survives() {
    let sim = prepared();
    written(&sim, "packs/a", b"bytes").sync_data().unwrap();
    sim.sync_dir("packs").unwrap();
    assert_eq!(outcomes(&sim, "packs/a"), always(b"bytes"));
}

#[test]
fn a_name_without_directory_sync_is_lost_in_some_crash() {
    let sim = prepared();
    written(&sim, "packs/a", b"bytes").sync_data().unwrap();
    let outcomes = outcomes(&sim, "packs/a");
    assert!(
        outcomes.contains(&None) && outcomes.contains(&Some(b"bytes".to_vec())),
        "{outcomes:?}"
    );
}

#[test]
fn bytes_without_sync_are_lost_torn_or_zero_even_when_the_file_was_closed() {
    let sim = prepared();
    let bytes = vec![7; 2000];
    drop(written(&sim, "packs/a", &bytes));
    sim.sync_dir("packs").unwrap();
    let outcomes = outcomes(&sim, "packs/a");
    assert!(outcomes.iter().all(Option::is_some), "the name was synced");
    let contents: Vec<_> = outcomes.into_iter().flatten().collect();
    assert!(contents.contains(&Vec::new()) && contents.contains(&bytes));
    assert!(contents.contains(&vec![0; 2000]), "the length can survive without the bytes");
    assert!(
        contents
            .iter()
            .any(|content| content.len() == 512 || content.len() == 1024 || content.len() == 1536)
    );
    for content in contents {
        let kept = content.iter().take_while(|byte| **byte == 7).count();
        assert!(kept % 512 == 0 || kept == 2000, "torn at {kept}");
        assert!(content[kept..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_rename_between_directories_needs_both_synced() {
    for (synced, durable) in
        [(&[][..], false), (&["tmp"], false), (&["packs"], false), (&["tmp", "packs"], true)]
    {
        let sim = prepared();
        written(&sim, "tmp/1", b"bytes").sync_data().unwrap();
        sim.sync_dir("tmp").unwrap();
        sim.rename_noreplace("tmp/1", "packs/a").unwrap();
        for directory in synced {
            sim.sync_dir(directory).unwrap();
        }
        assert_eq!(outcomes(&sim, "packs/a") == always(b"bytes"), durable, "{synced:?}");
        for seed in 0..SEEDS {
            let files = sim.crash(seed).files();
            assert_eq!(files.len(), 1, "a rename happens wholly or not at all: {files:?}");
        }
    }
}

#[test]
fn an_operation_survives_only_with_those_on_its_name_before_it() {
    let sim = prepared();
    written(&sim, "tmp/1", b"old").sync_data().unwrap();
    sim.sync_dir("tmp").unwrap();
    sim.rename_noreplace("tmp/1", "packs/a").unwrap();
    written(&sim, "tmp/1", b"new").sync_data().unwrap();
    // Makes the second tmp/1 durable, and with it the rename that freed the name.
    sim.sync_dir("tmp").unwrap();
    assert_eq!(outcomes(&sim, "tmp/1"), always(b"new"));
    assert_eq!(outcomes(&sim, "packs/a"), always(b"old"));
}

#[test]
fn a_removal_without_sync_may_come_back() {
    let sim = prepared();
    written(&sim, "packs/a", b"bytes").sync_data().unwrap();
    sim.sync_dir("packs").unwrap();
    sim.unlink("packs/a").unwrap();
    assert!(sim.files().is_empty());
    assert_eq!(outcomes(&sim, "packs/a"), [None, Some(b"bytes".to_vec())].into());
    sim.sync_dir("packs").unwrap();
    assert_eq!(outcomes(&sim, "packs/a"), [None].into());
}

#[test]
fn a_new_directory_is_lost_with_all_that_was_synced_in_it() {
    let sim = prepared();
    sim.create_dir("packs/b").unwrap();
    written(&sim, "packs/b/c", b"bytes").sync_data().unwrap();
    sim.sync_dir("packs/b").unwrap();
    assert!(sim.crash_with(Pattern::SyncedOnly).files().is_empty());
    sim.sync_dir("packs").unwrap();
    assert_eq!(outcomes(&sim, "packs/b/c"), always(b"bytes"));
}

#[test]
fn after_a_failed_sync_the_next_succeeds_and_the_bytes_are_gone() {
    let sim = prepared();
    let mut file = written(&sim, "packs/a", &[7; 600]);
    sim.sync_dir("packs").unwrap();
    sim.fail_at(sim.operations(), Errno::IO, Repeat::Once);
    file.sync_data().unwrap_err();
    assert!(sim.fired());
    file.append(&[8; 10]).unwrap();
    file.sync_data().unwrap();
    let expected = [vec![0; 600], vec![8; 10]].concat();
    assert_eq!(sim.files()["packs/a"][0], 7, "programs still see them");
    assert_eq!(outcomes(&sim, "packs/a"), always(&expected));
}

#[test]
fn a_crash_is_decided_by_its_seed_alone() {
    let sim = prepared();
    for name in 0..20 {
        drop(written(&sim, &format!("packs/{name}"), &[name; 1500]));
    }
    let after = |seed| sim.crash(seed).files();
    assert!((0..SEEDS).all(|seed| after(seed) == after(seed)));
    let distinct: BTreeSet<_> = (4..SEEDS).map(after).collect();
    assert!(distinct.len() > 50, "{} different crashes", distinct.len());
}

#[test]
fn a_dead_machine_does_nothing_and_its_locks_are_gone_after_the_boot() {
    let sim = prepared();
    let lock = sim.lock("packs/lock", LockMode::Exclusive).unwrap();
    assert!(lock.is_some());
    assert!(sim.lock("packs/lock", LockMode::Shared).unwrap().is_none());
    sim.sync_dir("packs").unwrap();
    sim.crash_at(sim.operations());
    assert!(!sim.fired());
    sim.create_new("packs/a").map(drop).unwrap_err();
    assert!(sim.fired());
    sim.stat("packs/lock").unwrap_err();
    let after = sim.crash(0);
    assert!(after.lock("packs/lock", LockMode::Exclusive).unwrap().is_some());
    assert!(after.stat("packs/a").is_err_and(|error| error.kind() == DiskErrorKind::NotFound));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let sim = prepared();
    sim.set_limit_bytes(Some(1000));
    let mut file = written(&sim, "packs/a", &[1; 600]);
    let error = file.append(&[2; 600]).unwrap_err();
    assert_eq!(error.kind(), DiskErrorKind::NoSpace);
    assert_eq!(sim.stat("packs/a").unwrap().len, 1000);
    assert_eq!(sim.free_space().unwrap().available_bytes, 0);
    sim.unlink("packs/a").unwrap();
    assert_eq!(sim.free_space().unwrap().available_bytes, 1000);
}

#[test]
fn damage_is_durable_and_not_counted() {
    let sim = prepared();
    drop(written(&sim, "packs/a", b"bytes"));
    sim.sync_dir("packs").unwrap();
    let before = sim.operations();
    assert!(sim.overwrite("packs/a", b"other"));
    assert_eq!(outcomes(&sim, "packs/a"), always(b"other"));
    assert!(sim.lose("packs/a") && !sim.lose("packs/a") && !sim.overwrite("packs/a", b""));
    assert_eq!(outcomes(&sim, "packs/a"), [None].into());
    assert_eq!(sim.operations(), before);
}
