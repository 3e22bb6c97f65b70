//! Forgetting snapshots: first the statement that explains why a record is absent, durable; then the record goes to the trash.
//! A fact that cannot be read goes there without one: nobody misses it.

use crate::codec::fact::{Statement, Subject};
use crate::host::Host;
use crate::id::{FactId, SnapshotId};
use crate::repo::error::Result;
use crate::repo::facts::Facts;
use crate::repo::layout::{self, Trashed};
use crate::repo::locks::share_repository;
use crate::repo::missing::stated_source;
use crate::repo::prune::trash::discard;
use crate::repo::repository::Repository;
use crate::repo::snapshots::Listing;

/// Forgets snapshots, also those whose record is missing or unreadable. Cut off anywhere, each is still there or forgotten. Returns
/// those that were known; nothing of theirs is freed before a prune.
pub fn forget(
    repository: &Repository,
    ids: &[SnapshotId],
    host: &dyn Host,
) -> Result<Vec<SnapshotId>> {
    let backend = repository.backend();
    let _held = share_repository(backend)?;
    let listing = Listing::read(repository)?;
    let facts = Facts::read(repository)?;
    let (mut statements, mut moves, mut known) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let statement = statement_about(&listing, &facts, *id);
        let is_there = listing.ids.contains(id);
        if is_there || statement.is_some() {
            known.push(*id);
        }
        let subject = Subject::Forgotten { snapshot: *id };
        statements.extend(statement.map(|statement| (subject, statement)));
        if is_there {
            moves.push((layout::snapshot(id), Trashed::Snapshot(*id)));
        }
    }
    if !statements.is_empty() {
        facts.publish(repository, statements, host)?;
    }
    discard(backend, host.now_ns(), layout::SNAPSHOTS, &moves)?;
    Ok(known)
}

/// Gives up facts that cannot be read, so that they no longer keep anything from being removed. What they said is lost.
pub fn forget_facts(repository: &Repository, ids: &[FactId], host: &dyn Host) -> Result<()> {
    let _held = share_repository(repository.backend())?;
    let moves: Vec<_> = ids.iter().map(|id| (layout::fact(id), Trashed::Fact(*id))).collect();
    discard(repository.backend(), host.now_ns(), layout::FACTS, &moves)
}

/// What the record said. Of one that cannot be read, only what others say of it; one that no other names needs no explanation.
fn statement_about(listing: &Listing, facts: &Facts, id: SnapshotId) -> Option<Statement> {
    if let Some(snapshot) = listing.snapshots.iter().find(|snapshot| snapshot.id == id) {
        let record = &snapshot.record;
        let (source, sequence) = (record.source.clone(), record.sequence);
        let present = record.siblings.present.clone();
        return Some(Statement::Record { source, sequence, present });
    }
    let source = stated_source(listing, facts, id)?.to_owned();
    Some(Statement::Record { source, sequence: 0, present: Vec::new() })
}
