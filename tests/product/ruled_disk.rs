//! A disk between the product and the simulated one, with a rule of the test's.

use std::fmt;
use std::sync::Arc;

use larder::repo::disk::{
    DirEntry, Disk, DiskError, DiskFile, LockGuard, LockMode, Mapped, Result, Space, Stat,
};
use larder_testkit::sim_disk::SimDisk;

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Something that changes the disk, or makes it durable.
    Change,
    /// Bytes of a file are read or mapped.
    Read,
    /// A name or a directory is looked at.
    Look,
}

/// Decides what the disk lets happen.
pub(crate) trait Rule: Send + Sync + fmt::Debug {
    /// An error takes the place of the operation.
    fn admit(&self, intent: Intent, path: &str) -> Result<()>;

    /// What the disk says of its room.
    fn space(&self, space: Space) -> Space {
        space
    }
}

/// What an operation on this path fails with.
pub(crate) fn failure(path: &str, why: &'static str) -> DiskError {
    DiskError::new("do", path, std::io::Error::other(why))
}

/// The disk.
#[derive(Debug, Clone)]
pub(crate) struct RuledDisk {
    pub(crate) disk: SimDisk,
    pub(crate) rule: Arc<dyn Rule>,
}

impl Disk for RuledDisk {
    fn create_dir(&self, path: &str) -> Result<()> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.create_dir(path)
    }

    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>> {
        self.rule.admit(Intent::Change, path)?;
        let (file, rule) = (self.disk.create_new(path)?, Arc::clone(&self.rule));
        Ok(Box::new(RuledFile { file, rule, path: path.to_owned() }))
    }

    fn rename_noreplace(&self, from: &str, to: &str) -> Result<()> {
        self.rule.admit(Intent::Change, from)?;
        self.disk.rename_noreplace(from, to)
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.rule.admit(Intent::Change, from)?;
        self.disk.hard_link(from, to)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.unlink(path)
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.sync_dir(path)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.rule.admit(Intent::Read, path)?;
        self.disk.read_at(path, offset, buffer)
    }

    fn map(&self, path: &str) -> Result<Mapped> {
        self.rule.admit(Intent::Read, path)?;
        self.disk.map(path)
    }

    fn stat(&self, path: &str) -> Result<Stat> {
        self.rule.admit(Intent::Look, path)?;
        self.disk.stat(path)
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        self.rule.admit(Intent::Look, path)?;
        self.disk.list(path)
    }

    fn touch(&self, path: &str) -> Result<()> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.touch(path)
    }

    fn make_private(&self, path: &str) -> Result<()> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.make_private(path)
    }

    fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        self.rule.admit(Intent::Change, path)?;
        self.disk.lock(path, mode)
    }

    fn free_space(&self) -> Result<Space> {
        self.rule.admit(Intent::Look, "")?;
        Ok(self.rule.space(self.disk.free_space()?))
    }
}

struct RuledFile {
    file: Box<dyn DiskFile>,
    rule: Arc<dyn Rule>,
    path: String,
}

impl DiskFile for RuledFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.rule.admit(Intent::Change, &self.path)?;
        self.file.append(bytes)
    }

    fn sync_data(&mut self) -> Result<()> {
        self.rule.admit(Intent::Change, &self.path)?;
        self.file.sync_data()
    }

    fn lock(&mut self) -> Result<bool> {
        self.rule.admit(Intent::Change, &self.path)?;
        self.file.lock()
    }
}
