//! Places that are known to be bad.
//!
//! A place is distrusted because a fact says so, because its pack is not there
//! as it was written, or because reading it has just failed twice. It is never deduplicated against and read last, so whoever
//! stores the blob again heals every snapshot that names it.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use crate::codec::index::Place;
use crate::id::PackId;
use crate::repo::facts::Facts;

/// A pack and an offset in it.
pub type Spot = (PackId, u64);

/// Bad places, shared by all who read and write in one run.
#[derive(Debug, Default)]
pub struct Distrusted {
    by_facts: BTreeSet<Spot>,
    lost: BTreeSet<PackId>,
    met: RwLock<BTreeSet<Spot>>,
}

impl Distrusted {
    /// Those that facts name.
    pub fn by(facts: &Facts) -> Self {
        Self { by_facts: facts.damaged_places(), ..Self::default() }
    }

    /// The same, and all that is in packs that a listing does not show as they were written.
    #[must_use]
    pub fn and_lost(self, lost: BTreeSet<PackId>) -> Self {
        Self { lost, ..self }
    }

    /// True for a place that should not be relied upon.
    pub fn contains(&self, place: &Place) -> bool {
        let spot = (place.pack, place.offset);
        self.by_facts.contains(&spot)
            || self.lost.contains(&place.pack)
            || self.met.read().unwrap_or_else(PoisonError::into_inner).contains(&spot)
    }

    /// Remembers a place that could not be read. What is in a lost pack every listing shows anew.
    pub fn meet(&self, place: &Place) {
        let spot = (place.pack, place.offset);
        if !self.by_facts.contains(&spot) && !self.lost.contains(&place.pack) {
            self.met.write().unwrap_or_else(PoisonError::into_inner).insert(spot);
        }
    }

    /// Those that this run has met and no fact names yet.
    pub fn met(&self) -> Vec<Spot> {
        self.met.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
