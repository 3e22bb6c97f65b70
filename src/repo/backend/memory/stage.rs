//! The stage of the memory backend: what is finished waits here for a barrier.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::repo::backend::memory::{Held, Shared, taken};
use crate::repo::backend::{BackendError, Key, Result, Stage, Upload};
use crate::repo::disk::LockMode;

/// One writer's objects, invisible until a barrier.
pub(super) struct MemoryStage(Arc<Area>);

impl MemoryStage {
    pub(super) fn new(store: Arc<Shared>, directory: String) -> Self {
        Self(Arc::new(Area { store, directory, state: Mutex::default() }))
    }
}

struct Area {
    store: Arc<Shared>,
    directory: String,
    state: Mutex<StageState>,
}

#[derive(Default)]
struct StageState {
    finished: BTreeMap<Key, Arc<[u8]>>,
    markers: Vec<Held>,
    failed: bool,
}

impl Area {
    fn state(&self) -> Result<MutexGuard<'_, StageState>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failed { Err(BackendError::Poisoned) } else { Ok(state) }
    }
}

impl Stage for MemoryStage {
    fn create(&self) -> Result<Box<dyn Upload>> {
        drop(self.0.state()?);
        self.0.store.get().create_path(&self.0.directory);
        Ok(Box::new(MemoryUpload { area: Arc::clone(&self.0), bytes: Vec::new() }))
    }

    fn read_back(&self, key: &Key, offset: u64, len: usize) -> Result<Vec<u8>> {
        let state = self.0.state()?;
        let missing = || BackendError::NotFound { key: key.to_string() };
        part(state.finished.get(key).ok_or_else(missing)?, key.as_str(), offset, len)
    }

    fn barrier(&self) -> Result<()> {
        let mut state = self.0.state()?;
        let mut store = self.0.store.get();
        while let Some((key, bytes)) = state.finished.pop_first() {
            let published = match store.objects.get(key.as_str()) {
                Some(other) if other.bytes == bytes => Ok(()),
                Some(_) => Err(taken(&key)),
                None => store.insert(&key, bytes),
            };
            published.inspect_err(|_| state.failed = true)?;
        }
        Ok(())
    }

    fn announce(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let mut state = self.0.state()?;
        let mut store = self.0.store.get();
        store.create_path(&self.0.directory);
        store.require_free(key)?;
        if state.finished.contains_key(key) {
            return Err(taken(key));
        }
        store.insert(key, bytes.into()).inspect_err(|_| state.failed = true)?;
        store.acquire(key, LockMode::Exclusive);
        let held = Held {
            store: Arc::clone(&self.0.store),
            path: key.to_string(),
            mode: LockMode::Exclusive,
        };
        state.markers.push(held);
        Ok(())
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        self.store.get().directories.remove(&self.directory);
    }
}

struct MemoryUpload {
    area: Arc<Area>,
    bytes: Vec<u8>,
}

impl Upload for MemoryUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        drop(self.area.state()?);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>, key: &Key) -> Result<()> {
        let mut state = self.area.state()?;
        self.area.store.get().require_free(key)?;
        if state.finished.contains_key(key) {
            return Err(taken(key));
        }
        state.finished.insert(key.clone(), self.bytes.into());
        Ok(())
    }

    fn read_back(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        part(&self.bytes, "an object without a name", offset, len)
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn part(bytes: &[u8], key: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
    let end = offset.saturating_add(len as u64);
    let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
    let part = range.and_then(|(from, end)| bytes.get(from..end));
    part.map(<[u8]>::to_vec).ok_or_else(|| BackendError::ShortObject { key: key.to_owned(), end })
}
