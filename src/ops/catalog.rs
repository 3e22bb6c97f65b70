//! A repository opened for reading: what is in it, and which snapshot is meant.

use jiff::tz::TimeZone;

use crate::error::Result;
use crate::repo::error::Damage;
use crate::repo::facts::Facts;
use crate::repo::locks::{Held, share_repository};
use crate::repo::missing::{Missing, missing_snapshots};
use crate::repo::read::Reader;
use crate::repo::repository::Repository;
use crate::repo::snapshots::{Listing, Snapshot};
use crate::snapshot::select::reference::Reference;
use crate::snapshot::select::{Candidate, select};

/// Snapshots and facts at one moment; prune waits while it lives.
pub struct Catalog<'r> {
    repository: &'r Repository,
    facts: Facts,
    listing: Listing,
    /// The tags of each snapshot of the listing, in its order.
    tags: Vec<Vec<String>>,
    _held: Held,
}

impl<'r> Catalog<'r> {
    /// Takes the shared lock and reads every record and fact. Snapshots are listed before facts, so that one that is being forgotten is
    /// either still there or explained.
    pub fn open(repository: &'r Repository) -> Result<Self> {
        let held = share_repository(repository.backend())?;
        let listing = Listing::read(repository)?;
        let facts = Facts::read(repository)?;
        let tags_of = |snapshot: &Snapshot| {
            facts.tags_of(snapshot.id, &snapshot.record.tags).into_iter().collect()
        };
        let tags = listing.snapshots.iter().map(tags_of).collect();
        Ok(Self { repository, facts, listing, tags, _held: held })
    }

    /// The repository.
    pub fn repository(&self) -> &'r Repository {
        self.repository
    }

    /// The facts.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The records.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Every snapshot with its tags, by (source, sequence, id).
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = (&Snapshot, &[String])> {
        self.listing.snapshots.iter().zip(self.tags.iter().map(Vec::as_slice))
    }

    /// Snapshots that should be there and are not.
    pub fn missing(&self) -> Vec<Missing> {
        missing_snapshots(&self.listing, &self.facts)
    }

    /// Damage that opening has met; the rest of the repository can be used.
    pub fn damage(&self) -> Vec<Damage> {
        let config = self.repository.config_damage().iter();
        config.chain(&self.listing.damage).chain(&self.facts.damage).cloned().collect()
    }

    /// The snapshot that a reference means, in this zone, of this source where one is named.
    pub fn select(
        &self,
        reference: &str,
        source: Option<&str>,
        zone: &TimeZone,
    ) -> Result<&Snapshot> {
        let reference: Reference = reference.parse()?;
        let candidates: Vec<_> = self
            .snapshots()
            .map(|(snapshot, tags)| Candidate { id: snapshot.id, record: &snapshot.record, tags })
            .collect();
        let chosen = select(&candidates, &reference, source, zone)?.id;
        let found = self.listing.snapshots.iter().find(|snapshot| snapshot.id == chosen);
        Ok(found.expect("invariant: candidates are made from the listing"))
    }

    /// Reads blobs.
    pub fn reader(&self) -> Result<Reader<'r>> {
        Ok(Reader::open(self.repository, &self.facts)?)
    }
}
