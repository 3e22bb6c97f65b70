//! A disk in memory that knows which of its bytes and names would survive a
//! power loss.
//!
//! Two views are kept: what programs see, and what is durable. A sync moves
//! bytes or names from the first to the second; closing a file does not.
//! [`SimDisk::crash`] gives the disk as the next boot finds it, where an
//! adversary keeps, drops or tears whatever was not synced. `world` holds the
//! two views, `names` the unsynced directory operations, `crash` the adversary,
//! `schedule` the planned failures, `handle` the [`Disk`](larder::repo::disk::Disk)
//! over them.
//!
//! The model is stricter than a real journal: directory operations survive
//! independently of each other, except that one on a name survives only with
//! those on the same name before it. A rename between directories happens
//! wholly or not at all, and is durable only when both directories are synced.
//! A failed sync drops the pages, and the next sync of that file succeeds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use rustix::io::Errno;

pub use crash::Pattern;
pub use schedule::{Operation, Repeat};
use world::World;

mod crash;
mod handle;
mod locks;
mod names;
mod schedule;
mod world;

/// A simulated disk; clones are further programs on the same machine.
#[derive(Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// An empty disk without a limit, at an arbitrary fixed time.
    pub fn new() -> Self {
        Self::over(World::new())
    }

    fn over(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk after a power loss now. Seeds 0 to 3 are the four extremes, any other is a mix of its own.
    /// This disk goes on unchanged.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        self.crash_with(Pattern::from_seed(seed))
    }

    /// The disk after a power loss now, with this choice of what survives.
    #[must_use]
    pub fn crash_with(&self, pattern: Pattern) -> Self {
        Self::over(crash::survivors(&self.world(), pattern))
    }

    /// How many operations so far tried to change the disk or make it durable.
    pub fn operations(&self) -> u64 {
        self.world().schedule.changes()
    }

    /// How many operations so far only looked.
    pub fn reads(&self) -> u64 {
        self.world().schedule.reads()
    }

    /// What was tried so far, in order, reads left out.
    pub fn log(&self) -> Vec<Operation> {
        self.world().schedule.log().to_vec()
    }

    /// The machine dies before the n-th operation that changes something (from 0, counted from the disk's beginning):
    /// that one and all after it, reads too, fail and do nothing.
    pub fn crash_at(&self, n: u64) {
        self.world().schedule.crash_at(n);
    }

    /// It was only the program that died at [`crash_at`](Self::crash_at): for others the disk is as it left it, durable or not.
    pub fn revive(&self) {
        self.world().schedule.revive();
    }

    /// The n-th operation that changes something (from 0) fails. A failing append leaves half its bytes, a failing sync drops
    /// the pages that it should have written.
    pub fn fail_at(&self, n: u64, errno: Errno, repeat: Repeat) {
        self.world().schedule.fail_change(n, errno, repeat);
    }

    /// The n-th operation that only looks (from 0) fails.
    pub fn fail_read_at(&self, n: u64, errno: Errno, repeat: Repeat) {
        self.world().schedule.fail_read(n, errno, repeat);
    }

    /// What was tried after the first look that failed as planned, in order, looks left out.
    pub fn log_after_failed_read(&self) -> Vec<Operation> {
        let world = self.world();
        let before = world.schedule.before_failed_read().and_then(|at| usize::try_from(at).ok());
        before.and_then(|at| world.schedule.log().get(at..)).unwrap_or_default().to_vec()
    }

    /// True when every planned crash and failure has happened, and there was one.
    pub fn fired(&self) -> bool {
        self.world().schedule.fired()
    }

    /// From now on every file together may hold so many bytes; more is "no space left".
    pub fn set_limit_bytes(&self, limit: Option<u64>) {
        self.world().limit_bytes = limit;
    }

    /// From now on changes are refused as on a file system mounted read-only.
    pub fn set_read_only(&self, read_only: bool) {
        self.world().schedule.read_only = read_only;
    }

    /// From now on syncs of data, or of names, report success and do nothing, as a drive with a volatile cache may. A crash test
    /// that still passes then proves nothing.
    pub fn lie_about_syncs(&self, data: bool, names: bool) {
        let mut world = self.world();
        (world.lies_about_data, world.lies_about_names) = (data, names);
    }

    /// Lets time pass.
    pub fn advance_clock(&self, nanoseconds: i64) {
        let mut world = self.world();
        world.clock_ns = world.clock_ns.saturating_add(nanoseconds);
    }

    /// All files as programs see them, by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.world().files()
    }

    /// Damage: gives a file, which must exist, other bytes, durably and outside any count. False when it does not exist.
    pub fn overwrite(&self, path: &str, bytes: &[u8]) -> bool {
        self.world().overwrite(path, bytes)
    }

    /// Damage: takes a file away, durably and outside any count. False when it does not exist.
    pub fn lose(&self, path: &str) -> bool {
        self.world().lose(path)
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("operations", &self.operations()).finish_non_exhaustive()
    }
}
