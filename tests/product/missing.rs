//! Records and facts that are lost, damaged, superseded or of another time.

use larder::codec::fact::{Statement, Subject};
use larder::error::{ErrorKind, Result};
use larder::id::SnapshotId;
use larder::ops::catalog::Catalog;
use larder::ops::tag::{TagChange, tag};
use larder::repo::facts::Facts;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{backend, check_all, fresh, host, open, save};
use super::tree::{Tree, read_back};

/// A repository with so many nights of one source.
fn nights(tree: &Tree, count: u64) -> (SimDisk, Vec<SnapshotId>) {
    let disk = fresh();
    let ids = (1..=count).map(|night| night_of(&disk, tree, night)).collect();
    (disk, ids)
}

fn night_of(disk: &SimDisk, tree: &Tree, night: u64) -> SnapshotId {
    tree.write("night", format!("{night}").as_bytes());
    save(backend(disk.clone()), tree, night).unwrap().id.unwrap()
}

fn record_path(id: &SnapshotId) -> String {
    format!("snapshots/{id}")
}

fn missing(disk: &SimDisk) -> Vec<SnapshotId> {
    let report = check_all(&open(backend(disk.clone())).unwrap()).unwrap();
    assert_eq!(report.is_clean(), report.missing.is_empty() && report.findings.is_empty());
    assert!(report.missing.iter().all(|missing| missing.source == "shelf"));
    report.missing.iter().map(|missing| missing.id).collect()
}

fn state(disk: &SimDisk, subject: Subject, statement: Statement, process: u64) -> Result<()> {
    let repository = open(backend(disk.clone()))?;
    let facts = Facts::read(&repository)?;
    Ok(facts.publish(&repository, vec![(subject, statement)], &host(process))?)
}

fn forget(disk: &SimDisk, id: SnapshotId, process: u64) {
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    let record = catalog.listing().snapshots.iter().find(|snapshot| snapshot.id == id).unwrap();
    let statement = Statement::Record {
        source: "shelf".into(),
        sequence: record.record.sequence,
        present: record.record.siblings.present.clone(),
    };
    drop(catalog);
    state(disk, Subject::Forgotten { snapshot: id }, statement, process).unwrap();
    assert!(disk.lose(&record_path(&id)));
}

fn sequences(disk: &SimDisk) -> Vec<u64> {
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    catalog.snapshots().map(|(snapshot, _)| snapshot.record.sequence).collect()
}

#[test]
fn a_lost_record_is_missing_every_night_until_it_is_forgotten() {
    let tree = Tree::bare();
    let (disk, ids) = nights(&tree, 3);
    assert_eq!(missing(&disk), []);
    assert!(disk.lose(&record_path(&ids[0])));
    assert_eq!(missing(&disk), [ids[0]]);
    for night in 4..8 {
        night_of(&disk, &tree, night);
        assert_eq!(missing(&disk), [ids[0]], "night {night}");
    }
    let statement = Statement::Record { source: "shelf".into(), sequence: 1, present: Vec::new() };
    state(&disk, Subject::Forgotten { snapshot: ids[0] }, statement, 20).unwrap();
    assert_eq!(missing(&disk), []);
    night_of(&disk, &tree, 21);
    assert_eq!(missing(&disk), []);
}

#[test]
fn a_record_that_rotted_and_was_then_lost_is_missing() {
    let tree = Tree::bare();
    let (disk, ids) = nights(&tree, 2);
    assert!(disk.overwrite(&record_path(&ids[0]), b"rot"));
    night_of(&disk, &tree, 3);
    assert!(disk.lose(&record_path(&ids[0])));
    assert_eq!(missing(&disk), [ids[0]]);
}

#[test]
fn a_forgotten_snapshot_is_not_missing_and_its_sequence_never_comes_back() {
    let tree = Tree::bare();
    let (disk, ids) = nights(&tree, 3);
    forget(&disk, ids[2], 10);
    assert_eq!(missing(&disk), []);
    night_of(&disk, &tree, 11);
    assert_eq!(sequences(&disk), [1, 2, 4]);
    forget(&disk, ids[0], 12);
    assert_eq!(missing(&disk), []);
}

#[test]
fn a_damaged_record_or_fact_is_a_finding_and_no_failure() {
    let tree = Tree::bare();
    let (disk, ids) = nights(&tree, 2);
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    tag(&catalog, &catalog.listing().snapshots[0], &[TagChange::Add("keep".into())], &host(5))
        .unwrap();
    drop(catalog);
    let fact = format!(
        "facts/{}",
        disk.files().keys().find_map(|path| path.strip_prefix("facts/")).unwrap()
    );
    for path in [fact, record_path(&ids[1])] {
        assert!(disk.overwrite(&path, b"rot"));
        let report = save(backend(disk.clone()), &tree, 6 + path.len() as u64).unwrap();
        assert!(report.damage.iter().any(|damage| damage.to_string().contains(&path)), "{path}");
        let catalog = Catalog::open(&repository).unwrap();
        let newest = catalog.listing().newest("shelf").unwrap();
        assert_eq!(Some(newest.id), report.id);
        assert!(read_back(&catalog, newest).unwrap() == tree.content());
    }
    assert_eq!(check_all(&repository).unwrap().findings.len(), 2);
}

#[test]
fn the_newest_fact_about_a_subject_counts() {
    let tree = Tree::bare();
    let (disk, ids) = nights(&tree, 1);
    let repository = open(backend(disk.clone())).unwrap();
    let changes = [TagChange::Add("a".into()), TagChange::Remove("a".into())];
    for (process, change) in (10..16).zip(changes.iter().cycle()) {
        let catalog = Catalog::open(&repository).unwrap();
        let snapshot = &catalog.listing().snapshots[0];
        // Clocks that run backwards do not matter.
        let tags =
            tag(&catalog, snapshot, std::slice::from_ref(change), &host(40 - process)).unwrap();
        drop(catalog);
        let catalog = Catalog::open(&repository).unwrap();
        let (snapshot, read) = catalog.snapshots().next().unwrap();
        assert_eq!((snapshot.id, read), (ids[0], &*tags.into_iter().collect::<Vec<_>>()));
        assert_eq!(read.is_empty(), matches!(change, TagChange::Remove(_)), "{change:?}");
    }
}

/// What a repository that needs an unknown feature lets this program do: read it, write to it.
fn allowed(to_read: bool, to_write: bool, to_prune: bool) -> (bool, bool) {
    let tree = Tree::bare();
    let (disk, _) = nights(&tree, 1);
    let subject = Subject::Feature { name: "tomorrow".into() };
    state(&disk, subject, Statement::Needed { to_read, to_write, to_prune }, 10).unwrap();
    let refused = |kind: ErrorKind| assert_eq!(kind, ErrorKind::Unsupported);
    let repository = open(backend(disk.clone())).unwrap();
    let read = Catalog::open(&repository).map(drop).map_err(|error| refused(error.kind()));
    let written = save(backend(disk), &tree, 11).map(drop).map_err(|error| refused(error.kind()));
    (read.is_ok(), written.is_ok())
}

#[test]
fn an_unknown_feature_forbids_what_it_says_and_no_more() {
    assert_eq!(allowed(false, false, true), (true, true));
    assert_eq!(allowed(false, true, false), (true, false));
    assert_eq!(allowed(true, true, true), (false, false));
}
