//! Repositories as they are before everybody begins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use larder::error::Result;
use larder::host::Host;
use larder::id::SnapshotId;
use larder::observe::Unobserved;
use larder::ops::backup::{BackupReport, backup};
use larder::ops::prune::prune;
use larder::repo::backend::Backend;
use larder::repo::disk::Disk;
use larder::repo::forget::forget;
use larder::repo::prune::{GRACE_NS, PruneOptions, PruneReport};
use larder::repo::space::MinFree;
use larder_testkit::host::TestHost;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::SimDisk;

use crate::product::rig::{CopyCapture, backend, fresh, host, open, options, settled};
use crate::product::tree::{Content, Tree};

/// The promised snapshots of a repository.
pub(super) type Saved = BTreeMap<SnapshotId, Content>;

/// How a repository came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What only the night to be forgotten has is in the sources again: its pack dies unless tonight's backups rely on it.
    Returning,
    /// So many segments that the next backup merges them.
    ManySegments,
    /// A night was forgotten and pruned before, and can still be brought back.
    InTheTrash,
}

/// A repository, and its sources as they are tonight.
pub(super) struct World {
    pub(super) base: SimDisk,
    pub(super) shelf: Tree,
    pub(super) bench: Tree,
    /// All snapshots that are there.
    pub(super) saved: Saved,
    /// The one that is forgotten tonight.
    pub(super) forget: SnapshotId,
    /// One that was forgotten before, and what it held.
    pub(super) gone: Option<(SnapshotId, Content)>,
    /// One that is restored meanwhile.
    pub(super) keep: SnapshotId,
}

impl World {
    pub(super) fn new(kind: Kind) -> Self {
        let (disk, shelf, bench) = (fresh(), Tree::new(), Tree::bare());
        disk.advance_clock(host(40).now_ns() - modified_ns(&disk));
        let mut saved = Saved::new();
        let mut save = |tree: &Tree, source: &str, number: u64| {
            let id = save_as(backend(disk.clone()), tree, source, &host(number)).unwrap();
            saved.insert(id.id.unwrap(), tree.content());
            id.id.unwrap()
        };
        let returns = Seeded::new(21).bytes(3000);
        save(&shelf, "shelf", 1);
        shelf.write("sub/returns.bin", &returns);
        let mut forget = save(&shelf, "shelf", 2);
        shelf.remove("sub/returns.bin");
        shelf.change();
        let keep = save(&shelf, "shelf", 3);
        bench.write("a.bin", &Seeded::new(22).bytes(1500));
        save(&bench, "bench", 4);
        let mut gone = None;
        if kind == Kind::ManySegments {
            for number in 5..10 {
                bench.write("a.bin", &Seeded::new(30 + number).bytes(400));
                save(&bench, "bench", number);
            }
        }
        if kind == Kind::InTheTrash {
            bench.write("b.bin", &Seeded::new(40).bytes(900));
            let next = save(&bench, "bench", 5);
            bench.remove("b.bin");
            save(&bench, "bench", 6);
            forget_one(backend(disk.clone()), forget, &host(10)).unwrap();
            prune_with(backend(disk.clone()), &patient(60 * GRACE_NS), &host(11)).unwrap();
            gone = Some((forget, saved.remove(&forget).unwrap()));
            forget = next;
        }
        shelf.write("sub/returns.bin", &returns);
        // After the database in the order of the walk: what the walk reads of the night before, it has read when the first file is stored,
        // so that the calls of a backup have one order.
        shelf.write("sub/tonight.txt", b"tonight");
        bench.write("returns.bin", &returns);
        bench.write("new.bin", &Seeded::new(23).bytes(700));
        Self { base: settled(&disk), shelf, bench, saved, forget, gone, keep }
    }
}

/// What the clock of the disk shows.
fn modified_ns(disk: &SimDisk) -> i64 {
    disk.stat("config").unwrap().modified_ns
}

pub(super) fn save_as(
    backend: Arc<dyn Backend>,
    tree: &Tree,
    source: &str,
    host: &TestHost,
) -> Result<BackupReport> {
    let mut options = options(tree);
    options.source = Some(source.into());
    backup(&open(backend)?, &options, &CopyCapture, host, &Unobserved)
}

pub(super) fn forget_one(backend: Arc<dyn Backend>, id: SnapshotId, host: &TestHost) -> Result<()> {
    forget(&open(backend)?, &[id], host)?;
    Ok(())
}

/// Waits for others only where the disk lets it.
pub(super) fn patient(grace_ns: i64) -> PruneOptions {
    PruneOptions {
        wait: Duration::ZERO,
        min_free: MinFree { asked_bytes: Some(0) },
        grace_ns,
        ..PruneOptions::default()
    }
}

pub(super) fn prune_with(
    backend: Arc<dyn Backend>,
    options: &PruneOptions,
    host: &TestHost,
) -> Result<PruneReport> {
    prune(&open(backend)?, options, host, &Unobserved)
}
