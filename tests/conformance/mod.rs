//! One suite for every backend, the refusing half included: what is answered to a taken name, a range past the end, a missing
//! object, a failed write.
//!
//! `checks` holds the suite; here it is run over each backend, and over a disk that lacks each combination of operations.

use std::io;
use std::sync::Arc;

use larder::repo::backend::local::LocalBackend;
use larder::repo::backend::memory::MemoryBackend;
use larder::repo::backend::{Backend, BackendError, Key, Refusal};
use larder::repo::disk::real::RealDisk;
use larder::repo::disk::{Disk, DiskErrorKind, LockMode};
use larder_testkit::fault_backend::{FaultBackend, Verb};
use larder_testkit::refusing_disk::{Refused, RefusingDisk};
use larder_testkit::sim_disk::{Errno, Repeat, SimDisk};
use proptest::prelude::*;

mod checks;

use checks::{ALL, DIRECTORIES, key, publish};

/// Runs every check, each on a store of its own. Where locks are refused, their exclusion cannot hold.
fn suite(name: &str, locks: bool, fresh: impl Fn() -> Arc<dyn Backend>) {
    for check in ALL.iter().filter(|check| locks || !check.needs_locks) {
        let backend = fresh();
        backend.create_directories(&DIRECTORIES).unwrap();
        eprintln!("{name}: {}", check.name);
        (check.run)(&*backend);
    }
}

#[test]
fn memory() {
    suite("memory", true, || Arc::new(MemoryBackend::new()));
}

#[test]
fn memory_through_the_counting_backend() {
    suite("fault", true, || Arc::new(FaultBackend::new(Arc::new(MemoryBackend::new()))));
}

#[test]
fn local_on_the_simulated_disk() {
    suite("sim", true, || Arc::new(LocalBackend::new(Arc::new(SimDisk::new()))));
}

#[test]
fn local_on_the_real_disk() {
    let above = tempfile::tempdir().unwrap();
    suite("real", true, || Arc::new(LocalBackend::new(real_disk(above.path()))));
}

#[test]
fn local_on_a_disk_that_refuses_each_combination() {
    for refused in combinations() {
        let fresh = || Arc::new(SimDisk::new()) as Arc<dyn Disk>;
        refusing_suite(&refused, fresh);
    }
}

#[test]
fn local_on_a_real_disk_that_refuses() {
    use Refused::{HardLink, Lock, MakePrivate, Map, RenameNoReplace, SyncDir};
    let above = tempfile::tempdir().unwrap();
    let some = [
        vec![RenameNoReplace],
        vec![RenameNoReplace, HardLink, SyncDir, MakePrivate],
        vec![Lock, Map],
        Refused::ALL.to_vec(),
    ];
    for refused in some {
        refusing_suite(&refused, || real_disk(above.path()));
    }
}

fn refusing_suite(refused: &[Refused], disk: impl Fn() -> Arc<dyn Disk>) {
    suite(&format!("{refused:?}"), !refused.contains(&Refused::Lock), || {
        Arc::new(LocalBackend::new(Arc::new(RefusingDisk::new(disk(), refused.iter().copied()))))
    });
}

/// Each in a directory of its own.
fn real_disk(above: &std::path::Path) -> Arc<dyn Disk> {
    let root = tempfile::Builder::new().disable_cleanup(true).tempdir_in(above).unwrap();
    Arc::new(RealDisk::open(root.path()).unwrap())
}

fn combinations() -> impl Iterator<Item = Vec<Refused>> {
    (0..1_usize << Refused::ALL.len()).map(|bits| {
        Refused::ALL
            .into_iter()
            .enumerate()
            .filter(|(at, _)| bits >> at & 1 == 1)
            .map(|(_, refused)| refused)
            .collect()
    })
}

#[test]
fn each_refusal_is_said_once_and_no_other() {
    for refused in combinations() {
        let disk = RefusingDisk::new(Arc::new(SimDisk::new()), refused.iter().copied());
        let backend = LocalBackend::new(Arc::new(disk));
        assert_eq!(backend.refusals(), []);
        backend.create_directories(&DIRECTORIES).unwrap();
        for round in ["a", "b"] {
            publish(&backend, &format!("packs/{round}"), b"bytes");
            backend.sync("packs").unwrap();
            drop(backend.lock(&key("locks/repository"), LockMode::Shared).unwrap().unwrap());
        }
        let mut said = backend.refusals();
        said.sort();
        assert_eq!(said, promises_lost(&refused), "{refused:?}");
    }
}

fn promises_lost(refused: &[Refused]) -> Vec<Refusal> {
    let has = |what| refused.contains(&what);
    let all = [
        (has(Refused::SyncDir), Refusal::DirectorySync),
        (has(Refused::RenameNoReplace) && has(Refused::HardLink), Refusal::AtomicPublish),
        (has(Refused::MakePrivate), Refusal::Private),
        (has(Refused::Lock), Refusal::Locks),
    ];
    all.into_iter().filter_map(|(lost, refusal)| lost.then_some(refusal)).collect()
}

#[test]
fn readers_of_a_read_only_store_go_without_a_lock_and_writers_do_not() {
    let sim = SimDisk::new();
    let backend = LocalBackend::new(Arc::new(sim.clone()));
    backend.create_directories(&DIRECTORIES).unwrap();
    publish(&backend, "packs/a", b"bytes");
    drop(backend.lock(&key("locks/present"), LockMode::Shared).unwrap());
    sim.set_read_only(true);
    assert!(backend.lock(&key("locks/present"), LockMode::Shared).unwrap().is_some());
    assert_eq!(backend.refusals(), [], "a lock file that is there can be locked");
    assert!(backend.lock(&key("locks/absent"), LockMode::Shared).unwrap().is_some());
    assert_eq!(backend.refusals(), [Refusal::Locks]);
    for name in ["locks/present", "locks/absent"] {
        let error = backend.lock(&key(name), LockMode::Exclusive).map(drop).unwrap_err();
        assert!(
            matches!(error, BackendError::Disk(error) if error.kind() == DiskErrorKind::ReadOnly)
        );
    }
    assert_eq!(backend.get(&key("packs/a")).unwrap(), b"bytes");
    backend.stage("s").unwrap().put(&key("packs/b"), b"").unwrap_err();
}

#[test]
fn a_listing_that_fails_is_an_error_and_not_an_empty_one() {
    let sim = SimDisk::new();
    let backend = LocalBackend::new(Arc::new(sim.clone()));
    backend.create_directories(&DIRECTORIES).unwrap();
    publish(&backend, "packs/a", b"bytes");
    for errno in [Errno::IO, Errno::ACCESS, Errno::STALE] {
        sim.fail_read_at(sim.reads(), errno, Repeat::Once);
        let error = backend.list("packs").unwrap_err();
        assert!(sim.fired() && matches!(error, BackendError::Disk(_)), "{error}");
    }
    assert_eq!(backend.list("packs").unwrap().len(), 1);
}

#[test]
fn a_lock_directory_that_a_copy_left_out_is_made_again() {
    let backend = LocalBackend::new(Arc::new(SimDisk::new()));
    let held = backend.lock(&key("locks/repository"), LockMode::Exclusive).unwrap();
    assert!(held.is_some());
    assert!(backend.lock(&key("locks/repository"), LockMode::Shared).unwrap().is_none());
    // So is the directory of stages.
    backend.create_directories(&["packs"]).unwrap();
    publish(&backend, "packs/a", b"bytes");
}

#[test]
fn planned_failures_fire_poison_and_are_counted() {
    let fault = FaultBackend::new(Arc::new(MemoryBackend::new()));
    fault.create_directories(&DIRECTORIES).unwrap();
    publish(&fault, "packs/a", b"four");
    assert_eq!(
        (fault.count(Verb::Finish), fault.count(Verb::Barrier), fault.bytes_written()),
        (1, 1, 4)
    );
    assert_eq!(fault.get_range(&key("packs/a"), 1, 2).unwrap(), b"ou");
    assert_eq!(fault.map(&key("packs/a")).unwrap().len(), 4);
    assert_eq!((fault.bytes_read(), fault.count(Verb::GetRange), fault.fired()), (6, 1, false));

    fault.fail_verb(Verb::Append, 1, io::ErrorKind::StorageFull);
    let stage = fault.stage("s").unwrap();
    assert!(!fault.fired());
    let error = stage.put(&key("packs/b"), b"bytes").unwrap_err();
    assert!(fault.fired() && error.is_no_space());
    assert!(matches!(stage.barrier(), Err(BackendError::Poisoned)));
    assert_eq!(fault.list("packs").unwrap().len(), 1);

    fault.reset();
    fault.fail_call(1, io::ErrorKind::Other);
    fault.list("packs").unwrap();
    fault.get(&key("packs/a")).unwrap_err();
    assert!(fault.fired() && fault.calls() == 2);
    fault.get(&key("packs/a")).unwrap();
}

/// The rule of keys, said another way than the code does.
fn well_formed(text: &str) -> bool {
    let allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    !text.is_empty()
        && !text.starts_with(['/', '.'])
        && !text.ends_with('/')
        && !text.contains("//")
        && !text.contains("/.")
        && text.chars().all(|char| char == '/' || allowed.contains(char))
}

proptest! {
    #[test]
    fn keys_are_made_of_safe_components(text in "[a-c./0-]{0,8}|[ -~]{0,6}|\\PC{0,4}") {
        prop_assert_eq!(Key::new(text.clone()).is_some(), well_formed(&text), "{:?}", text);
    }

    #[test]
    fn a_key_is_its_directory_and_its_name(text in "[a-z0-9]{1,3}(/[a-z0-9]{1,3}){0,2}") {
        let key = Key::new(text.clone()).unwrap();
        let joined = match key.directory() {
            "" => key.name().to_owned(),
            directory => format!("{directory}/{}", key.name()),
        };
        prop_assert_eq!(joined, text);
    }
}
