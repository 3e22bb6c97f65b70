//! A disk of which every call is a turn.

use std::fmt;
use std::sync::Arc;

use larder::repo::disk::{
    DirEntry, Disk, DiskFile, LockGuard, LockMode, Mapped, Result, Space, Stat,
};

use super::Inner;

/// Which locks are waited for. Others are only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Those that are shared: as a backup or a reader waits.
    Shared,
    /// Those too that are taken alone: as a maintainer waits.
    Exclusive,
}

/// Says of verb and path whether the call is only pretended: a lock that is had without being taken, a sync that does nothing.
pub type LeftOut = fn(&str, &str) -> bool;

/// Another disk, one call at a time.
#[derive(Clone)]
pub struct TurnDisk {
    inner: Arc<Inner>,
    seat: usize,
    disk: Arc<dyn Disk>,
    patience: Patience,
    left_out: LeftOut,
}

impl TurnDisk {
    pub(super) fn new(
        inner: Arc<Inner>,
        seat: usize,
        disk: Arc<dyn Disk>,
        patience: Patience,
    ) -> Self {
        Self { inner, seat, disk, patience, left_out: |_, _| false }
    }

    /// The same, with calls that are only pretended. A test that still passes then proves nothing.
    #[must_use]
    pub fn without(self, left_out: LeftOut) -> Self {
        Self { left_out, ..self }
    }

    fn turn<T>(
        &self,
        verb: &'static str,
        path: &str,
        work: impl FnOnce(&dyn Disk) -> Result<T>,
    ) -> Result<T> {
        let _turn = self.inner.turn(self.seat, verb, path)?;
        work(&*self.disk)
    }

    fn waits_for(&self, path: &str, mode: LockMode) -> bool {
        path.starts_with("locks/")
            && !path.starts_with("locks/source-")
            && (mode == LockMode::Shared || self.patience == Patience::Exclusive)
    }
}

impl fmt::Debug for TurnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnDisk").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl Disk for TurnDisk {
    fn create_dir(&self, path: &str) -> Result<()> {
        self.turn("create directory", path, |disk| disk.create_dir(path))
    }

    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>> {
        let file = self.turn("create", path, |disk| disk.create_new(path))?;
        Ok(Box::new(TurnFile { disk: self.clone(), path: path.to_owned(), file }))
    }

    fn rename_noreplace(&self, from: &str, to: &str) -> Result<()> {
        let what = format!("{from} -> {to}");
        self.turn("rename", &what, |disk| disk.rename_noreplace(from, to))
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.turn("link", &format!("{from} -> {to}"), |disk| disk.hard_link(from, to))
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.turn("remove", path, |disk| disk.unlink(path))
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.turn("remove directory", path, |disk| disk.remove_dir(path))
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        let only_pretend = (self.left_out)("sync directory", path);
        self.turn(
            "sync directory",
            path,
            |disk| {
                if only_pretend { Ok(()) } else { disk.sync_dir(path) }
            },
        )
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.turn("read", path, |disk| disk.read_at(path, offset, buffer))
    }

    fn map(&self, path: &str) -> Result<Mapped> {
        self.turn("map", path, |disk| disk.map(path))
    }

    fn stat(&self, path: &str) -> Result<Stat> {
        self.turn("stat", path, |disk| disk.stat(path))
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        self.turn("list", path, |disk| disk.list(path))
    }

    fn touch(&self, path: &str) -> Result<()> {
        self.turn("touch", path, |disk| disk.touch(path))
    }

    fn make_private(&self, path: &str) -> Result<()> {
        self.turn("make private", path, |disk| disk.make_private(path))
    }

    /// A lock that somebody holds and that is waited for: others go on until one is given back, then it is tried again.
    fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        let verb = if mode == LockMode::Shared { "share" } else { "lock" };
        if (self.left_out)(verb, path) {
            return self.turn(verb, path, |_| Ok(Some(Box::new(Pretended) as Box<dyn LockGuard>)));
        }
        loop {
            let taken = self.turn(verb, path, |disk| {
                let taken = disk.lock(path, mode)?;
                if taken.is_none() && self.waits_for(path, mode) {
                    self.inner.bar(self.seat);
                }
                Ok(taken)
            })?;
            match taken {
                Some(guard) => {
                    let inner = Arc::clone(&self.inner);
                    return Ok(Some(Box::new(TurnLock { guard: Some(guard), inner })));
                }
                None if self.waits_for(path, mode) => {}
                None => return Ok(None),
            }
        }
    }

    fn free_space(&self) -> Result<Space> {
        self.turn("ask for free space", "", |disk| disk.free_space())
    }
}

struct Pretended;

impl LockGuard for Pretended {}

struct TurnLock {
    guard: Option<Box<dyn LockGuard>>,
    inner: Arc<Inner>,
}

impl LockGuard for TurnLock {}

impl Drop for TurnLock {
    fn drop(&mut self) {
        drop(self.guard.take());
        self.inner.released();
    }
}

struct TurnFile {
    disk: TurnDisk,
    path: String,
    file: Box<dyn DiskFile>,
}

impl DiskFile for TurnFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let _turn = self.disk.inner.turn(self.disk.seat, "append", &self.path)?;
        self.file.append(bytes)
    }

    fn sync_data(&mut self) -> Result<()> {
        let _turn = self.disk.inner.turn(self.disk.seat, "sync", &self.path)?;
        if (self.disk.left_out)("sync", &self.path) { Ok(()) } else { self.file.sync_data() }
    }

    fn lock(&mut self) -> Result<bool> {
        let _turn = self.disk.inner.turn(self.disk.seat, "lock", &self.path)?;
        self.file.lock()
    }
}
