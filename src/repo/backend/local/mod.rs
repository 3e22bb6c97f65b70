//! The backend over a disk.
//!
//! Here live the mapping of keys to paths and of disk errors to answers about
//! objects; `medium` is the disk together with what it has refused, `publish`
//! gives names, `stage` is where objects grow. Not here: system calls (the
//! disk's), meanings of names (the repository's).
//!
//! Invariant: an object grows in `tmp/<stage>/` and gets its final name only
//! after its bytes are durable. Nothing in `tmp/` is ever read back as an
//! object.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::repo::backend::{Backend, BackendError, Key, ObjectInfo, Refusal, Result, Stage};
use crate::repo::disk::{Disk, DiskError, DiskErrorKind, LockGuard, LockMode, Mapped, Space, Stat};

use medium::Medium;
use stage::LocalStage;

mod medium;
mod publish;
mod stage;

/// The directory of all stages.
const STAGES: &str = "tmp";

/// Longer ranges are compared with the object's length before memory is set aside for them: 1 MiB.
const UNPROVED_LEN: usize = 1 << 20;

/// Objects as files of a disk.
pub struct LocalBackend {
    medium: Arc<Medium>,
}

impl LocalBackend {
    /// A backend whose objects lie under the disk's root.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { medium: Arc::new(Medium::new(disk)) }
    }

    fn disk(&self) -> &dyn Disk {
        self.medium.disk()
    }

    fn read(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        let end = offset.saturating_add(len as u64);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(len).map_err(|_| {
            BackendError::Disk(DiskError::new(
                "read",
                key.as_str(),
                io::ErrorKind::OutOfMemory.into(),
            ))
        })?;
        buffer.resize(len, 0);
        match self.disk().read_at(key.as_str(), offset, &mut buffer) {
            Ok(()) => Ok(buffer),
            Err(error) if error.kind() == DiskErrorKind::ShortRead => Err(short(key, end)),
            Err(error) => Err(about(key, error)),
        }
    }

    /// Creates a directory and those above it; notes the parents, whose names must become durable.
    fn create_path(&self, directory: &str, parents: &mut BTreeSet<String>) -> Result<()> {
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
        for end in ends {
            let (path, _) = directory.split_at(end);
            match self.disk().create_dir(path) {
                Ok(()) => self.medium.probe_private(path)?,
                Err(error) if error.kind() == DiskErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
            parents.insert(parent(path).to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for LocalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalBackend").field(&self.disk()).finish()
    }
}

impl Backend for LocalBackend {
    fn get(&self, key: &Key) -> Result<Vec<u8>> {
        let len = self.disk().stat(key.as_str()).map_err(|error| about(key, error))?.len;
        let len = usize::try_from(len).map_err(|_| short(key, len))?;
        self.read(key, 0, len)
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        if len > UNPROVED_LEN {
            let end = offset.saturating_add(len as u64);
            if self.stat(key)?.len < end {
                return Err(short(key, end));
            }
        }
        self.read(key, offset, len)
    }

    fn map(&self, key: &Key) -> Result<Mapped> {
        match self.disk().map(key.as_str()) {
            Err(error) if error.kind() == DiskErrorKind::Unsupported => {
                Ok(Box::new(self.get(key)?))
            }
            other => other.map_err(|error| about(key, error)),
        }
    }

    fn stat(&self, key: &Key) -> Result<ObjectInfo> {
        let stat = self.disk().stat(key.as_str()).map_err(|error| about(key, error))?;
        Ok(info(key.name().to_owned(), stat))
    }

    fn list(&self, directory: &str) -> Result<Vec<ObjectInfo>> {
        let entries = match self.disk().list(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut objects: Vec<_> =
            entries.into_iter().map(|entry| info(entry.name, entry.stat)).collect();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        match self.medium.publish(from.as_str(), to.as_str()) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == DiskErrorKind::AlreadyExists => Err(about(to, error)),
            // Not found may be the object or the directory that it shall go to.
            Err(error)
                if error.kind() == DiskErrorKind::NotFound
                    && self.disk().stat(from.as_str()).is_ok() =>
            {
                Err(error.into())
            }
            Err(error) => Err(about(from, error)),
        }
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.disk().unlink(key.as_str()).map_err(|error| about(key, error))
    }

    fn touch(&self, key: &Key) -> Result<()> {
        self.disk().touch(key.as_str()).map_err(|error| about(key, error))
    }

    fn sync(&self, directory: &str) -> Result<()> {
        // A name that came from a stage is durable only when the stage's directory is, too; its writer may have died between.
        for stage in self.list(STAGES)?.iter().filter(|stage| stage.is_dir) {
            gone(self.medium.sync_dir(&format!("{STAGES}/{}", stage.name)))?;
        }
        Ok(self.medium.sync_dir(directory)?)
    }

    fn create_directories(&self, directories: &[&str]) -> Result<()> {
        // Parents of existing ones are synced too: whoever made those may have died before it could.
        let mut parents = BTreeSet::new();
        for directory in directories {
            self.create_path(directory, &mut parents)?;
        }
        parents.iter().try_for_each(|parent| self.sync(parent))
    }

    fn remove_directory(&self, directory: &str) -> Result<()> {
        gone(self.disk().remove_dir(directory))
    }

    fn stage(&self, name: &str) -> Result<Box<dyn Stage>> {
        Ok(Box::new(LocalStage::new(Arc::clone(&self.medium), stage_directory(name)?)))
    }

    fn sweep_stage(&self, name: &str) -> Result<bool> {
        let directory = stage_directory(name)?;
        let entries = match self.disk().list(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            gone(self.disk().unlink(&format!("{directory}/{}", entry.name)))?;
        }
        // Objects that the dead writer named and did not sync: once the directory is gone, nobody could make their names durable.
        gone(self.medium.sync_dir(&directory))?;
        gone(self.disk().remove_dir(&directory))?;
        Ok(true)
    }

    fn lock(&self, key: &Key, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        match self.medium.lock(key.as_str(), mode) {
            // A copy of a repository made by hand may lack an empty directory. Locks need no durability, so neither does this.
            Err(error) if error.kind() == DiskErrorKind::NotFound => {
                gone_or_there(self.disk().create_dir(key.directory()))?;
                Ok(self.medium.lock(key.as_str(), mode)?)
            }
            other => Ok(other?),
        }
    }

    fn free_space(&self) -> Result<Space> {
        Ok(self.disk().free_space()?)
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.medium.refusals()
    }
}

/// A stage's name is one component, like those of keys.
fn stage_directory(name: &str) -> Result<String> {
    match Key::new(name) {
        Some(key) if key.directory().is_empty() => Ok(format!("{STAGES}/{name}")),
        _ => Err(DiskError::new("stage", name, io::ErrorKind::InvalidFilename.into()).into()),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn info(name: String, stat: Stat) -> ObjectInfo {
    ObjectInfo { name, len: stat.len, modified_ns: stat.modified_ns, is_dir: stat.is_dir }
}

fn short(key: &Key, end: u64) -> BackendError {
    BackendError::ShortObject { key: key.to_string(), end }
}

/// What a failure on this object's path says about the object.
fn about(key: &Key, error: DiskError) -> BackendError {
    match error.kind() {
        DiskErrorKind::NotFound => BackendError::NotFound { key: key.to_string() },
        DiskErrorKind::AlreadyExists => BackendError::AlreadyExists { key: key.to_string() },
        _ => BackendError::Disk(error),
    }
}

/// What another sweeper has removed already needs neither removing nor syncing.
fn gone(outcome: std::result::Result<(), DiskError>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(()),
        other => Ok(other?),
    }
}

/// Creating what another process has created already is fine.
fn gone_or_there(outcome: std::result::Result<(), DiskError>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == DiskErrorKind::AlreadyExists => Ok(()),
        other => Ok(other?),
    }
}
