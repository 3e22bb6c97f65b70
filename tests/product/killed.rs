//! A writer that is killed while the machine lives on, then another one, then a power loss.
//!
//! The second writer finds names that the first gave and never synced. What it
//! builds upon them must not hang on their luck.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::error::Result;
use larder::ops::catalog::Catalog;
use larder::ops::tag::{TagChange, tag};
use larder::repo::backend::Backend;
use larder::repo::disk::{
    DirEntry, Disk, DiskError, DiskFile, LockGuard, LockMode, Mapped, Result as DiskResult, Space,
    Stat,
};
use larder_testkit::campaign;
use larder_testkit::sim_disk::{Pattern, SimDisk};

use super::rig::{backend, check_all, fresh, host, open, save, settled};
use super::tree::{Tree, read_back};

/// A process's view of a disk: after so many changing operations every one fails, as for the dead.
#[derive(Debug, Clone)]
struct Mortal {
    disk: SimDisk,
    left: Arc<AtomicU64>,
}

impl Mortal {
    fn new(disk: &SimDisk, operations: u64) -> Self {
        Self { disk: disk.clone(), left: Arc::new(AtomicU64::new(operations)) }
    }

    fn is_dead(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn alive(&self, path: &str) -> DiskResult<()> {
        if self.is_dead() {
            return Err(DiskError::new("live", path, std::io::Error::other("killed")));
        }
        Ok(())
    }

    fn spend(&self, path: &str) -> DiskResult<()> {
        self.alive(path)?;
        self.left.fetch_sub(1, Ordering::Relaxed);
        if self.is_dead() { self.alive(path) } else { Ok(()) }
    }
}

impl Disk for Mortal {
    fn create_dir(&self, path: &str) -> DiskResult<()> {
        self.spend(path)?;
        self.disk.create_dir(path)
    }

    fn create_new(&self, path: &str) -> DiskResult<Box<dyn DiskFile>> {
        self.spend(path)?;
        let file = self.disk.create_new(path)?;
        Ok(Box::new(MortalFile { owner: self.clone(), file, path: path.to_owned() }))
    }

    fn rename_noreplace(&self, from: &str, to: &str) -> DiskResult<()> {
        self.spend(from)?;
        self.disk.rename_noreplace(from, to)
    }

    fn hard_link(&self, from: &str, to: &str) -> DiskResult<()> {
        self.spend(from)?;
        self.disk.hard_link(from, to)
    }

    fn unlink(&self, path: &str) -> DiskResult<()> {
        self.spend(path)?;
        self.disk.unlink(path)
    }

    fn remove_dir(&self, path: &str) -> DiskResult<()> {
        self.spend(path)?;
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &str) -> DiskResult<()> {
        self.spend(path)?;
        self.disk.sync_dir(path)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> DiskResult<()> {
        self.alive(path)?;
        self.disk.read_at(path, offset, buffer)
    }

    fn map(&self, path: &str) -> DiskResult<Mapped> {
        self.alive(path)?;
        self.disk.map(path)
    }

    fn stat(&self, path: &str) -> DiskResult<Stat> {
        self.alive(path)?;
        self.disk.stat(path)
    }

    fn list(&self, path: &str) -> DiskResult<Vec<DirEntry>> {
        self.alive(path)?;
        self.disk.list(path)
    }

    fn touch(&self, path: &str) -> DiskResult<()> {
        self.spend(path)?;
        self.disk.touch(path)
    }

    fn make_private(&self, path: &str) -> DiskResult<()> {
        self.spend(path)?;
        self.disk.make_private(path)
    }

    fn lock(&self, path: &str, mode: LockMode) -> DiskResult<Option<Box<dyn LockGuard>>> {
        self.spend(path)?;
        self.disk.lock(path, mode)
    }

    fn free_space(&self) -> DiskResult<Space> {
        self.alive("")?;
        self.disk.free_space()
    }
}

struct MortalFile {
    owner: Mortal,
    file: Box<dyn DiskFile>,
    path: String,
}

impl DiskFile for MortalFile {
    fn append(&mut self, bytes: &[u8]) -> DiskResult<()> {
        self.owner.spend(&self.path)?;
        self.file.append(bytes)
    }

    fn sync_data(&mut self) -> DiskResult<()> {
        self.owner.spend(&self.path)?;
        self.file.sync_data()
    }

    fn lock(&mut self) -> DiskResult<bool> {
        self.owner.spend(&self.path)?;
        self.file.lock()
    }
}

/// Kills a backup after each of its operations, lets the second work go on at the same disk, then cuts the power.
fn killed_everywhere(
    base: &SimDisk,
    tree: &Tree,
    second: impl Fn(Arc<dyn Backend>) -> Result<()>,
    assert: impl Fn(&SimDisk, &str),
) {
    let whole = settled(base);
    save(backend(whole.clone()), tree, 40).unwrap();
    for n in 1..=whole.operations() {
        let disk = settled(base);
        let mortal = Mortal::new(&disk, n);
        let _cut_short = save(backend(mortal.clone()), tree, 40);
        assert!(mortal.is_dead(), "the kill at operation {n} never came");
        second(backend(disk.clone())).unwrap_or_else(|error| panic!("operation {n}: {error}"));
        let mut seen = HashSet::new();
        for pattern in campaign::seeds("crash", 8).map(Pattern::from_seed) {
            let after = disk.crash_with(pattern);
            if seen.insert(after.files().into_iter().collect::<Vec<_>>()) {
                assert(&after, &format!("killed at operation {n}, {pattern:?}"));
            }
        }
    }
}

#[test]
fn a_backup_on_a_dead_writers_segments_survives_a_power_loss() {
    let tree = Tree::new();
    let base = fresh();
    let saved = std::cell::Cell::new(None);
    let second = |backend: Arc<dyn Backend>| {
        saved.set(save(backend, &tree, 41)?.id);
        Ok(())
    };
    killed_everywhere(&base, &tree, second, |after, when| {
        let repository = open(backend(after.clone())).unwrap();
        let report = check_all(&repository).unwrap();
        assert!(report.is_clean(), "{when}: {:#?} {:#?}", report.findings, report.missing);
        let catalog = Catalog::open(&repository).unwrap();
        let id = saved.get().unwrap();
        let snapshot = catalog.snapshots().map(|(snapshot, _)| snapshot).find(|s| s.id == id);
        let snapshot = snapshot.unwrap_or_else(|| panic!("{when}: the snapshot is gone"));
        assert!(read_back(&catalog, snapshot).unwrap() == tree.content(), "{when}");
    });
}

#[test]
fn a_tag_on_a_dead_writers_snapshot_survives_with_the_snapshot() {
    let tree = Tree::new();
    let base = fresh();
    let tagged = std::cell::Cell::new(None);
    let second = |backend: Arc<dyn Backend>| {
        let repository = open(backend)?;
        let catalog = Catalog::open(&repository)?;
        tagged.set(None);
        if let Some(snapshot) = catalog.listing().newest("shelf") {
            tag(&catalog, snapshot, &[TagChange::Add("keep".into())], &host(41))?;
            tagged.set(Some(snapshot.id));
        }
        Ok(())
    };
    killed_everywhere(&base, &tree, second, |after, when| {
        let Some(id) = tagged.get() else { return };
        let repository = open(backend(after.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let (snapshot, tags) = catalog
            .snapshots()
            .find(|(snapshot, _)| snapshot.id == id)
            .unwrap_or_else(|| panic!("{when}: the tagged snapshot is gone"));
        assert_eq!(tags, ["keep"], "{when}");
        assert!(read_back(&catalog, snapshot).unwrap() == tree.content(), "{when}");
    });
}
