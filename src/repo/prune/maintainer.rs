//! The one who maintains: holds `maintenance` for a whole run, and says who that is.

use crate::codec::Durable;
use crate::codec::session::SessionRecord;
use crate::host::Host;
use crate::id::SessionId;
use crate::observe::Observer;
use crate::repo::backend::BackendError;
use crate::repo::backend::{Refusal, Stage};
use crate::repo::disk::{DiskError, DiskErrorKind};
use crate::repo::error::{RepoError, Result};
use crate::repo::layout;
use crate::repo::locks::{Held, Patience, alone, maintain, share_repository};
use crate::repo::repository::{Repository, random_name};

/// A run of maintenance. When it is dropped, its marker goes and the lock is free.
pub(super) struct Maintainer<'r> {
    pub(super) repository: &'r Repository,
    pub(super) host: &'r dyn Host,
    pub(super) session: SessionId,
    patience: Patience<'r>,
    /// Holds the marker locked.
    announced: Option<Box<dyn Stage>>,
    _held: Held,
}

impl<'r> Maintainer<'r> {
    /// Waits for another maintainer as long as there is patience. Where locks are refused, nothing would keep a backup away from what is
    /// removed, so nothing is.
    pub(super) fn begin(
        repository: &'r Repository,
        host: &'r dyn Host,
        patience: Patience<'r>,
    ) -> Result<Self> {
        let backend = repository.backend();
        let held = maintain(backend, patience)?;
        if backend.refusals().contains(&Refusal::Locks) {
            let refused = std::io::ErrorKind::Unsupported.into();
            let key = layout::maintenance_lock();
            return Err(BackendError::Disk(DiskError::new("lock", key.as_str(), refused)).into());
        }
        repository.heal_directories()?;
        let mut id = [0; SessionId::LEN];
        host.fill_random(&mut id);
        let session = SessionId::from_bytes(id);
        let mut maintainer =
            Self { repository, host, session, patience, announced: None, _held: held };
        match maintainer.announce() {
            Ok(stage) => maintainer.announced = Some(stage),
            // On a full disk the work is to make room, not to say who makes it.
            Err(error) if error.is_no_space() => {}
            Err(error) => return Err(error),
        }
        Ok(maintainer)
    }

    fn announce(&self) -> Result<Box<dyn Stage>> {
        // A backup that begins sweeps stages of which nobody has said yet whose they are, unless the repository is shared.
        let _held = self.share()?;
        let record = SessionRecord {
            session: self.session,
            host: self.host.name(),
            pid: self.host.pid(),
            command: SessionRecord::shortened(self.host.command()),
            since_ns: self.host.now_ns(),
            extensions: Vec::new(),
        };
        let bytes = record.encode().map_err(RepoError::Encode)?;
        let stage = self.repository.backend().stage(&self.session.to_string())?;
        stage.announce(&layout::session(&self.session), &bytes)?;
        Ok(stage)
    }

    /// Is told how far the work is, and says when to stop.
    pub(super) fn observer(&self) -> &'r dyn Observer {
        self.patience.observer
    }

    /// A stage for what is written next. While it is used `repository` must be held, shared or alone: what lies in `tmp/` and belongs
    /// to nobody who holds it is swept.
    pub(super) fn stage(&self) -> Result<Box<dyn Stage>> {
        Ok(self.repository.backend().stage(&format!("prune-{}", random_name(self.host)))?)
    }

    /// Keeps sweepers away from what is being written.
    pub(super) fn share(&self) -> Result<Held> {
        share_repository(self.repository.backend())
    }

    /// Nobody else works with the repository while this is held: for milliseconds.
    pub(super) fn alone(&self) -> Result<Held> {
        alone(self.repository.backend(), self.patience, self.session)
    }
}

impl Drop for Maintainer<'_> {
    fn drop(&mut self) {
        if self.announced.is_some() {
            let marker = layout::session(&self.session);
            // Left behind, it would only say that a session was cut off.
            let _best_effort = self.repository.backend().delete(&marker);
        }
    }
}

/// True when a storage says that a directory is not empty, in whichever words.
pub(super) fn is_not_empty(error: &BackendError) -> bool {
    match error {
        BackendError::Disk(error) => {
            error.source.kind() == std::io::ErrorKind::DirectoryNotEmpty
                || error.kind() == DiskErrorKind::AlreadyExists
        }
        _ => false,
    }
}
