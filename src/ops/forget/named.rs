//! Finding the snapshots that are to be forgotten by name.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::id::SnapshotId;
use crate::ops::catalog::Catalog;
use crate::ops::retention::{judge, pins_of};
use crate::repo::snapshots::Snapshot;
use crate::snapshot::retention::brake::Limits;
use crate::snapshot::retention::emptied;

/// How to forget by name.
#[derive(Debug, Clone)]
pub struct ByName {
    /// `latest`, the beginning of an id, a date, `tag:NAME`; what is missing or unreadable by its whole id.
    pub names: Vec<String>,
    /// The source that is meant.
    pub source: Option<String>,
    /// In which zone dates are read.
    pub zone: TimeZone,
    /// The last snapshot of a source may go.
    pub allow_last: bool,
    /// Only say what would go.
    pub dry_run: bool,
    /// How long to wait for another one who is forgetting.
    pub wait: Duration,
}

/// What a name has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A snapshot.
    Snapshot(Box<Snapshot>),
    /// A record that cannot be read.
    Unreadable,
    /// A snapshot of this source that should be there and is not.
    Missing(String),
}

/// What is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: SnapshotId,
    /// What it is.
    pub named: Named,
}

/// Everything that is meant, each once.
pub(super) fn find(catalog: &Catalog<'_>, options: &ByName) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for name in &options.names {
        let target = if let Some(target) = lost(catalog, name) {
            target
        } else {
            let source = options.source.as_deref();
            let snapshot = catalog.select(name, source, &options.zone)?.clone();
            Target { id: snapshot.id, named: Named::Snapshot(Box::new(snapshot)) }
        };
        if targets.iter().all(|it| it.id != target.id) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// A snapshot of which only the id is left. All of its digits are wanted: nothing else says that the right one is meant.
fn lost(catalog: &Catalog<'_>, name: &str) -> Option<Target> {
    let id: SnapshotId = name.to_ascii_lowercase().parse().ok()?;
    let listing = catalog.listing();
    if listing.ids.contains(&id) {
        let is_readable = listing.snapshots.iter().any(|snapshot| snapshot.id == id);
        return (!is_readable).then_some(Target { id, named: Named::Unreadable });
    }
    let missing = catalog.missing().into_iter().find(|missing| missing.id == id)?;
    Some(Target { id, named: Named::Missing(missing.source) })
}

/// A pin is a word given: who wants to break it takes it back first.
pub(super) fn refuse_pinned(catalog: &Catalog<'_>, targets: &[Target], now_ns: i64) -> Result<()> {
    for target in targets {
        let pins = pins_of(catalog, target.id);
        let holding = pins.iter().find(|pin| pin.until_ns.is_none_or(|until| until >= now_ns));
        if let Some(pin) = holding {
            let (snapshot, name) = (target.id.short(), pin.name.clone());
            return Err(Error::Pinned { snapshot, name });
        }
    }
    Ok(())
}

pub(super) fn refuse_last(catalog: &Catalog<'_>, targets: &[Target]) -> Result<()> {
    let points = judge(catalog, &Limits::default()).points;
    let removed: BTreeSet<SnapshotId> = targets.iter().map(|target| target.id).collect();
    let emptied = emptied(&points, &removed);
    match emptied.first() {
        None => Ok(()),
        Some(source) => Err(Error::LastOfSource { source_name: (*source).to_owned() }),
    }
}
