//! Where one writer's objects grow until a barrier names them.
//!
//! Invariant of a barrier: the bytes of all objects are durable before the
//! first of them is named, all are named before the first directory is synced,
//! and the directory that they leave is synced too, because a rename between
//! directories is durable only when both are.
//!
//! After any failure nothing is published any more: what the kernel did with
//! the pages of a failed write or sync is unknown, and a later sync may succeed
//! without having written them. A refused name is an answer, not a failure.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::repo::backend::local::medium::{Medium, held};
use crate::repo::backend::{BackendError, Key, Result, Stage, Upload};
use crate::repo::disk::{DiskError, DiskErrorKind, DiskFile};

/// One writer's stage in `tmp/<name>/`; the directory is made at the first object.
pub(super) struct LocalStage {
    area: Arc<Area>,
}

impl LocalStage {
    pub(super) fn new(medium: Arc<Medium>, directory: String) -> Self {
        let area = Area {
            medium,
            directory,
            failed: AtomicBool::new(false),
            in_barrier: Mutex::new(()),
            state: Mutex::default(),
        };
        Self { area: Arc::new(area) }
    }
}

impl Stage for LocalStage {
    fn create(&self) -> Result<Box<dyn Upload>> {
        Ok(Box::new(Area::begin(&self.area)?))
    }

    fn read_back(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        let state = self.area.state();
        let finished = state.finished.iter().find(|object| object.key == *key);
        let missing = || BackendError::NotFound { key: key.to_string() };
        let temporary = finished.map(|object| object.temporary.clone()).ok_or_else(missing)?;
        drop(state);
        self.area.read(&temporary, offset, len)
    }

    fn barrier(&self) -> Result<()> {
        self.area.barrier()
    }

    fn announce(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.area.claim(key)?;
        let mut upload = Area::begin(&self.area)?;
        upload.append(bytes)?;
        self.area.step(|| self.area.mark(&mut upload, key))
    }
}

/// What a stage and its unfinished objects share; the last of them cleans up.
struct Area {
    medium: Arc<Medium>,
    directory: String,
    failed: AtomicBool,
    /// Whoever returns from a barrier may rely on all that was finished before it, so barriers wait for each other.
    in_barrier: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The directory exists.
    made: bool,
    /// An object was named that the directory's sync has not followed.
    owes_sync: bool,
    /// Names the next file in the directory.
    count: u64,
    /// Final names of what is not published yet.
    claimed: BTreeSet<Key>,
    finished: VecDeque<Finished>,
    markers: Vec<Marker>,
}

struct Finished {
    temporary: String,
    key: Key,
    file: Box<dyn DiskFile>,
}

/// A published file whose handle keeps its lock.
struct Marker {
    directory: String,
    file: Box<dyn DiskFile>,
    durable: bool,
}

impl Area {
    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }

    /// Does one step, unless one before it failed; a failure is the stage's last.
    fn step<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.failed.load(Ordering::Acquire) {
            return Err(BackendError::Poisoned);
        }
        work().inspect_err(|_| self.failed.store(true, Ordering::Release))
    }

    fn begin(area: &Arc<Self>) -> Result<LocalUpload> {
        area.step(|| {
            let temporary = area.next_name()?;
            let file = area.medium.disk().create_new(&temporary)?;
            Ok(LocalUpload { area: Arc::clone(area), temporary, file: Some(file), len: 0 })
        })
    }

    fn read(&self, temporary: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match self.medium.disk().read_at(temporary, offset, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == DiskErrorKind::ShortRead => {
                let end = offset.saturating_add(len as u64);
                Err(BackendError::ShortObject { key: temporary.to_owned(), end })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn next_name(&self) -> Result<String> {
        let mut state = self.state();
        if !state.made {
            self.make_directory()?;
            state.made = true;
            self.medium.probe_private(&self.directory)?;
        }
        state.count += 1;
        Ok(format!("{}/{}", self.directory, state.count))
    }

    fn make_directory(&self) -> Result<()> {
        let disk = self.medium.disk();
        match disk.create_dir(&self.directory) {
            // A copy of a repository made by hand may lack an empty directory.
            Err(error) if error.kind() == DiskErrorKind::NotFound => {
                disk.create_dir(super::STAGES)?;
                Ok(disk.create_dir(&self.directory)?)
            }
            other => Ok(other?),
        }
    }

    /// Reserves a final name, which must be free here and on the disk.
    fn claim(&self, key: &Key) -> Result<()> {
        let taken = || BackendError::AlreadyExists { key: key.to_string() };
        let free = self.step(|| match self.medium.disk().stat(key.as_str()) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.into()),
        })?;
        (free && self.state().claimed.insert(key.clone())).then_some(()).ok_or_else(taken)
    }

    /// Publishes a locked file at once; its bytes and its name are durable after the next barrier.
    fn mark(&self, upload: &mut LocalUpload, key: &Key) -> Result<()> {
        let Some(mut file) = upload.file.take() else { return Err(BackendError::Poisoned) };
        let published = self
            .medium
            .lock_file(&mut *file, &upload.temporary)
            .and_then(|()| self.medium.publish_locked(&upload.temporary, key.as_str()));
        match published {
            Ok(copy) => {
                let marker = Marker {
                    directory: key.directory().to_owned(),
                    file: copy.unwrap_or(file),
                    durable: false,
                };
                let mut state = self.state();
                state.claimed.remove(key);
                state.markers.push(marker);
                Ok(())
            }
            Err(error) => {
                // Given back, so that dropping the upload removes the file.
                upload.file = Some(file);
                Err(refused(key, error))
            }
        }
    }

    fn barrier(&self) -> Result<()> {
        let _alone = held(&self.in_barrier);
        let mut finished = mem::take(&mut self.state().finished);
        let outcome = self.step(|| self.publish(&mut finished));
        // What a failure left unpublished is removed with the stage.
        self.state().finished.append(&mut finished);
        outcome
    }

    fn publish(&self, finished: &mut VecDeque<Finished>) -> Result<()> {
        let mut directories = BTreeSet::new();
        for object in finished.iter_mut() {
            object.file.sync_data()?;
        }
        self.sync_markers(&mut directories)?;
        while let Some(object) = finished.front() {
            self.name(object)?;
            directories.insert(object.key.directory().to_owned());
            self.state().claimed.remove(&object.key);
            finished.pop_front();
        }
        if !directories.is_empty() {
            directories.insert(self.directory.clone());
        }
        for directory in &directories {
            self.medium.sync_dir(directory)?;
        }
        self.state().owes_sync = false;
        Ok(())
    }

    fn sync_markers(&self, directories: &mut BTreeSet<String>) -> Result<()> {
        for marker in self.state().markers.iter_mut().filter(|marker| !marker.durable) {
            marker.file.sync_data()?;
            marker.durable = true;
            directories.insert(marker.directory.clone());
        }
        Ok(())
    }

    /// Gives a finished object its name. Where the same bytes have it already, that is as good: their writer synced them
    /// first, and this barrier syncs the directory.
    fn name(&self, object: &Finished) -> Result<()> {
        let (from, to) = (object.temporary.as_str(), object.key.as_str());
        match self.medium.publish(from, to) {
            Ok(_) => {
                self.state().owes_sync = true;
                Ok(())
            }
            Err(error)
                if error.kind() == DiskErrorKind::AlreadyExists
                    && self.medium.same_bytes(from, to)? =>
            {
                Ok(self.medium.disk().unlink(from)?)
            }
            Err(error) => Err(refused(&object.key, error)),
        }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        let state =
            mem::take(self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner));
        // What cannot be removed now is swept later.
        for object in state.finished {
            let _best_effort = self.medium.disk().unlink(&object.temporary);
        }
        // An object has left the directory and its new name is not durable: the directory stays for a sweep, which syncs it first.
        if state.made && !state.owes_sync {
            let _best_effort = self.medium.disk().remove_dir(&self.directory);
        }
    }
}

/// An object that grows in its stage's directory.
struct LocalUpload {
    area: Arc<Area>,
    temporary: String,
    /// Absent once the object is finished.
    file: Option<Box<dyn DiskFile>>,
    len: u64,
}

impl Upload for LocalUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or(BackendError::Poisoned)?;
        self.area.step(|| Ok(file.append(bytes)?))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>, key: &Key) -> Result<()> {
        self.area.claim(key)?;
        let file = self.file.take().ok_or(BackendError::Poisoned)?;
        let temporary = mem::take(&mut self.temporary);
        self.area.state().finished.push_back(Finished { temporary, key: key.clone(), file });
        Ok(())
    }

    fn read_back(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.area.read(&self.temporary, offset, len)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _best_effort = self.area.medium.disk().unlink(&self.temporary);
        }
    }
}

fn refused(key: &Key, error: DiskError) -> BackendError {
    match error.kind() {
        DiskErrorKind::AlreadyExists => BackendError::AlreadyExists { key: key.to_string() },
        _ => BackendError::Disk(error),
    }
}
