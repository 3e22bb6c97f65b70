//! Packs of sessions that were cut off: kept for a while, then removed with their marker.

use larder::error::Error;
use larder::observe::{Observer, Phase, Total, Warning};
use larder::repo::prune::PruneOptions;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    Saved, Tree, assert_clean, backend, bytes_in, fresh, host, interrupted, night, options, paths,
    prune_with, read_all, save,
};

/// Asks to stop as soon as files were stored.
#[derive(Default)]
pub(super) struct StopsAfterFiles(std::sync::atomic::AtomicBool);

impl Observer for StopsAfterFiles {
    fn begin(&self, phase: Phase, _: Option<Total>) {
        if phase == Phase::Databases {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn advance(&self, _: u64, _: u64) {}

    fn warn(&self, _: Warning) {}

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// One saved night, and a backup of 5,000 bytes more that was cut off.
fn cut_off(tree: &Tree) -> (SimDisk, Saved) {
    let (disk, mut saved) = (fresh(), Saved::new());
    tree.fill("stays", 1, 900);
    night(&disk, tree, 1, &mut saved);
    tree.fill("large", 2, 5000);
    tree.write("parts.db", b"SQLite format 3\0");
    let outcome = interrupted(&disk, tree, 2, &StopsAfterFiles::default());
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    tree.remove("parts.db");
    assert_eq!(paths(&disk, "sessions/").len(), 1);
    assert!(bytes_in(&disk, "packs/") > 5900);
    (disk, saved)
}

/// The disk's clock stands long before that of the hosts; so many nanoseconds lie between a touch and now.
const AGES: i64 = i64::MAX;

#[test]
fn what_a_backup_stored_before_it_was_cut_off_waits_for_the_next_one() {
    let tree = Tree::new();
    let (disk, mut saved) = cut_off(&tree);
    let keeps = PruneOptions { unfinished_ns: AGES, grace_ns: 0, ..options() };
    let report = prune_with(backend(disk.clone()), &keeps, 10).unwrap();
    assert!(report.plan.unfinished_bytes > 5000, "{report:#?}");
    assert_eq!((report.removed_packs, report.removed_sessions), (0, 0));
    let resumed = save(backend(disk.clone()), &tree, 11).unwrap();
    assert!(resumed.record.counts.new_stored_bytes < 1500, "it was stored again");
    saved.insert(resumed.id.unwrap(), tree.content());
    let report = prune_with(backend(disk.clone()), &keeps, 12).unwrap();
    assert!(report.plan.unfinished_bytes < 1500, "{report:#?}");
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
}

#[test]
fn after_its_time_it_goes_and_the_marker_too() {
    let tree = Tree::new();
    let (disk, saved) = cut_off(&tree);
    let report = prune_with(backend(disk.clone()), &options(), 10).unwrap();
    assert!(report.removed_bytes > 5000, "{report:#?}");
    assert_eq!((report.removed_sessions, report.plan.unfinished_bytes), (1, 0));
    assert_eq!(paths(&disk, "sessions/"), [""; 0]);
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
}

#[test]
fn a_touch_in_the_future_counts_from_now() {
    use larder::host::Host;
    let tree = Tree::new();
    let (disk, _) = cut_off(&tree);
    let now = host(10).now_ns();
    // The session is touched at a clock that is far ahead, and the clock is set right afterwards.
    disk.advance_clock(4 * (now - 1_780_000_000_000_000_000));
    let marker = larder::repo::backend::Key::new(paths(&disk, "sessions/")[0].clone()).unwrap();
    backend(disk.clone()).touch(&marker).unwrap();
    let report = prune_with(backend(disk.clone()), &options(), 10).unwrap();
    assert_eq!((report.removed_packs, report.removed_sessions), (0, 0));
    assert!(report.plan.unfinished_bytes > 5000);
    let none = PruneOptions { unfinished_ns: 0, ..options() };
    let report = prune_with(backend(disk.clone()), &none, 11).unwrap();
    assert!(report.removed_bytes > 5000 && report.removed_sessions == 1);
}

#[test]
fn a_first_backup_that_was_cut_off_is_no_reason_to_refuse_and_lost_records_are() {
    let tree = Tree::new();
    let (disk, _) = cut_off(&tree);
    for path in paths(&disk, "snapshots/") {
        assert!(disk.lose(&path));
    }
    let before = paths(&disk, "packs/");
    let error = prune_with(backend(disk.clone()), &options(), 10).unwrap_err();
    assert_eq!(error.kind(), larder::error::ErrorKind::Damage, "{error}");
    assert_eq!(paths(&disk, "packs/"), before);

    let (disk, tree) = (fresh(), Tree::new());
    tree.fill("large", 2, 5000);
    tree.write("parts.db", b"SQLite format 3\0");
    interrupted(&disk, &tree, 2, &StopsAfterFiles::default()).unwrap_err();
    let report = prune_with(backend(disk.clone()), &options(), 10).unwrap();
    assert!(report.removed_bytes > 5000);
    assert_eq!(paths(&disk, "packs/"), [""; 0]);
}
