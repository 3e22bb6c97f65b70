//! One process is killed, another one finishes, and only then does the power fail.
//!
//! What the first has named, and not made durable, the second sees and may rely
//! upon: then it has to sync that itself.

use std::sync::Arc;

use larder::error::Result;
use larder::id::{PackId, SnapshotId};
use larder::ops::prune::{Kept, undo};
use larder::repo::backend::Backend;
use larder::repo::facts::Facts;
use larder_testkit::sim_disk::{Operation, Pattern, SimDisk};

use super::rig::{
    AT_ONCE, Saved, Tree, assert_clean, backend, forget_one, fresh, host, night, open, paths,
    prune_now, read_all, save, settled, three_nights,
};
use super::scenario::Scenario;

/// Three nights, the first forgotten.
struct Forgotten {
    tree: Tree,
    disk: SimDisk,
    promised: Saved,
    first: SnapshotId,
    of_first: Saved,
}

impl Forgotten {
    fn new() -> Self {
        let tree = Tree::new();
        let (disk, mut promised, first) = three_nights(&tree);
        forget_one(backend(disk.clone()), first, 10).unwrap();
        let of_first = [(first, promised.remove(&first).unwrap())].into();
        Self { tree, disk: settled(&disk), promised, first, of_first }
    }

    fn pruned() -> Self {
        let forgotten = Self::new();
        prune_now(backend(forgotten.disk.clone()), 11).unwrap();
        Self { disk: settled(&forgotten.disk), ..forgotten }
    }

    fn scenario<'a>(&'a self, work: &'a dyn Fn(Arc<dyn Backend>) -> Result<()>) -> Scenario<'a> {
        Scenario {
            base: settled(&self.disk),
            promised: self.promised.clone(),
            possible: self.of_first.clone(),
            tree: &self.tree,
            work,
        }
    }

    /// The first night comes back, and is promised again.
    fn brought_back(&self, disk: &SimDisk) -> Saved {
        bring_back(backend(disk.clone()), self.first, 46).unwrap();
        self.of_first.clone()
    }

    /// A file of the first night is there again, and a backup relies on what is stored of it.
    fn saved_again(&self, disk: &SimDisk) -> Saved {
        self.tree.fill("goes", 2, 1200);
        let mut saved = Saved::new();
        night(disk, &self.tree, 46, &mut saved);
        self.tree.remove("goes");
        saved
    }
}

fn bring_back(backend: Arc<dyn Backend>, id: SnapshotId, number: u64) -> Result<()> {
    let repository = open(backend)?;
    let report = undo(&repository, &[id], &host(number), AT_ONCE)?;
    let is_there = report.back.len() == 1 || report.kept == [(id, Kept::There)];
    assert!(is_there, "{report:?}");
    Ok(())
}

/// Within the grace of the trash.
fn prune_in(backend: Arc<dyn Backend>, number: u64) -> Result<()> {
    prune_now(backend, number).map(drop)
}

fn pruned(disk: &SimDisk) -> Saved {
    prune_in(backend(disk.clone()), 13).unwrap();
    Saved::new()
}

#[test]
fn a_record_that_a_killed_forget_moved_does_not_come_back_without_its_packs() {
    let tree = Tree::new();
    let (base, mut promised, first) = three_nights(&tree);
    let possible = [(first, promised.remove(&first).unwrap())].into();
    let work = |backend: Arc<dyn Backend>| forget_one(backend, first, 40);
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.killed_then(&pruned);
}

#[test]
fn a_prune_goes_on_where_another_was_killed() {
    let forgotten = Forgotten::new();
    let work = |backend: Arc<dyn Backend>| prune_in(backend, 12);
    forgotten.scenario(&work).killed_then(&pruned);
}

#[test]
fn an_undo_brings_back_what_a_killed_prune_had_moved() {
    let forgotten = Forgotten::new();
    let work = |backend: Arc<dyn Backend>| prune_in(backend, 12);
    forgotten.scenario(&work).killed_then(&|disk| forgotten.brought_back(disk));
}

#[test]
fn an_undo_relies_on_nothing_that_a_killed_undo_left_unsynced() {
    let forgotten = Forgotten::pruned();
    let work = |backend: Arc<dyn Backend>| bring_back(backend, forgotten.first, 40);
    forgotten.scenario(&work).killed_then(&|disk| forgotten.brought_back(disk));
}

/// Does the work up to before the sync that follows the moves from a directory.
fn killed_after_moving(disk: &SimDisk, from: &str, work: &dyn Fn(Arc<dyn Backend>) -> Result<()>) {
    let whole = settled(disk);
    work(backend(whole.clone())).unwrap();
    let log = whole.log();
    let is_move = |it: &Operation| it.verb == "rename" && it.path.starts_with(from);
    let last = log.iter().rposition(|it| is_move(it) && it.path.contains("/pack-"));
    let at = disk.operations() + last.unwrap() as u64 + 1;
    disk.crash_at(at);
    work(backend(disk.clone())).unwrap_err();
    disk.revive();
}

#[test]
fn a_backup_relies_on_no_pack_that_a_killed_undo_left_unsynced() {
    let forgotten = Forgotten::new();
    let disk = settled(&forgotten.disk);
    killed_after_moving(&disk, "packs/", &|backend| prune_in(backend, 12));
    killed_after_moving(&disk, "trash/", &|backend| bring_back(backend, forgotten.first, 13));
    assert!(paths(&disk, "trash/").iter().all(|path| path.contains("/snapshot-")));
    let mut promised = forgotten.promised.clone();
    promised.extend(forgotten.saved_again(&disk));
    for pattern in (0..64).map(Pattern::from_seed) {
        let after = disk.crash_with(pattern);
        assert_eq!(read_all(&after, &format!("{pattern:?}")), promised, "{pattern:?}");
    }
}

#[test]
fn a_backup_after_a_killed_prune_relies_on_nothing_that_may_go() {
    let forgotten = Forgotten::new();
    let work = |backend: Arc<dyn Backend>| prune_in(backend, 12);
    forgotten.scenario(&work).killed_then(&|disk| forgotten.saved_again(disk));
}

#[test]
fn a_prune_after_a_killed_undo_removes_nothing_that_may_be_needed() {
    let forgotten = Forgotten::pruned();
    let work = |backend: Arc<dyn Backend>| bring_back(backend, forgotten.first, 40);
    forgotten.scenario(&work).killed_then(&pruned);
}

/// A night whose only file is rotten, and the pack that it is in: its first blob, behind a header of 96 bytes.
fn rotten(tree: &Tree, number: u64) -> (SimDisk, Saved, PackId) {
    let (disk, mut saved) = (fresh(), Saved::new());
    tree.fill("file", 1, 3000);
    night(&disk, tree, number, &mut saved);
    let long = |path: &String| disk.files()[path].len() > 3000;
    let pack = paths(&disk, "packs/").into_iter().find(long).unwrap();
    let mut bytes = disk.files()[&pack].clone();
    bytes[1500] ^= 1;
    assert!(disk.overwrite(&pack, &bytes));
    (settled(&disk), saved, pack.strip_prefix("packs/").unwrap().parse().unwrap())
}

fn call_damaged(disk: &SimDisk, pack: PackId) -> Result<()> {
    let repository = open(backend(disk.clone()))?;
    let facts = Facts::read(&repository)?;
    Ok(facts.publish_damaged(&repository, &[(pack, 96)], &host(40))?)
}

/// Kills who says that the file is damaged, stores it anew where that was to be seen, and prunes after a power loss. Returns how
/// often it was to be seen.
fn heal_by_what_was_seen(number: u64) -> u32 {
    let tree = Tree::new();
    let (base, mut promised, pack) = rotten(&tree, number);
    let counted = settled(&base);
    call_damaged(&counted, pack).unwrap();
    tree.fill("again", 1, 3000);
    let mut seen = 0;
    for n in 0..counted.operations() {
        let disk = settled(&base);
        disk.crash_at(n);
        let _cut_short = call_damaged(&disk, pack);
        disk.revive();
        if paths(&disk, "facts/").is_empty() {
            continue;
        }
        seen += 1;
        let id = save(backend(disk.clone()), &tree, 46).unwrap().id.unwrap();
        promised.insert(id, tree.content());
        for pattern in (0..8).map(Pattern::from_seed) {
            let after = disk.crash_with(pattern);
            prune_now(backend(after.clone()), 51).unwrap();
            let when = format!("killed at {n}, then {pattern:?}");
            assert_eq!(read_all(&after, &when), promised, "{when}");
            assert_clean(&after, &when);
        }
        promised.remove(&id);
    }
    seen
}

#[test]
fn what_a_killed_check_said_of_a_place_stays_said_once_a_backup_went_by_it() {
    // Which of two equal places a prune keeps goes by the names of their packs: some of these are the smaller ones.
    let seen: u32 = (1..5).map(heal_by_what_was_seen).sum();
    assert!(seen > 4, "no kill left a fact that was only visible");
}
