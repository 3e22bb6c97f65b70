//! The pieces of work.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::error::{ErrorKind, Result};
use larder::observe::Unobserved;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, check};
use larder::ops::prune::{Kept, undo};
use larder::ops::restore::{RestoreRequest, restore};
use larder::repo::backend::Backend;
use larder::repo::locks;
use larder::repo::prune::GRACE_NS;
use larder_testkit::host::TestHost;
use larder_testkit::turns::Patience;

use crate::product::rig::open;
use crate::product::tree::{Tree, content_of};

use super::sound::Promises;
use super::world::{World, forget_one, patient, prune_with, save_as};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    BackupOfShelf,
    BackupOfBench,
    ForgetAndPrune,
    SecondPrune,
    PruneWithoutGrace,
    Restore,
    Check,
    Undo,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BackupOfShelf => "backup of shelf",
            Self::BackupOfBench => "backup of bench",
            Self::ForgetAndPrune => "forget and prune",
            Self::SecondPrune => "second prune",
            Self::PruneWithoutGrace => "prune without grace",
            Self::Restore => "restore",
            Self::Check => "check",
            Self::Undo => "undo",
        }
    }

    /// Only maintainers wait to be alone; a backup that could clean up tries.
    pub(super) fn patience(self) -> Patience {
        if self.may_be_locked_out() { Patience::Exclusive } else { Patience::Shared }
    }

    /// Maintainers may find another at work; nobody else may be turned away.
    pub(super) fn may_be_locked_out(self) -> bool {
        use Part::{ForgetAndPrune, PruneWithoutGrace, SecondPrune, Undo};
        matches!(self, ForgetAndPrune | SecondPrune | PruneWithoutGrace | Undo)
    }
}

/// What a process has for its work.
pub(super) struct Stage<'a> {
    pub(super) world: &'a World,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) host: TestHost,
    /// An empty directory of its own.
    pub(super) directory: &'a Path,
    pub(super) promises: &'a Mutex<Promises>,
}

impl Stage<'_> {
    /// Does the work; what it says is promised.
    pub(super) fn perform(&self, part: Part) -> Result<()> {
        match part {
            Part::BackupOfShelf => self.back_up(&self.world.shelf, "shelf"),
            Part::BackupOfBench => self.back_up(&self.world.bench, "bench"),
            Part::ForgetAndPrune => {
                self.forget()?;
                self.prune(GRACE_NS)
            }
            Part::SecondPrune => self.prune(60 * GRACE_NS),
            Part::PruneWithoutGrace => self.prune(0),
            Part::Restore => self.restore(),
            Part::Check => self.check(),
            Part::Undo => self.undo(),
        }
    }

    fn promises(&self) -> std::sync::MutexGuard<'_, Promises> {
        self.promises.lock().unwrap()
    }

    fn back_up(&self, tree: &Tree, source: &str) -> Result<()> {
        let report = save_as(Arc::clone(&self.backend), tree, source, &self.host)?;
        assert_eq!(report.damage, [], "a backup meets damage");
        let id = report.id.unwrap();
        self.promises().saved.insert(id, tree.content());
        Ok(())
    }

    /// From its beginning on the snapshot may be gone, at its end it must be.
    fn forget(&self) -> Result<()> {
        let id = self.world.forget;
        let content = self.promises().saved.remove(&id).unwrap();
        self.promises().possible.insert(id, content);
        forget_one(Arc::clone(&self.backend), id, &self.host)?;
        self.promises().possible.remove(&id);
        self.promises().forgotten.insert(id);
        Ok(())
    }

    fn prune(&self, grace_ns: i64) -> Result<()> {
        prune_with(Arc::clone(&self.backend), &patient(grace_ns), &self.host).map(drop)
    }

    fn restore(&self) -> Result<()> {
        let repository = open(Arc::clone(&self.backend))?;
        let catalog = Catalog::open(&repository)?;
        let target = self.directory.join("restored");
        let request = RestoreRequest {
            paths: Vec::new(),
            target: Some(target.clone()),
            overwrite: false,
            time: "now".into(),
            threads: 1,
        };
        let (kept, _) = catalog.snapshots().find(|(it, _)| it.id == self.world.keep).unwrap();
        let restored = restore(&catalog.reader()?, kept, &request, &Unobserved)?;
        let report = &restored[0].report;
        // A read that fails because the machine died is said of each entry.
        let content = content_of(&target);
        if report.is_complete() {
            assert!(content == self.world.saved[&self.world.keep], "a restore differs");
            return Ok(());
        }
        Err(larder::error::Error::Usage { what: format!("{report:?}") })
    }

    fn check(&self) -> Result<()> {
        let repository = open(Arc::clone(&self.backend))?;
        let catalog = Catalog::open(&repository)?;
        let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved)?;
        if report.is_clean() {
            return Ok(());
        }
        let what = format!("{:?} {:?}", report.findings, report.missing);
        Err(larder::error::Error::Usage { what })
    }

    fn undo(&self) -> Result<()> {
        let Some((id, content)) = &self.world.gone else { return Ok(()) };
        let repository = open(Arc::clone(&self.backend))?;
        let at_once = locks::Patience { wait: Duration::ZERO, observer: &Unobserved };
        let report = undo(&repository, &[*id], &self.host, at_once)?;
        if report.back.len() == 1 || report.kept.iter().any(|(_, why)| *why == Kept::There) {
            self.promises().saved.insert(*id, content.clone());
        }
        Ok(())
    }
}

/// True for what a maintainer says that finds another at work.
pub(super) fn is_locked_out(error: &larder::error::Error) -> bool {
    error.kind() == ErrorKind::Locked
}
