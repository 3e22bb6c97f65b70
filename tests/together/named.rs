//! Orders that have a name: one piece of work before each call of another, and a crash between any two steps.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use larder::error::{ErrorKind, Result};
use larder::repo::disk::Result as DiskResult;
use larder::repo::prune::GRACE_NS;
use larder_testkit::campaign;
use larder_testkit::sim_disk::{Pattern, SimDisk};

use crate::product::rig::{backend, host, settled};
use crate::product::ruled_disk::{Intent, Rule, RuledDisk};

use super::sound::{Promises, sound};
use super::world::{Kind, World, forget_one, patient, prune_with, save_as};

type Work = Box<dyn FnOnce() + Send>;

/// Something else happens before the n-th call.
struct Before {
    n: u64,
    calls: AtomicU64,
    work: Mutex<Option<Work>>,
}

impl fmt::Debug for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "before call {}", self.n)
    }
}

impl Rule for Before {
    fn admit(&self, _: Intent, _: &str) -> DiskResult<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.n
            && let Some(work) = self.work.lock().unwrap().take()
        {
            work();
        }
        Ok(())
    }
}

/// A world in which a night was just forgotten.
fn forgotten(kind: Kind) -> (World, Promises) {
    let mut world = World::new(kind);
    forget_one(backend(world.base.clone()), world.forget, &host(30)).unwrap();
    world.base = settled(&world.base);
    world.saved.remove(&world.forget);
    let mut promises = Promises::of(&world);
    promises.forgotten.insert(world.forget);
    (world, promises)
}

/// How many calls a prune makes when nobody else is there.
fn calls_of_prune(world: &World) -> u64 {
    let disk = settled(&world.base);
    let rule = Arc::new(Before { n: u64::MAX, calls: AtomicU64::new(0), work: Mutex::default() });
    let ruled = RuledDisk { disk, rule: rule.clone() };
    prune_with(backend(ruled), &patient(GRACE_NS), &host(40)).unwrap();
    rule.calls.load(Ordering::Relaxed)
}

/// Before the n-th call of a prune, all of this happens; how the prune ended.
fn prune_with_work_before(
    n: u64,
    disk: &SimDisk,
    work: impl FnOnce() + Send + 'static,
) -> Result<()> {
    let work: Mutex<Option<Work>> = Mutex::new(Some(Box::new(work)));
    let rule = Arc::new(Before { n, calls: AtomicU64::new(0), work });
    let ruled = RuledDisk { disk: disk.clone(), rule: rule.clone() };
    let outcome = prune_with(backend(ruled), &patient(GRACE_NS), &host(40)).map(drop);
    assert!(rule.work.lock().unwrap().is_none(), "call {n} never came");
    outcome
}

/// Every `stride`-th call, beginning elsewhere for each seed of the campaign: with as many seeds as the stride, every call.
fn places(calls: u64, stride: u64) -> impl Iterator<Item = u64> {
    let from = campaign::seeds("beside-prune", 1);
    from.flat_map(move |seed| (seed % stride..calls).step_by(usize::try_from(stride).unwrap()))
}

#[test]
fn beside_prune_a_second_prune_at_any_call() {
    let (world, promises) = forgotten(Kind::Returning);
    let (mut first, mut second) = (0, 0);
    for n in places(calls_of_prune(&world), 4) {
        let disk = settled(&world.base);
        let other = Arc::new(Mutex::new(None));
        let (said, beside) = (Arc::clone(&other), disk.clone());
        let outcome = prune_with_work_before(n, &disk, move || {
            let report = prune_with(backend(beside), &patient(GRACE_NS), &host(41));
            *said.lock().unwrap() = Some(report);
        });
        outcome.unwrap_or_else(|error| panic!("call {n}: {error}"));
        match other.lock().unwrap().take().unwrap() {
            Ok(report) => second += u64::from(report.removed_packs > 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Locked, "call {n}: {error}");
                first += 1;
            }
        }
        sound(&world, &disk, &promises).unwrap_or_else(|why| panic!("call {n}: {why}"));
    }
    assert!(first > 0 && second > 0, "{first} were told to wait, {second} did the work");
}

fn segments(disk: &SimDisk) -> BTreeSet<String> {
    disk.files().into_keys().filter(|path| path.starts_with("index/")).collect()
}

#[test]
fn beside_prune_a_backup_that_would_merge_segments_at_any_call() {
    let (world, promises) = forgotten(Kind::ManySegments);
    let (calls, world) = (calls_of_prune(&world), Arc::new(world));
    let before = segments(&world.base);
    let (mut merged, mut kept_out) = (0, 0);
    for n in places(calls, 6) {
        let disk = settled(&world.base);
        let outcome = Arc::new(Mutex::new(None));
        let (said, beside, its) = (Arc::clone(&outcome), disk.clone(), Arc::clone(&world));
        let pruned = prune_with_work_before(n, &disk, move || {
            let saved = save_as(backend(beside.clone()), &its.bench, "bench", &host(41));
            *said.lock().unwrap() = Some((saved, segments(&beside)));
        });
        let (saved, after) = outcome.lock().unwrap().take().unwrap();
        let mut promises = promises.clone();
        match saved {
            Ok(report) => {
                promises.saved.insert(report.id.unwrap(), world.bench.content());
                *(if before.is_subset(&after) { &mut kept_out } else { &mut merged }) += 1;
            }
            // In the middle of the switch, which cannot go on while the backup waits for it.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "call {n}: {error}"),
        }
        pruned.unwrap_or_else(|error| panic!("call {n}: {error}"));
        sound(&world, &disk, &promises).unwrap_or_else(|why| panic!("call {n}: {why}"));
    }
    assert!(merged > 0 && kept_out > 0, "{merged} merged, {kept_out} found the prune at work");
}

/// The backup after the crash needs again what the prune was about to remove; then the next prune comes.
#[test]
fn crash_between_steps_of_a_prune_then_a_backup_and_another_prune() {
    for kind in [Kind::Returning, Kind::InTheTrash] {
        let (world, promises) = forgotten(kind);
        let prune = |disk: &SimDisk| {
            prune_with(backend(disk.clone()), &patient(GRACE_NS), &host(40)).map(drop)
        };
        let whole = settled(&world.base);
        prune(&whole).unwrap();
        for n in 0..whole.operations() {
            let disk = settled(&world.base);
            disk.crash_at(n);
            let _cut_short = prune(&disk);
            assert!(disk.fired(), "operation {n} never came");
            let mut seen = HashSet::new();
            for pattern in campaign::seeds("crash", 4).map(Pattern::from_seed) {
                let after = disk.crash_with(pattern);
                if seen.insert(after.files().into_iter().collect::<Vec<_>>()) {
                    let sound = sound(&world, &after, &promises);
                    sound.unwrap_or_else(|why| panic!("operation {n}, {pattern:?}: {why}"));
                }
            }
        }
    }
}
