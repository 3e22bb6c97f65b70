//! What forgetting and pruning do when nothing goes wrong.

use larder::repo::prune::{PruneReport, outlook};
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    Saved, Tree, assert_clean, backend, bytes_in, forget_one, host, manifests, night, objects,
    open, options, paths, prune_now, prune_with, read_all, settled, three_nights,
};

#[test]
fn a_forgotten_night_gives_its_bytes_back_and_the_others_stay() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    let before = bytes_in(&disk, "packs/");
    forget_one(backend(disk.clone()), first, 10).unwrap();
    saved.remove(&first);
    assert_eq!(read_all(&disk, "forgotten"), saved);
    assert_clean(&disk, "forgotten");

    let report = prune_now(backend(disk.clone()), 11).unwrap();
    assert!(!report.plan.rewritten.is_empty() && !report.plan.gone.is_empty(), "{report:#?}");
    assert!(report.plan.rewritten_bytes <= 2 * report.plan.freed_bytes);
    assert_eq!(report.removed_packs, report.plan.leaving().len() as u64);
    assert!(report.pending.unwrap().bytes >= report.removed_bytes && report.emptied.bytes == 0);
    let after = bytes_in(&disk, "packs/");
    assert!(after + 1200 <= before, "{before} -> {after}");
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");

    // When its grace is over the trash is emptied, and there is nothing else to do.
    let files = objects(&disk);
    let report = prune_now(backend(disk.clone()), 14).unwrap();
    assert_eq!((report.removed_packs, report.written_packs, report.replaced_segments), (0, 0, 0));
    assert!(report.emptied.bytes > 1200 && report.pending.is_none());
    assert_eq!(paths(&disk, "trash/"), [""; 0]);
    assert_eq!(disk.list_names("trash"), [""; 0]);
    let kept = files.into_iter().filter(|(path, _)| !path.starts_with("trash/"));
    assert!(kept.eq(objects(&disk)));
}

trait ListNames {
    fn list_names(&self, directory: &str) -> Vec<String>;
}

impl ListNames for SimDisk {
    fn list_names(&self, directory: &str) -> Vec<String> {
        use larder::repo::disk::Disk;
        self.list(directory).unwrap().into_iter().map(|entry| entry.name).collect()
    }
}

#[test]
fn an_outlook_says_what_a_prune_then_does_and_changes_nothing() {
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let before = objects(&disk);
    let repository = open(backend(disk.clone())).unwrap();
    let outlook = outlook(&repository, &mut manifests(&repository), &options(), &host(11)).unwrap();
    assert!(objects(&disk) == before);
    let report = prune_now(backend(disk.clone()), 11).unwrap();
    assert_eq!(report.plan, outlook.plan);
    let went = |it: &PruneReport| (it.snapshots, it.removed_packs, it.removed_bytes, it.emptied);
    assert_eq!(went(&report), went(&outlook));
}

#[test]
fn nothing_forgotten_is_nothing_to_do() {
    let tree = Tree::new();
    let (disk, saved, _) = three_nights(&tree);
    let before = objects(&disk);
    let report = prune_now(backend(disk.clone()), 11).unwrap();
    assert_eq!((report.removed_packs, report.plan.freed_bytes), (0, 0));
    assert!(objects(&disk) == before);
    assert_eq!(read_all(&disk, "pruned"), saved);
}

#[test]
fn without_grace_the_trash_is_empty_at_once() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    saved.remove(&first);
    let now = larder::repo::prune::PruneOptions { grace_ns: 0, ..options() };
    let report = prune_with(backend(disk.clone()), &now, 11).unwrap();
    assert_eq!((report.pending, report.emptied.packs), (None, report.removed_packs));
    assert_eq!(report.emptied.snapshots, 1);
    assert_eq!(paths(&disk, "trash/"), [""; 0]);
    assert_eq!(read_all(&disk, "pruned"), saved);
}

#[test]
fn forgetting_everything_gives_everything_back() {
    let tree = Tree::new();
    let (disk, saved, _) = three_nights(&tree);
    for (number, id) in (10..).zip(saved.keys()) {
        forget_one(backend(disk.clone()), *id, number).unwrap();
    }
    let now = larder::repo::prune::PruneOptions { grace_ns: 0, ..options() };
    prune_with(backend(disk.clone()), &now, 20).unwrap();
    assert_eq!((paths(&disk, "packs/"), paths(&disk, "index/")), (vec![], vec![]));
    let mut saved = Saved::new();
    night(&disk, &tree, 21, &mut saved);
    assert_eq!(read_all(&disk, "anew"), saved);
    assert_clean(&disk, "anew");
}

#[test]
fn a_sequence_in_the_trash_is_not_given_again() {
    let tree = Tree::new();
    let (disk, mut saved, _) = three_nights(&tree);
    let last = sequence_of_newest(&disk);
    let newest = newest_id(&disk);
    forget_one(backend(disk.clone()), newest, 10).unwrap();
    saved.remove(&newest);
    // The fact that carries the sequence is lost; the record in the trash still has it.
    let disk = settled(&disk);
    for path in paths(&disk, "facts/") {
        assert!(disk.lose(&path));
    }
    night(&disk, &tree, 11, &mut saved);
    assert_eq!(sequence_of_newest(&disk), last + 1);
}

fn newest_id(disk: &SimDisk) -> larder::id::SnapshotId {
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = larder::ops::catalog::Catalog::open(&repository).unwrap();
    catalog.listing().newest("shelf").unwrap().id
}

fn sequence_of_newest(disk: &SimDisk) -> u64 {
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = larder::ops::catalog::Catalog::open(&repository).unwrap();
    catalog.listing().newest("shelf").unwrap().record.sequence
}

#[test]
fn facts_that_say_nothing_any_more_go() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    saved.remove(&first);
    assert_eq!(paths(&disk, "facts/").len(), 1);
    // The newest record still names the forgotten night.
    prune_now(backend(disk.clone()), 11).unwrap();
    assert_eq!(paths(&disk, "facts/").len(), 1);
    tree.write("fourth", b"night");
    night(&disk, &tree, 12, &mut saved);
    let report = prune_now(backend(disk.clone()), 13).unwrap();
    assert_eq!((report.removed_facts, paths(&disk, "facts/").len()), (1, 0));
    assert_eq!(read_all(&disk, "tidied"), saved);
}

#[test]
fn a_superseded_fact_goes_and_the_one_that_counts_stays() {
    use larder::ops::catalog::Catalog;
    use larder::ops::tag::{TagChange, tag};
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    for (process, change) in
        (10..).zip([TagChange::Add("keep".into()), TagChange::Remove("keep".into())])
    {
        let repository = open(backend(disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let snapshot = catalog.listing().snapshots.iter().find(|it| it.id == first).unwrap();
        tag(&catalog, snapshot, &[change], &host(process)).unwrap();
    }
    assert_eq!(paths(&disk, "facts/").len(), 2);
    let report = prune_now(backend(disk.clone()), 13).unwrap();
    assert_eq!((report.removed_facts, paths(&disk, "facts/").len()), (1, 1));
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    assert!(catalog.snapshots().all(|(_, tags)| tags.is_empty()));
}
