//! The simulated disk as the repository uses it.

use std::io;
use std::sync::Arc;

use larder::repo::disk::{
    DirEntry, Disk, DiskError, DiskFile, LockGuard, LockMode, Mapped, Result, Space, Stat,
};
use rustix::io::Errno;

use super::SimDisk;
use super::schedule::Class;
use super::world::{Ino, Outcome, World};

impl SimDisk {
    /// Admits an operation, then does it.
    fn run<T>(
        &self,
        class: Class,
        verb: &'static str,
        path: &str,
        work: impl FnOnce(&mut World) -> Outcome<T>,
    ) -> Result<T> {
        let mut world = self.world();
        world.schedule.admit(class, verb, path)?;
        work(&mut world).map_err(|errno| DiskError::new(verb, path, errno.into()))
    }

    fn change<T>(
        &self,
        verb: &'static str,
        path: &str,
        work: impl FnOnce(&mut World) -> Outcome<T>,
    ) -> Result<T> {
        self.run(Class::Change, verb, path, work)
    }

    fn look<T>(
        &self,
        verb: &'static str,
        path: &str,
        work: impl FnOnce(&mut World) -> Outcome<T>,
    ) -> Result<T> {
        self.run(Class::Read, verb, path, work)
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &str) -> Result<()> {
        self.change("create directory", path, |world| world.make_directory(path))
    }

    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>> {
        let (ino, handle) = self.change("create", path, |world| {
            Ok((world.make_file(path)?, world.locks.new_handle()))
        })?;
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_owned(), ino, handle }))
    }

    fn rename_noreplace(&self, from: &str, to: &str) -> Result<()> {
        self.change("rename", &format!("{from} -> {to}"), |world| world.rename(from, to))
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.change("link", &format!("{from} -> {to}"), |world| world.link(from, to))
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.change("remove", path, |world| world.unlink(path))
    }

    fn remove_dir(&self, path: &str) -> Result<()> {
        self.change("remove directory", path, |world| world.remove_directory(path))
    }

    fn sync_dir(&self, path: &str) -> Result<()> {
        self.change("sync directory", path, |world| world.sync_directory(path))
    }

    fn read_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let whole = self.look("read", path, |world| {
            let data = &world.file(world.find(path)?)?.data;
            let range = usize::try_from(offset)
                .ok()
                .and_then(|from| data.get(from..from.checked_add(buffer.len())?));
            if let Some(range) = range {
                buffer.copy_from_slice(range);
            }
            Ok(range.is_some() || buffer.is_empty())
        })?;
        if whole {
            return Ok(());
        }
        Err(DiskError::new("read", path, io::ErrorKind::UnexpectedEof.into()))
    }

    fn map(&self, path: &str) -> Result<Mapped> {
        self.look("map", path, |world| {
            Ok(Box::new(world.file(world.find(path)?)?.data.clone()) as Mapped)
        })
    }

    fn stat(&self, path: &str) -> Result<Stat> {
        self.look("stat", path, |world| world.stat(world.find(path)?))
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>> {
        self.look("list", path, |world| {
            let names = &world.directory(world.find(path)?)?.names;
            names
                .iter()
                .map(|(name, ino)| Ok(DirEntry { name: name.clone(), stat: world.stat(*ino)? }))
                .collect()
        })
    }

    fn touch(&self, path: &str) -> Result<()> {
        self.change("touch", path, |world| world.touch(path))
    }

    fn make_private(&self, path: &str) -> Result<()> {
        self.change("make private", path, |world| world.find(path).map(drop))
    }

    fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        let taken = self.run(Class::Lock, "lock", path, |world| {
            let ino = match world.find(path) {
                Err(Errno::NOENT) if world.schedule.read_only => return Err(Errno::ROFS),
                Err(Errno::NOENT) => world.make_file(path)?,
                _ if world.schedule.read_only && mode == LockMode::Exclusive => {
                    return Err(Errno::ROFS);
                }
                found => found?,
            };
            world.file(ino)?;
            let handle = world.locks.new_handle();
            Ok(world.locks.acquire(ino, handle, mode).then_some((ino, handle)))
        })?;
        let guard = |(ino, handle)| {
            Box::new(SimLock { disk: self.clone(), ino, handle }) as Box<dyn LockGuard>
        };
        Ok(taken.map(guard))
    }

    fn free_space(&self) -> Result<Space> {
        self.look("ask for free space", "", |world| {
            let total_bytes = world.total_bytes();
            Ok(Space {
                available_bytes: total_bytes.saturating_sub(world.used_bytes()),
                total_bytes,
            })
        })
    }
}

struct SimLock {
    disk: SimDisk,
    ino: Ino,
    handle: u64,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.world().locks.release(self.ino, self.handle);
    }
}

/// An open file. Dropping it gives up its lock and syncs nothing.
struct SimFile {
    disk: SimDisk,
    path: String,
    ino: Ino,
    handle: u64,
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let disk = self.disk.clone();
        let mut world = disk.world();
        if let Err(denied) = world.schedule.admit(Class::Change, "append", &self.path) {
            if denied.planned {
                // A write that fails has often written something.
                let _written = world.append(self.ino, &bytes[..bytes.len() / 2]);
            }
            return Err(denied.into());
        }
        world
            .append(self.ino, bytes)
            .map_err(|errno| DiskError::new("append", self.path.as_str(), errno.into()))
    }

    fn sync_data(&mut self) -> Result<()> {
        let disk = self.disk.clone();
        let mut world = disk.world();
        if let Err(denied) = world.schedule.admit(Class::Change, "sync", &self.path) {
            if denied.planned {
                world.drop_pages(self.ino);
            }
            return Err(denied.into());
        }
        world
            .sync_file(self.ino)
            .map_err(|errno| DiskError::new("sync", self.path.as_str(), errno.into()))
    }

    fn lock(&mut self) -> Result<bool> {
        let (ino, handle) = (self.ino, self.handle);
        self.disk.run(Class::Lock, "lock", &self.path, |world| {
            Ok(world.locks.acquire(ino, handle, LockMode::Exclusive))
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.world().locks.release(self.ino, self.handle);
    }
}

/// The disk is shared between threads and handed out as a trait object.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<SimDisk>>();
};
