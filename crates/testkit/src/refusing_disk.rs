//! A disk that does not offer everything, as network, FUSE and FAT file systems do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use larder::repo::disk::{
    DirEntry, Disk, DiskError, DiskFile, LockGuard, LockMode, Mapped, Result, Space, Stat,
};
use rustix::io::Errno;

/// An operation that a file system may not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// `renameat2(RENAME_NOREPLACE)`: EINVAL on NFS and many FUSE file systems.
    RenameNoReplace,
    /// `link`: EPERM on FAT.
    HardLink,
    /// `fsync` of a directory: EINVAL on SMB.
    SyncDir,
    /// `chmod`: EPERM on FAT and on network mounts with a fixed owner.
    MakePrivate,
    /// `flock`: ENOLCK on NFS without its lock daemon.
    Lock,
    /// `mmap`: ENODEV on some FUSE file systems.
    Map,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RenameNoReplace,
        Self::HardLink,
        Self::SyncDir,
        Self::MakePrivate,
        Self::Lock,
        Self::Map,
    ];

    fn errno(self) -> Errno {
        match self {
            Self::RenameNoReplace | Self::SyncDir => Errno::INVAL,
            Self::HardLink | Self::MakePrivate => Errno::PERM,
            Self::Lock => Errno::NOLCK,
            Self::Map => Errno::NODEV,
        }
    }
}

/// Another disk, less some operations.
#[derive(Debug, Clone)]
pub struct RefusingDisk {
    disk: Arc<dyn Disk>,
    refused: BTreeSet<Refused>,
}

impl RefusingDisk {
    /// This disk without these operations.
    pub fn new(disk: Arc<dyn Disk>, refused: impl IntoIterator<Item = Refused>) -> Self {
        Self { disk, refused: refused.into_iter().collect() }
    }

    fn offers(&self, what: Refused, verb: &'static str, path: &str) -> Result<()> {
        if self.refused.contains(&what) {
            return Err(DiskError::new(verb, path, what.errno().into()));
        }
        Ok(())
    }
}

impl Disk for RefusingDisk {
    fn create_dir(&self, path: &str) -> Result<()> {
        self.disk.create_dir(path)
    }

    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>> {
        let file = self.disk.create_new(path)?;
        let lockable = self.offers(Refused::Lock, "lock", path).is_ok();
        Ok(if lockable { file } else { Box::new(UnlockableFile { file, path: path.to_owned() }) })
    }

    fn rename_noreplace(&self, from: &str, to: &str) -> Result<()> {
        self.offers(Refused::RenameNoReplace, "rename", from)?;
        self.disk.rename_noreplace(from, to)
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.offers(Refused::HardLink, "link", from)?;
        self.disk.hard_link(from, to)
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.disk.unlink(path)
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.offers(Refused::SyncDir, "sync directory", path)?;
        self.disk.sync_dir(path)
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.disk.read_at(path, offset, buffer)
    }

    fn map(&self, path: &str) -> Result<Mapped> {
        self.offers(Refused::Map, "map", path)?;
        self.disk.map(path)
    }

    fn stat(&self, path: &str) -> Result<Stat> {
        self.disk.stat(path)
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        self.disk.list(path)
    }

    fn touch(&self, path: &str) -> Result<()> {
        self.disk.touch(path)
    }

    fn make_private(&self, path: &str) -> Result<()> {
        self.offers(Refused::MakePrivate, "make private", path)?;
        self.disk.make_private(path)
    }

    fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        self.offers(Refused::Lock, "lock", path)?;
        self.disk.lock(path, mode)
    }

    fn free_space(&self) -> Result<Space> {
        self.disk.free_space()
    }
}

struct UnlockableFile {
    file: Box<dyn DiskFile>,
    path: String,
}

impl DiskFile for UnlockableFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes)
    }

    fn sync_data(&mut self) -> Result<()> {
        self.file.sync_data()
    }

    fn lock(&mut self) -> Result<bool> {
        Err(DiskError::new("lock", self.path.as_str(), Refused::Lock.errno().into()))
    }
}
