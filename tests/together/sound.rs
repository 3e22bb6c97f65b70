//! What must hold after a schedule, said as an error instead of a panic: a schedule that breaks a rule on purpose shall be found out.

use std::collections::BTreeSet;

use larder::id::SnapshotId;
use larder::observe::Unobserved;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, check};
use larder::repo::prune::GRACE_NS;
use larder_testkit::sim_disk::SimDisk;

use crate::product::rig::{backend, host, open};
use crate::product::tree::{Content, read_back};

use super::world::{Saved, World, patient, prune_with, save_as};

/// What the pieces of work have said.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises {
    /// Must be there, and be this.
    pub(super) saved: Saved,
    /// May be there or not; where they are there, they are this.
    pub(super) possible: Saved,
    /// Must not be there.
    pub(super) forgotten: BTreeSet<SnapshotId>,
    /// What a snapshot may hold that nobody has reported.
    pub(super) states: Vec<Content>,
}

impl Promises {
    pub(super) fn of(world: &World) -> Self {
        Self {
            saved: world.saved.clone(),
            possible: world.gone.iter().cloned().collect(),
            forgotten: BTreeSet::new(),
            states: vec![world.shelf.content(), world.bench.content()],
        }
    }

    pub(super) fn judge(&self, id: &SnapshotId, content: &Content) -> Result<(), String> {
        if self.forgotten.contains(id) {
            return Err(format!("snapshot {id} was forgotten and is back"));
        }
        let promise = self.saved.get(id).or_else(|| self.possible.get(id));
        let fits = match promise {
            Some(promise) => promise == content,
            None => self.states.contains(content),
        };
        if fits { Ok(()) } else { Err(format!("snapshot {id} differs from what was saved")) }
    }

    pub(super) fn kept(&self, disk: &SimDisk) -> Result<(), String> {
        let found = read_all(disk)?;
        for (id, content) in &found {
            self.judge(id, content)?;
        }
        match self.saved.keys().find(|id| !found.contains_key(id)) {
            None => Ok(()),
            Some(id) => Err(format!("snapshot {id} was saved and is lost")),
        }
    }
}

/// Everything that must hold on a disk as the next process finds it.
pub(super) fn sound(world: &World, disk: &SimDisk, promises: &Promises) -> Result<(), String> {
    promises.kept(disk)?;
    clean(disk)?;
    let mut promises = promises.clone();
    let report = save_as(backend(disk.clone()), &world.shelf, "shelf", &host(90))
        .map_err(|error| format!("the next backup: {error}"))?;
    if !report.damage.is_empty() {
        return Err(format!("the next backup meets damage: {:?}", report.damage));
    }
    promises.saved.extend(report.id.map(|id| (id, world.shelf.content())));
    promises.kept(disk).map_err(|error| format!("after the next backup: {error}"))?;
    prune_with(backend(disk.clone()), &patient(GRACE_NS), &host(91))
        .map_err(|error| format!("the next prune: {error}"))?;
    promises.kept(disk).map_err(|error| format!("after the next prune: {error}"))?;
    clean(disk).map_err(|error| format!("after the next prune: {error}"))
}

pub(super) fn clean(disk: &SimDisk) -> Result<(), String> {
    let say = |error: &dyn std::fmt::Display| format!("check: {error}");
    let repository = open(backend(disk.clone())).map_err(|error| say(&error))?;
    let catalog = Catalog::open(&repository).map_err(|error| say(&error))?;
    let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved)
        .map_err(|error| say(&error))?;
    if report.is_clean() {
        return Ok(());
    }
    Err(format!("check finds {:?} {:?}", report.findings, report.missing))
}

/// Every snapshot that is there, read back whole.
pub(super) fn read_all(disk: &SimDisk) -> Result<Saved, String> {
    let repository = open(backend(disk.clone())).map_err(|error| format!("open: {error}"))?;
    let catalog = Catalog::open(&repository).map_err(|error| format!("open: {error}"))?;
    if !catalog.damage().is_empty() || !catalog.missing().is_empty() {
        return Err(format!("opening finds {:?} {:?}", catalog.damage(), catalog.missing()));
    }
    let mut found = Saved::new();
    for (snapshot, _) in catalog.snapshots() {
        let content = read_back(&catalog, snapshot)
            .map_err(|error| format!("snapshot {} cannot be read: {error}", snapshot.id))?;
        found.insert(snapshot.id, content);
    }
    Ok(found)
}
