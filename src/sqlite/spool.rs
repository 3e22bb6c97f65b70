//! The private file that takes a captured database.
//!
//! Invariant: once bytes of a database are in a spool, neither the file nor its
//! directory has a name, so nothing of it outlives the processes that use it.
//! What a kill leaves before that, and copies that are recovered under a name,
//! the next spool sweeps away.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::sqlite::private_dir::PrivateDir;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk would have less free space than is to be left.
    #[error("{}: {need_bytes} bytes are needed, {free_bytes} are free, {min_free_bytes} must stay free", dir.display())]
    NoSpace {
        /// Where the spool was to be.
        dir: PathBuf,
        /// What the capture takes.
        need_bytes: u64,
        /// What the disk has.
        free_bytes: u64,
        /// What must be left.
        min_free_bytes: u64,
    },
    /// The directory is in memory, of which the spool would take more than a quarter.
    #[error("{}: is in memory: {need_bytes} bytes are needed, {memory_bytes} bytes of memory are free", dir.display())]
    InMemory {
        /// Where the spool was to be.
        dir: PathBuf,
        /// What the capture takes.
        need_bytes: u64,
        /// Memory that is free.
        memory_bytes: u64,
    },
    /// The disk became full.
    #[error("{}: became full", dir.display())]
    Full {
        /// Where the spool is.
        dir: PathBuf,
    },
    /// The directory cannot be used.
    #[error("{}: cannot hold a spool", dir.display())]
    Io {
        /// Where the spool was to be.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a directory could hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an unprivileged process may still write.
    pub free_bytes: u64,
    /// Bytes of free memory, when the directory is in memory.
    pub memory_bytes: Option<u64>,
}

impl Space {
    /// Looks at the file system of `dir`.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let free_bytes = fs2::available_space(dir)?;
        let kind = u64::try_from(rustix::fs::statfs(dir)?.f_type).unwrap_or_default();
        let in_memory = MEMORY_FILE_SYSTEMS.contains(&kind);
        let memory_bytes = in_memory.then(|| free_memory_bytes(&meminfo()));
        Ok(Self { free_bytes, memory_bytes })
    }

    /// Whether `need_bytes` fit into `dir`, which has this space, with `min_free_bytes` to spare.
    pub fn admit(
        &self,
        dir: &Path,
        need_bytes: u64,
        min_free_bytes: u64,
    ) -> Result<(), SpoolError> {
        self.admit_beside(0, (dir, need_bytes), min_free_bytes)
    }

    /// The same where spools of this run have `held_bytes` already: what they have is not free any more, and of memory all of them
    /// together may take a quarter.
    pub fn admit_beside(
        &self,
        held_bytes: u64,
        (dir, need_bytes): (&Path, u64),
        min_free_bytes: u64,
    ) -> Result<(), SpoolError> {
        let dir = dir.to_owned();
        if let Some(memory_bytes) = self.memory_bytes {
            let (need_bytes, memory_bytes) =
                (held_bytes.saturating_add(need_bytes), held_bytes.saturating_add(memory_bytes));
            if need_bytes > memory_bytes / 4 {
                return Err(SpoolError::InMemory { dir, need_bytes, memory_bytes });
            }
        }
        if need_bytes.saturating_add(min_free_bytes) > self.free_bytes {
            let free_bytes = self.free_bytes;
            return Err(SpoolError::NoSpace { dir, need_bytes, free_bytes, min_free_bytes });
        }
        Ok(())
    }
}

/// An unreadable figure counts as no memory: then nothing is spooled into it.
fn free_memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1024)
}

fn meminfo() -> String {
    fs::read_to_string("/proc/meminfo").unwrap_or_default()
}

/// A spool: a file 0600 in a directory 0700 that only its owner can enter.
#[derive(Debug)]
pub struct Spool {
    dir: Option<PrivateDir>,
    path: PathBuf,
    file: File,
    need_bytes: u64,
}

impl Spool {
    /// Makes one in `dir`, when the disk there can hold `need_bytes` and keep `min_free_bytes`.
    pub fn create_in(dir: &Path, need_bytes: u64, min_free_bytes: u64) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Io { dir: dir.to_owned(), source };
        let absolute = fs::canonicalize(dir).map_err(failed)?;
        Space::of(&absolute).map_err(failed)?.admit(&absolute, need_bytes, min_free_bytes)?;
        Self::make(&absolute, need_bytes).map_err(failed)
    }

    fn make(dir: &Path, need_bytes: u64) -> io::Result<Self> {
        let dir = PrivateDir::create_in(dir, ".larder-spool-")?;
        let path = dir.path().join("database");
        let file =
            File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { dir: Some(dir), path, file, need_bytes })
    }

    /// Where the helper opens it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory around it, for copies that have to be recovered; `None` once it is gone.
    pub fn private_dir(&self) -> Option<&Path> {
        self.dir.as_ref().map(PrivateDir::path)
    }

    /// What it was made to hold.
    pub fn need_bytes(&self) -> u64 {
        self.need_bytes
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Takes the names away, from the spool and from whatever else is in its directory.
    pub fn vanish(&mut self) -> io::Result<()> {
        self.dir.take().map_or(Ok(()), PrivateDir::close)
    }

    /// The file alone, without a name.
    pub fn into_file(mut self) -> io::Result<File> {
        self.vanish()?;
        match self.file.metadata()?.nlink() {
            0 => Ok(self.file),
            _ => Err(io::Error::other("the spool still has a name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_admitted_up_to_what_must_stay_free() {
        let disk = Space { free_bytes: 1000, memory_bytes: None };
        let dir = Path::new("/spool");
        assert!(disk.admit(dir, 900, 100).is_ok());
        assert!(matches!(
            disk.admit(dir, 901, 100),
            Err(SpoolError::NoSpace { need_bytes: 901, .. })
        ));
        assert!(matches!(disk.admit(dir, u64::MAX, u64::MAX), Err(SpoolError::NoSpace { .. })));
    }

    #[test]
    fn memory_is_admitted_up_to_a_quarter() {
        let memory = Space { free_bytes: 1 << 40, memory_bytes: Some(4000) };
        let dir = Path::new("/dev/shm");
        assert!(memory.admit(dir, 1000, 0).is_ok());
        assert!(matches!(
            memory.admit(dir, 1001, 0),
            Err(SpoolError::InMemory { memory_bytes: 4000, .. })
        ));
        let unknown =
            Space { free_bytes: 1 << 40, memory_bytes: Some(free_memory_bytes("nonsense")) };
        assert!(unknown.admit(dir, 1, 0).is_err());
    }

    #[test]
    fn memory_is_told_from_disk() {
        assert_eq!(Space::of(Path::new("/proc")).unwrap().memory_bytes, None);
        if fs::read_to_string("/proc/mounts").unwrap().contains(" /dev/shm tmpfs ") {
            assert!(Space::of(Path::new("/dev/shm")).unwrap().memory_bytes.unwrap() > 0);
        } else {
            eprintln!("SKIPPED: no tmpfs at /dev/shm");
        }
    }

    #[test]
    fn free_memory_is_read_in_kib() {
        let text = "MemTotal:  8 kB\nMemFree: 1 kB\nMemAvailable:     2048 kB\n";
        assert_eq!(free_memory_bytes(text), 2 * 1024 * 1024);
        assert_eq!(free_memory_bytes("MemAvailable: many kB"), 0);
    }

    #[test]
    fn a_spool_is_private_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::create_in(parent.path(), 10, 0).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(spool.path()), 0o600);
        assert_eq!(mode(spool.private_dir().unwrap()), 0o700);
        fs::write(spool.private_dir().unwrap().join("copy"), "x").unwrap();
        let file = spool.into_file().unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dropped_spool_leaves_nothing_either() {
        let parent = tempfile::tempdir().unwrap();
        drop(Spool::create_in(parent.path(), 10, 0).unwrap());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_directory_no_spool() {
        let missing = Path::new("/nonexistent/spool");
        assert!(matches!(Spool::create_in(missing, 0, 0), Err(SpoolError::Io { .. })));
        let full = Spool::create_in(&std::env::temp_dir(), 1 << 62, 0);
        assert!(matches!(full, Err(SpoolError::NoSpace { .. } | SpoolError::InMemory { .. })));
    }
}
