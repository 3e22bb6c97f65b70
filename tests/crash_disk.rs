//! A power loss before every operation of publishing, and every choice of what survives it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder::repo::backend::local::LocalBackend;
use larder::repo::backend::{Backend, Key, Result};
use larder::repo::disk::Disk;
use larder_testkit::refusing_disk::{Refused, RefusingDisk};
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::{Pattern, SimDisk};

const DIRECTORIES: [&str; 6] = ["packs", "index", "snapshots", "sessions", "tmp", "trash/one"];

fn key(text: &str) -> Key {
    Key::new(text).expect("a well-formed key")
}

/// The only bytes that an object of this name may have.
fn content(name: &str) -> Vec<u8> {
    let seed =
        name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Seeded::new(seed).bytes(usize::try_from(seed % 2900).unwrap() + 100)
}

/// What the store has promised: names whose barrier returned.
#[derive(Default)]
struct Promises {
    kept: RefCell<BTreeSet<&'static str>>,
}

impl Promises {
    fn make(&self, names: &[&'static str]) {
        self.kept.borrow_mut().extend(names);
    }

    /// From here on, either name may be found, or none.
    fn release(&self, name: &'static str) {
        self.kept.borrow_mut().remove(name);
    }
}

/// Two writers, one after the other; what the second does is what prune does, too.
fn publish_everything(backend: &dyn Backend, promises: &Promises) -> Result<()> {
    backend.create_directories(&DIRECTORIES)?;
    let first = backend.stage("first")?;
    let stored = |names: &[&'static str]| {
        names.iter().try_for_each(|name| first.put(&key(name), &content(name)))
    };
    first.announce(&key("sessions/first"), &content("sessions/first"))?;
    for names in [&["packs/a", "packs/b"][..], &["index/a"], &["snapshots/a"]] {
        stored(names)?;
        first.barrier()?;
        promises.make(names);
        promises.make(&["sessions/first"]);
    }
    stored(&["packs/never"])?;
    drop(first);
    let second = backend.stage("second")?;
    let mut upload = second.create()?;
    for part in content("packs/c").chunks(700) {
        upload.append(part)?;
    }
    upload.finish(&key("packs/c"))?;
    second.put(&key("config"), &content("config"))?;
    second.barrier()?;
    promises.make(&["packs/c", "config"]);
    promises.release("packs/b");
    backend.rename(&key("packs/b"), &key("trash/one/b"))?;
    backend.sync("packs")?;
    backend.sync("trash/one")?;
    backend.delete(&key("index/a")).inspect(|()| promises.release("index/a"))?;
    backend.sync("index")
}

/// What a crash found wrong.
#[derive(Debug, Default)]
struct Losses {
    /// A promised object was not there.
    missing: u32,
    /// An object had its name and not its bytes.
    incomplete: u32,
}

/// Runs the scenario up to a power loss before each operation, with each pattern. `prepare` chooses the disk's manners.
fn crash_everywhere(refused: &[Refused], prepare: impl Fn(&SimDisk)) -> Losses {
    let backend_on = |sim: &SimDisk| {
        LocalBackend::new(Arc::new(RefusingDisk::new(
            Arc::new(sim.clone()),
            refused.iter().copied(),
        )))
    };
    let whole = SimDisk::new();
    publish_everything(&backend_on(&whole), &Promises::default()).unwrap();
    let operations = whole.operations();
    assert!((40..100).contains(&operations), "{operations} operations");
    let mut losses = Losses::default();
    for n in 0..operations {
        let sim = SimDisk::new();
        prepare(&sim);
        sim.crash_at(n);
        let promises = Promises::default();
        // It may succeed: the last operations clean up, and their failure is nobody's.
        let _cut_short = publish_everything(&backend_on(&sim), &promises);
        assert!(sim.fired(), "the crash before operation {n} of {operations} never came");
        for pattern in Pattern::EIGHT {
            let after = sim.crash_with(pattern);
            count_losses(&after, &promises, &mut losses);
            assert_usable(&after, &backend_on(&after));
        }
    }
    losses
}

fn count_losses(after: &SimDisk, promises: &Promises, losses: &mut Losses) {
    let files: BTreeMap<_, _> = after.files();
    for name in promises.kept.borrow().iter() {
        losses.missing += u32::from(!files.contains_key(*name));
    }
    // A marker has its name before its bytes are durable; the next barrier promises both.
    let must_be_whole =
        |path: &str| !path.starts_with("sessions/") || promises.kept.borrow().contains(path);
    for (path, bytes) in
        files.iter().filter(|(path, _)| !path.starts_with("tmp/") && must_be_whole(path))
    {
        let name = if path == "trash/one/b" { "packs/b" } else { path };
        losses.incomplete += u32::from(*bytes != content(name));
    }
}

/// No repair step: sweeping and publishing work at once on whatever a crash left.
fn assert_usable(after: &SimDisk, backend: &LocalBackend) {
    backend.create_directories(&DIRECTORIES).unwrap();
    for left in backend.list("tmp").unwrap() {
        backend.sweep_stage(&left.name).unwrap();
    }
    let stage = backend.stage("third").unwrap();
    stage.put(&key("packs/d"), &content("packs/d")).unwrap();
    stage.barrier().unwrap();
    drop(stage);
    assert_eq!(after.list("tmp").unwrap(), []);
    assert_eq!(backend.get(&key("packs/d")).unwrap(), content("packs/d"));
}

#[test]
fn published_objects_are_complete_and_promised_ones_survive() {
    let losses = crash_everywhere(&[], |_| {});
    assert_eq!((losses.missing, losses.incomplete), (0, 0));
}

#[test]
fn links_are_as_good_as_renames() {
    let losses = crash_everywhere(&[Refused::RenameNoReplace], |_| {});
    assert_eq!((losses.missing, losses.incomplete), (0, 0));
}

#[test]
fn refused_locks_modes_and_mappings_cost_no_durability() {
    let losses = crash_everywhere(&[Refused::Lock, Refused::MakePrivate, Refused::Map], |_| {});
    assert_eq!((losses.missing, losses.incomplete), (0, 0));
}

#[test]
fn copies_keep_promises_but_may_leave_an_incomplete_object() {
    let losses = crash_everywhere(&[Refused::RenameNoReplace, Refused::HardLink], |_| {});
    assert_eq!(losses.missing, 0);
    assert!(losses.incomplete > 0, "then the refusal is said for nothing");
}

#[test]
fn without_directory_syncs_names_are_lost_but_never_bytes() {
    let losses = crash_everywhere(&[Refused::SyncDir], |_| {});
    assert!(losses.missing > 0, "then the refusal is said for nothing");
    assert_eq!(losses.incomplete, 0);
}

#[test]
fn a_drive_that_lies_about_syncs_is_noticed() {
    let data = crash_everywhere(&[], |sim| sim.lie_about_syncs(true, false));
    assert!(data.incomplete > 0, "these tests would not notice a forgotten sync of data");
    let names = crash_everywhere(&[], |sim| sim.lie_about_syncs(false, true));
    assert!(names.missing > 0, "these tests would not notice a forgotten sync of a directory");
}
