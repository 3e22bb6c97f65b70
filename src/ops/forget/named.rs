//! Finding what is to be forgotten by name.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::id::{FactId, SnapshotId};
use crate::ops::catalog::Catalog;
use crate::ops::retention::{judge, pins_of};
use crate::repo::error::Damage;
use crate::repo::layout;
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
pub enum Target {
    /// A snapshot.
    Snapshot(Box<Snapshot>),
    /// A snapshot whose record cannot be read.
    Unreadable(SnapshotId),
    /// A snapshot that should be there and is not.
    Missing {
        /// Its id.
        id: SnapshotId,
        /// The source that it is said to belong to.
        source: String,
    },
    /// A fact that cannot be read.
    Fact(FactId),
}

impl Target {
    /// The snapshot, if it is one.
    pub fn snapshot(&self) -> Option<SnapshotId> {
        match self {
            Self::Snapshot(snapshot) => Some(snapshot.id),
            Self::Unreadable(id) | Self::Missing { id, .. } => Some(*id),
            Self::Fact(_) => None,
        }
    }

    /// The fact, if it is one.
    pub(super) fn fact(&self) -> Option<FactId> {
        if let Self::Fact(id) = self { Some(*id) } else { None }
    }
}

/// Everything that is meant, each once.
pub(super) fn find(catalog: &Catalog<'_>, options: &ByName) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for name in &options.names {
        let target = if let Some(target) = lost(catalog, name) {
            target
        } else {
            let source = options.source.as_deref();
            let snapshot = catalog.select(name, source, &options.zone)?;
            Target::Snapshot(Box::new(snapshot.clone()))
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// Something of which only the id is left. All of its digits are wanted: nothing else says that the right one is meant.
fn lost(catalog: &Catalog<'_>, name: &str) -> Option<Target> {
    let name = name.to_ascii_lowercase();
    let id: SnapshotId = name.parse().ok()?;
    let listing = catalog.listing();
    if listing.ids.contains(&id) {
        let is_readable = listing.snapshots.iter().any(|snapshot| snapshot.id == id);
        return (!is_readable).then_some(Target::Unreadable(id));
    }
    if let Some(missing) = catalog.missing().into_iter().find(|missing| missing.id == id) {
        return Some(Target::Missing { id, source: missing.source });
    }
    let fact: FactId = name.parse().ok()?;
    let key = layout::fact(&fact).to_string();
    let is_this = |it: &Damage| matches!(it, Damage::Object { object, .. } if *object == key);
    catalog.facts().damage.iter().any(is_this).then_some(Target::Fact(fact))
}

/// A pin is a word given: who wants to break it takes it back first.
pub(super) fn refuse_pinned(catalog: &Catalog<'_>, targets: &[Target], now_ns: i64) -> Result<()> {
    for id in targets.iter().filter_map(Target::snapshot) {
        let pins = pins_of(catalog, id);
        let holding = pins.iter().find(|pin| pin.until_ns.is_none_or(|until| until >= now_ns));
        if let Some(pin) = holding {
            return Err(Error::Pinned { snapshot: id.short(), name: pin.name.clone() });
        }
    }
    Ok(())
}

pub(super) fn refuse_last(catalog: &Catalog<'_>, targets: &[Target]) -> Result<()> {
    let points = judge(catalog, &Limits::default()).points;
    let removed: BTreeSet<SnapshotId> = targets.iter().filter_map(Target::snapshot).collect();
    match emptied(&points, &removed).first() {
        None => Ok(()),
        Some(source) => Err(Error::LastOfSource { source_name: (*source).to_owned() }),
    }
}
