//! Who may work at the same time, and what the dead leave behind.

use std::sync::Arc;

use larder::error::{Error, ErrorKind, Result};
use larder::observe::Unobserved;
use larder::ops::backup::{BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::repo::disk::Disk;
use larder::repo::locks::try_alone;
use larder_testkit::fault_backend::{FaultBackend, Verb};
use larder_testkit::sim_disk::{Pattern, SimDisk};

use super::rig::{
    CopyCapture, Meanwhile, StopsAtDatabases, backend, check_all, fresh, host, open, options, save,
    settled,
};
use super::tree::{Tree, read_back};

/// A backup of `shelf` in whose middle something else happens.
fn save_while(disk: &SimDisk, tree: &Tree, work: impl Fn() + Sync) -> Result<BackupReport> {
    let meanwhile = Meanwhile::new(work);
    let repository = open(backend(disk.clone()))?;
    let report = backup(&repository, &options(tree), &meanwhile, &host(40), &Unobserved);
    assert_eq!(meanwhile.times(), 1);
    report
}

fn save_as(disk: &SimDisk, tree: &Tree, source: &str, process: u64) -> Result<BackupReport> {
    let mut options = options(tree);
    options.source = Some(source.into());
    let repository = open(backend(disk.clone()))?;
    backup(&repository, &options, &CopyCapture, &host(process), &Unobserved)
}

#[test]
fn two_backups_of_one_source_exclude_each_other_and_the_second_says_who_is_first() {
    let (disk, tree) = (fresh(), Tree::new());
    let report = save_while(&disk, &tree, || {
        let error = save(backend(disk.clone()), &tree, 41).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        let text = error.to_string();
        for part in ["\"shelf\"", "`larder backup`", "testhost", "4711"] {
            assert!(text.contains(part), "{text} does not name {part}");
        }
    });
    report.unwrap();
    save(backend(disk.clone()), &tree, 42).unwrap();
    assert_eq!(disk.list("snapshots").unwrap().len(), 2);
}

#[test]
fn an_interrupted_session_is_not_said_to_hold_the_lock() {
    let (disk, tree) = (fresh(), Tree::new());
    interrupt(&disk, &tree);
    tree.change();
    let other = Tree::bare();
    let report = save_while(&disk, &tree, || {
        let error = save_as(&disk, &other, "shelf", 41).unwrap_err();
        // The roots differ, too, but there is no snapshot yet to tell: the lock is what stops it.
        assert_eq!(error.to_string().matches("`larder backup`").count(), 1, "{error}");
    });
    report.unwrap();
}

#[test]
fn different_sources_are_saved_at_once() {
    let (disk, tree, other) = (fresh(), Tree::new(), Tree::new());
    other.change();
    save_while(&disk, &tree, || {
        save_as(&disk, &other, "bench", 41).unwrap();
        assert_eq!(disk.list("tmp").unwrap().len(), 1, "the living writer's stage was swept");
        assert_eq!(disk.list("sessions").unwrap().len(), 1);
    })
    .unwrap();
    let repository = open(backend(disk.clone())).unwrap();
    assert!(check_all(&repository).unwrap().is_clean());
    let catalog = Catalog::open(&repository).unwrap();
    for (source, tree) in [("shelf", &tree), ("bench", &other)] {
        let snapshot = catalog.listing().newest(source).unwrap();
        assert!(read_back(&catalog, snapshot).unwrap() == tree.content(), "{source}");
    }
    assert_eq!(disk.list("sessions").unwrap(), []);
}

#[test]
fn check_and_reading_go_on_beside_a_backup_and_a_switch_does_not() {
    let (disk, tree) = (fresh(), Tree::new());
    save(backend(disk.clone()), &tree, 1).unwrap();
    let content = tree.content();
    tree.change();
    save_while(&disk, &tree, || {
        let repository = open(backend(disk.clone())).unwrap();
        assert!(check_all(&repository).unwrap().is_clean());
        let catalog = Catalog::open(&repository).unwrap();
        let snapshot = catalog.listing().newest("shelf").unwrap();
        assert!(read_back(&catalog, snapshot).unwrap() == content);
        assert!(try_alone(repository.backend()).unwrap().is_none());
    })
    .unwrap();
    assert!(try_alone(&*backend(disk)).unwrap().is_some());
}

/// A backup that is asked to stop once it has stored something.
fn interrupt(disk: &SimDisk, tree: &Tree) {
    let repository = open(backend(disk.clone())).unwrap();
    let outcome =
        backup(&repository, &options(tree), &CopyCapture, &host(30), &StopsAtDatabases::default());
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
}

#[test]
fn what_a_dead_writer_left_unfinished_is_swept() {
    let tree = Tree::new();
    let whole = fresh();
    save(backend(whole.clone()), &tree, 40).unwrap();
    let mut swept = 0;
    for n in 0..whole.operations() {
        let disk = fresh();
        disk.crash_at(n);
        let _cut_short = save(backend(disk.clone()), &tree, 40);
        let after = disk.crash_with(Pattern::Everything);
        swept += after.list("tmp").unwrap().len();
        save_as(&after, &tree, "bench", 41).unwrap();
        assert_eq!(after.list("tmp").unwrap(), [], "operation {n}");
    }
    assert!(swept > 10, "{swept} of {} crashes left anything", whole.operations());
}

#[test]
fn a_pack_that_goes_while_a_backup_builds_on_it_stops_the_backup() {
    let (disk, tree) = (fresh(), Tree::new());
    save(backend(disk.clone()), &tree, 1).unwrap();
    let old: Vec<String> =
        disk.files().into_keys().filter(|path| path.starts_with("packs/")).collect();
    tree.change();
    let mut stopped = 0;
    for (process, path) in (50..).zip(old) {
        let disk = settled(&disk);
        let meanwhile = Meanwhile::new(|| assert!(disk.lose(&path)));
        let repository = open(backend(disk.clone())).unwrap();
        let outcome = backup(&repository, &options(&tree), &meanwhile, &host(process), &Unobserved);
        match outcome {
            Ok(report) => {
                // Nothing of the pack is needed any more: what was in it has changed.
                let catalog = Catalog::open(&repository).unwrap();
                let newest = catalog.listing().newest("shelf").unwrap();
                assert_eq!(Some(newest.id), report.id);
                assert!(read_back(&catalog, newest).unwrap() == tree.content(), "{path}");
            }
            Err(error) => {
                stopped += 1;
                assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
                assert_eq!(disk.list("snapshots").unwrap().len(), 1, "{path}");
            }
        }
    }
    assert!(stopped > 0, "no pack was relied upon");
}

#[test]
fn a_segment_that_goes_while_a_backup_builds_on_it_stops_the_backup() {
    let (disk, tree) = (fresh(), Tree::new());
    save(backend(disk.clone()), &tree, 1).unwrap();
    let segment = disk.files().into_keys().find(|path| path.starts_with("index/")).unwrap();
    tree.change();
    let error = save_while(&disk, &tree, || assert!(disk.lose(&segment))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
    assert!(error.to_string().contains(&segment), "{error}");
    assert_eq!(disk.list("snapshots").unwrap().len(), 1);
    // The next one begins without that segment and stores what it cannot find.
    save(backend(disk.clone()), &tree, 42).unwrap();
    let repository = open(backend(disk)).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    let newest = catalog.listing().newest("shelf").unwrap();
    assert!(read_back(&catalog, newest).unwrap() == tree.content());
}

#[test]
fn segments_that_are_merged_while_a_backup_builds_on_them_are_found_in_the_merged_one() {
    let (disk, tree, other) = (fresh(), Tree::new(), Tree::bare());
    for night in 1..=8 {
        other.write("night", format!("{night}").as_bytes());
        save_as(&disk, if night == 1 { &tree } else { &other }, &format!("of {night}"), night)
            .unwrap();
    }
    let before = disk.list("index").unwrap();
    save_while(&disk, &tree, || {
        other.write("night", b"9");
        save_as(&disk, &other, "of 9", 50).unwrap();
        let after = disk.list("index").unwrap();
        assert!(before.iter().any(|segment| !after.contains(segment)), "nothing was merged");
    })
    .unwrap();
    let repository = open(backend(disk)).unwrap();
    let report = check_all(&repository).unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    let catalog = Catalog::open(&repository).unwrap();
    let newest = catalog.listing().newest("shelf").unwrap();
    assert!(newest.record.counts.new_stored_bytes < 2500, "the image was stored again");
    assert!(read_back(&catalog, newest).unwrap() == tree.content());
}

#[test]
fn an_interrupted_backup_keeps_its_marker_and_its_packs_are_used() {
    let (disk, tree) = (fresh(), Tree::new());
    interrupt(&disk, &tree);
    assert_eq!(disk.list("sessions").unwrap().len(), 1);
    assert!(!disk.list("packs").unwrap().is_empty());
    let resumed = save(backend(disk.clone()), &tree, 41).unwrap();
    let anew = save(backend(fresh()), &tree, 41).unwrap();
    let stored = |report: &BackupReport| report.record.counts.new_stored_bytes;
    assert!(stored(&resumed) + 2500 < stored(&anew), "the image was stored again");
    assert_eq!(disk.list("sessions").unwrap().len(), 1, "only prune knows when it may go");
}

#[test]
fn a_session_that_published_nothing_leaves_no_marker() {
    let (disk, tree) = (fresh(), Tree::new());
    let calls = FaultBackend::new(backend(disk.clone()));
    calls.fail_verb(Verb::Append, 3, std::io::ErrorKind::Other);
    save(Arc::new(calls.clone()), &tree, 40).unwrap_err();
    assert!(calls.fired());
    assert_eq!(calls.count(Verb::Announce), 1);
    assert_eq!(disk.list("sessions").unwrap(), []);
    assert_eq!(disk.list("packs").unwrap(), []);
}

#[test]
fn a_missing_config_is_written_again_by_the_next_backup() {
    let tree = Tree::new();
    for lost in ["config", "config.copy"] {
        let disk = settled(&fresh());
        let right = disk.files()[lost].clone();
        assert!(disk.lose(lost));
        let report = save(backend(disk.clone()), &tree, 40).unwrap();
        assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
        assert_eq!(disk.files()[lost], right);
        assert!(check_all(&open(backend(disk)).unwrap()).unwrap().is_clean());
    }
}

#[test]
fn a_rehearsal_waits_for_a_switch_like_a_backup() {
    let (disk, tree) = (fresh(), Tree::new());
    let repository = open(backend(disk.clone())).unwrap();
    let rehearse = || {
        let mut options = options(&tree);
        options.dry_run = true;
        backup(&repository, &options, &CopyCapture, &host(2), &Unobserved)
    };
    let alone = try_alone(repository.backend()).unwrap().unwrap();
    assert_eq!(rehearse().unwrap_err().kind(), ErrorKind::Locked);
    drop(alone);
    assert!(rehearse().unwrap().id.is_none());
}
