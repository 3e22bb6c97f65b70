//! A disk operation that fails, at every place of publishing: the stage stops, says so, and has named nothing incomplete.

use std::sync::Arc;

use larder::repo::backend::local::LocalBackend;
use larder::repo::backend::{Backend, BackendError, Key, Result, Stage};
use larder::repo::disk::Disk;
use larder_testkit::refusing_disk::{Refused, RefusingDisk};
use larder_testkit::sim_disk::{Errno, Operation, Pattern, Repeat, SimDisk};

const BYTES: [u8; 3000] = [7; 3000];

fn key(text: &str) -> Key {
    Key::new(text).expect("a well-formed key")
}

fn prepared(refused: &[Refused]) -> (SimDisk, LocalBackend) {
    let sim = SimDisk::new();
    let disk = RefusingDisk::new(Arc::new(sim.clone()), refused.iter().copied());
    let backend = LocalBackend::new(Arc::new(disk));
    backend.create_directories(&["packs", "index", "sessions", "tmp"]).unwrap();
    (sim, backend)
}

fn publish(stage: &dyn Stage) -> Result<()> {
    stage.announce(&key("sessions/s"), b"me")?;
    let mut upload = stage.create()?;
    for part in BYTES.chunks(1000) {
        upload.append(part)?;
    }
    upload.finish(&key("packs/a"))?;
    stage.put(&key("packs/b"), &BYTES)?;
    stage.barrier()?;
    stage.put(&key("index/a"), &BYTES)?;
    stage.barrier()
}

/// The ways in which objects get their names.
const MEANS: [&[Refused]; 3] =
    [&[], &[Refused::RenameNoReplace], &[Refused::RenameNoReplace, Refused::HardLink]];

fn is_poisoned(outcome: &Result<()>) -> bool {
    matches!(outcome, Err(BackendError::Poisoned))
}

/// After the failure: nothing more is published, what has a name is whole, the stage cleans up after itself.
fn assert_stopped(sim: &SimDisk, backend: &LocalBackend, stage: Box<dyn Stage>, at: &str) {
    assert!(sim.fired(), "{at}: the planned failure never came");
    assert!(is_poisoned(&stage.barrier()), "{at}");
    assert!(is_poisoned(&stage.put(&key("packs/late"), b"late")), "{at}");
    assert!(is_poisoned(&stage.announce(&key("sessions/late"), b"late")), "{at}");
    drop(stage);
    let files = sim.files();
    assert!(!files.contains_key("packs/late") && !files.contains_key("sessions/late"), "{at}");
    for (path, bytes) in &files {
        let whole = if path.starts_with("sessions/") { &b"me"[..] } else { &BYTES };
        assert!(bytes == whole, "{at}: {path} has {} bytes", bytes.len());
    }
    // The directory itself may stay for a sweep, when an object left it and its new name is not durable yet.
    assert!(files.keys().all(|path| !path.starts_with("tmp/")), "{at}");
    for left in backend.list("tmp").unwrap() {
        assert!(backend.sweep_stage(&left.name).unwrap(), "{at}");
    }
    assert_eq!(backend.list("tmp").unwrap(), [], "{at}");
}

fn fail_each_change(refused: &[Refused], errno: Errno) {
    let (whole, backend) = prepared(refused);
    let begin = whole.operations();
    let stage = backend.stage("s").unwrap();
    publish(&*stage).unwrap();
    let end = whole.operations();
    assert!(end - begin > 20, "{}", end - begin);
    for n in begin..end {
        let (sim, backend) = prepared(refused);
        sim.fail_at(n, errno, Repeat::Once);
        let stage = backend.stage("s").unwrap();
        let Operation { verb, path } = whole.log()[usize::try_from(n).unwrap()].clone();
        let at = format!("{refused:?}, {errno:?} at {verb} {path}");
        let error = publish(&*stage).expect_err(&at);
        assert_eq!(error.is_no_space(), errno == Errno::NOSPC, "{at}: {error}");
        assert_stopped(&sim, &backend, stage, &at);
    }
}

#[test]
fn a_change_that_fails_stops_the_stage() {
    for refused in MEANS {
        fail_each_change(refused, Errno::IO);
        fail_each_change(refused, Errno::NOSPC);
    }
}

#[test]
fn a_look_that_fails_stops_the_stage() {
    for refused in MEANS {
        let (whole, backend) = prepared(refused);
        let begin = whole.reads();
        publish(&*backend.stage("s").unwrap()).unwrap();
        assert!(whole.reads() - begin >= 4, "each name is looked for");
        for n in begin..whole.reads() {
            let (sim, backend) = prepared(refused);
            sim.fail_read_at(n, Errno::IO, Repeat::Once);
            let stage = backend.stage("s").unwrap();
            publish(&*stage).unwrap_err();
            assert_stopped(&sim, &backend, stage, &format!("{refused:?}, read {n}"));
        }
    }
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let (sim, backend) = prepared(&[]);
    let stage = backend.stage("s").unwrap();
    stage.put(&key("packs/a"), &BYTES).unwrap();
    sim.fail_at(sim.operations(), Errno::IO, Repeat::Once);
    let error = stage.barrier().unwrap_err();
    assert!(sim.fired() && error.to_string().contains("sync"), "{error}");
    // The kernel would say yes now, and would have lost the pages.
    assert!(is_poisoned(&stage.barrier()));
    drop(stage);
    let syncs = sim.log().iter().filter(|operation| operation.verb == "sync").count();
    assert_eq!(syncs, 1);
    assert!(Pattern::EIGHT.iter().all(|pattern| sim.crash_with(*pattern).files().is_empty()));
}

#[test]
fn a_full_disk_stops_the_stage_and_keeps_what_was_published() {
    let (sim, backend) = prepared(&[]);
    let stage = backend.stage("s").unwrap();
    stage.put(&key("packs/a"), &BYTES).unwrap();
    stage.barrier().unwrap();
    sim.set_limit_bytes(Some(5000));
    let error = stage.put(&key("packs/b"), &BYTES).unwrap_err();
    assert!(error.is_no_space(), "{error}");
    assert!(is_poisoned(&stage.barrier()));
    drop(stage);
    assert_eq!(sim.files().into_keys().collect::<Vec<_>>(), ["packs/a"]);
    assert_eq!(backend.free_space().unwrap().available_bytes, 2000);
}

#[test]
fn a_barrier_syncs_all_bytes_then_gives_all_names_then_syncs_each_directory_once() {
    let (sim, backend) = prepared(&[]);
    let stage = backend.stage("s").unwrap();
    for name in ["packs/a", "packs/b", "index/a"] {
        stage.put(&key(name), &BYTES).unwrap();
    }
    let begin = usize::try_from(sim.operations()).unwrap();
    stage.barrier().unwrap();
    let done: Vec<_> = sim.log()[begin..]
        .iter()
        .map(|operation| (operation.verb, operation.path.clone()))
        .collect();
    let expected = [
        ("sync", "tmp/s/1"),
        ("sync", "tmp/s/2"),
        ("sync", "tmp/s/3"),
        ("rename", "tmp/s/1 -> packs/a"),
        ("rename", "tmp/s/2 -> packs/b"),
        ("rename", "tmp/s/3 -> index/a"),
        ("sync directory", "index"),
        ("sync directory", "packs"),
        ("sync directory", "tmp/s"),
    ];
    assert_eq!(done, expected.map(|(verb, path)| (verb, path.to_owned())));
    stage.barrier().unwrap();
    assert_eq!(
        usize::try_from(sim.operations()).unwrap(),
        begin + expected.len(),
        "nothing to do costs nothing"
    );
}

#[test]
fn a_refused_means_is_tried_once() {
    let sim = SimDisk::new();
    // Refused below the log, so that the log shows the attempts.
    let backend = LocalBackend::new(Arc::new(sim.clone()) as Arc<dyn Disk>);
    backend.create_directories(&["packs", "tmp"]).unwrap();
    let stage = backend.stage("s").unwrap();
    stage.put(&key("packs/a"), &BYTES).unwrap();
    stage.put(&key("packs/b"), &BYTES).unwrap();
    sim.fail_at(sim.operations() + 2, Errno::INVAL, Repeat::Once);
    stage.barrier().unwrap();
    assert!(sim.fired());
    let log = sim.log();
    let count = |verb| log.iter().filter(|operation| operation.verb == verb).count();
    assert_eq!((count("rename"), count("link")), (1, 2));
    assert_eq!(sim.files().into_keys().collect::<Vec<_>>(), ["packs/a", "packs/b"]);
}
