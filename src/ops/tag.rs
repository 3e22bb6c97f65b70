//! Giving tags to a snapshot, and taking them away.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::codec::fact::{Statement, Subject};
use crate::codec::names::tag_fault;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ops::catalog::Catalog;
use crate::repo::locks::{Held, decide_alone};
use crate::repo::repository::Repository;
use crate::repo::snapshots::Snapshot;

/// One change of a snapshot's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagChange {
    /// Give it.
    Add(String),
    /// Take it away.
    Remove(String),
}

/// Keeps forget out while tags are looked at and changed.
pub fn undisturbed(repository: &Repository, wait: Duration) -> Result<Held> {
    Ok(decide_alone(repository.backend(), wait)?)
}

/// Changes the tags of a snapshot and returns those that it has then. What is so already costs nothing.
pub fn tag(
    catalog: &Catalog<'_>,
    snapshot: &Snapshot,
    changes: &[TagChange],
    host: &dyn Host,
) -> Result<BTreeSet<String>> {
    let mut tags = catalog.facts().tags_of(snapshot.id, &snapshot.record.tags);
    let mut statements = Vec::new();
    for change in changes {
        let (name, differs, statement) = match change {
            TagChange::Add(name) => (name, tags.insert(name.clone()), Statement::Holds),
            TagChange::Remove(name) => (name, tags.remove(name), Statement::HoldsNot),
        };
        check_tag(name)?;
        if differs {
            statements.push((Subject::Tag { snapshot: snapshot.id, tag: name.clone() }, statement));
        }
    }
    if !statements.is_empty() {
        catalog.facts().publish(catalog.repository(), statements, host)?;
    }
    Ok(tags)
}

/// Refuses a text that cannot be a tag.
pub fn check_tag(name: &str) -> Result<()> {
    match tag_fault(name) {
        Some(rule) => Err(Error::Usage { what: format!("{name:?} cannot be a tag: {rule}") }),
        None => Ok(()),
    }
}
