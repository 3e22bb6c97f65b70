//! Pinning snapshots: what is pinned stays, whatever the policy says.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::codec::fact::{Statement, Subject};
use crate::codec::names::tag_fault;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ops::catalog::Catalog;
use crate::ops::retention::pins_of;
use crate::repo::locks::decide_alone;
use crate::repo::repository::Repository;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::retention::Pin;

/// What becomes of the pins of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinChange {
    /// Set one, or set it anew.
    Set(Pin),
    /// Take one away.
    Remove(String),
    /// Take all of them away.
    RemoveAll,
}

/// Which snapshot, and how long to wait for who is forgetting now.
#[derive(Debug, Clone)]
pub struct PinOptions {
    /// How the snapshot is called.
    pub name: String,
    /// The source that is meant.
    pub source: Option<String>,
    /// In which zone dates are read.
    pub zone: TimeZone,
    /// How long to wait.
    pub wait: Duration,
}

/// Changes the pins of a snapshot, durable on return; returns the snapshot and the pins that it has then. Taking away a pin that is not
/// there is an error.
pub fn pin(
    repository: &Repository,
    options: &PinOptions,
    change: PinChange,
    host: &dyn Host,
) -> Result<(Snapshot, Vec<Pin>)> {
    // A forget that has decided already must not take away what is being pinned.
    let _held = decide_alone(repository.backend(), options.wait)?;
    let catalog = Catalog::open(repository)?;
    let snapshot = catalog.select(&options.name, options.source.as_deref(), &options.zone)?;
    let mut pins = pins_of(&catalog, snapshot.id);
    let names = match change {
        PinChange::Set(pin) => return set(&catalog, (snapshot, pins), pin, host),
        PinChange::Remove(name) if pins.iter().all(|pin| pin.name != name) => {
            return Err(Error::NoSuchPin { snapshot: snapshot.id.short(), name });
        }
        PinChange::Remove(name) => vec![name],
        PinChange::RemoveAll => pins.iter().map(|pin| pin.name.clone()).collect(),
    };
    pins.retain(|pin| !names.contains(&pin.name));
    let gone = |name| (Subject::Pin { snapshot: snapshot.id, name }, Statement::HoldsNot);
    let said: Vec<_> = names.into_iter().map(gone).collect();
    if !said.is_empty() {
        catalog.facts().publish(repository, said, host)?;
    }
    Ok((snapshot.clone(), pins))
}

fn set(
    catalog: &Catalog<'_>,
    (snapshot, mut pins): (&Snapshot, Vec<Pin>),
    pin: Pin,
    host: &dyn Host,
) -> Result<(Snapshot, Vec<Pin>)> {
    if let Some(rule) = tag_fault(&pin.name) {
        return Err(Error::Usage { what: format!("{:?} cannot name a pin: {rule}", pin.name) });
    }
    if !pins.contains(&pin) {
        let statement = pin.until_ns.map_or(Statement::Holds, Statement::HoldsUntil);
        let subject = Subject::Pin { snapshot: snapshot.id, name: pin.name.clone() };
        catalog.facts().publish(catalog.repository(), vec![(subject, statement)], host)?;
        pins.retain(|other| other.name != pin.name);
        pins.push(pin);
        pins.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok((snapshot.clone(), pins))
}
