//! Looking for damage, offline and without changing anything.
//!
//! Two levels: the structure (records, index and manifests fit together and
//! every pack is there with its length), and on request the data (every stored
//! byte of every pack compared with what covers it).
//!
//! Invariant: what is reported sound was looked at, and what was not looked at
//! is said. All damage is listed, not the first of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::manifest::EntryKey;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::id::{BlobId, BlobType, PackId, SnapshotId};
use crate::observe::{Observer, Phase, Total};
use crate::ops::catalog::Catalog;
use crate::repo::error::Damage;
use crate::repo::layout;
use crate::repo::missing::Missing;
use crate::repo::prune::trash::discarded;
use crate::repo::read::Reader;
use crate::repo::verify::verify_segment;

mod affected;
mod data;
mod lost;
mod notes;
mod structure;

pub use lost::Unled;
use structure::{Found, Needed, Structure};

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOptions {
    /// Read every stored byte.
    pub read_data: bool,
}

/// Something damaged, and whom it hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// What is damaged. A bad place of a blob stays damage, and stays listed, after the blob was stored again elsewhere.
    pub damage: Damage,
    /// The snapshots that cannot be given back whole because of it, with the first of the paths. Empty when no snapshot needs what is
    /// damaged, and when all of it was found sound at other places.
    pub affected: Vec<Affected>,
    /// What snapshots need of it was found at other places.
    pub served_elsewhere: bool,
}

/// A snapshot that damage hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The first few paths.
    pub paths: Vec<EntryKey>,
    /// How many paths there are; at least so many where part of a manifest cannot be read.
    pub total: u64,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// Readable snapshots.
    pub snapshots: u64,
    /// Packs in the listing.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Index segments.
    pub segments: u64,
    /// Distinct blobs that the snapshots need.
    pub blobs: u64,
    /// What reading the data came to, where it was asked for.
    pub data: Option<DataReport>,
    /// Everything damaged.
    pub findings: Vec<CheckFinding>,
    /// Snapshots that are absent without having been forgotten.
    pub missing: Vec<Missing>,
    /// Sessions that have stored a snapshot which is not there: its record may be lost.
    pub unled: Vec<Unled>,
    /// What is odd and harmless.
    pub notes: Vec<String>,
}

/// What reading the data came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataReport {
    /// Bytes read.
    pub bytes: u64,
    /// Blobs whose stored bytes match.
    pub sound_blobs: u64,
    /// Blobs that were read or could not be.
    pub blobs: u64,
}

impl CheckReport {
    /// True when nothing is damaged and nothing is missing.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.missing.is_empty()
    }
}

/// Checks a repository. Damage is in the report, never an error: an error means that the check itself could not be made.
pub fn check(
    catalog: &Catalog<'_>,
    options: CheckOptions,
    observer: &dyn Observer,
) -> Result<CheckReport> {
    let reader = catalog.reader()?;
    let mut check = Check {
        catalog,
        reader: &reader,
        needed: Needed::new(),
        damage: BTreeMap::new(),
        report: CheckReport::default(),
    };
    let packs = check.list_packs()?;
    check.structure(&packs, observer)?;
    if options.read_data {
        check.data(&packs, observer)?;
    }
    check.attribute()
}

/// Tells later runs of the places that a check found bad, so that the next backup stores again what it can. Returns how many are new.
pub fn remember(catalog: &Catalog<'_>, report: &CheckReport, host: &dyn Host) -> Result<u64> {
    let known = catalog.facts().damaged_places();
    let spots = report.findings.iter().filter_map(|finding| data::spot(&finding.damage));
    let new: BTreeSet<_> = spots.filter(|spot| !known.contains(spot)).collect();
    let new: Vec<_> = new.into_iter().collect();
    catalog.facts().publish_damaged(catalog.repository(), &new, host)?;
    Ok(new.len() as u64)
}

/// Packs in the listing, by id, with their length.
type Packs = BTreeMap<PackId, u64>;

struct Check<'a> {
    catalog: &'a Catalog<'a>,
    reader: &'a Reader<'a>,
    /// Blobs that the snapshots need.
    needed: Needed,
    /// Everything damaged, once, by what is said of it.
    damage: BTreeMap<String, Damaged>,
    report: CheckReport,
}

/// Something damaged.
struct Damaged {
    damage: Damage,
    /// What is gone with it.
    blobs: BTreeSet<(BlobType, BlobId)>,
    served_elsewhere: bool,
}

impl Check<'_> {
    fn found(&mut self, damage: Damage, blobs: impl IntoIterator<Item = (BlobType, BlobId)>) {
        self.entry(damage).blobs.extend(blobs);
    }

    /// What it takes away is found at another place.
    fn found_served(&mut self, damage: Damage) {
        self.entry(damage).served_elsewhere = true;
    }

    fn entry(&mut self, damage: Damage) -> &mut Damaged {
        let none = BTreeSet::new;
        self.damage.entry(damage.to_string()).or_insert_with(|| Damaged {
            damage,
            blobs: none(),
            served_elsewhere: false,
        })
    }

    fn list_packs(&mut self) -> Result<Packs> {
        let objects =
            self.catalog.repository().backend().list(layout::PACKS).map_err(Error::from_backend)?;
        let packs: Packs =
            layout::ids::<PackId>(&objects).map(|(id, info)| (id, info.len)).collect();
        self.report.packs = packs.len() as u64;
        self.report.pack_bytes = packs.values().sum();
        Ok(packs)
    }

    fn structure(&mut self, packs: &Packs, observer: &dyn Observer) -> Result<()> {
        let snapshots = &self.catalog.listing().snapshots;
        let total = Total { items: snapshots.len() as u64, bytes: 0, estimated: false };
        observer.begin(Phase::CheckStructure, Some(total));
        for damage in self.catalog.damage() {
            self.found(damage, []);
        }
        self.report.missing = self.catalog.missing();
        self.report.snapshots = snapshots.len() as u64;
        self.index();
        let mut structure =
            Structure::new(self.reader, packs, self.catalog.facts().damaged_places());
        for snapshot in snapshots {
            structure.snapshot(&snapshot.record.manifest, observer)?;
            observer.advance(1, 0);
        }
        let found = structure.into_findings();
        self.report.blobs = found.needed.len() as u64;
        self.packs_of_the_index(packs, &found)?;
        for (damage, blobs) in found.damage {
            self.found(damage, blobs);
        }
        found.unlisted.into_iter().for_each(|damage| self.found_served(damage));
        self.needed = found.needed;
        self.stored_for_nobody();
        self.report.unled = lost::unled(self.catalog, self.reader, &self.needed)?;
        // What reading has worked around: a bad place of a blob that has another one.
        for damage in self.reader.take_damage() {
            if !matches!(damage, Damage::Unlisted { .. }) {
                self.found_served(damage);
            }
        }
        self.report.notes.extend(notes::notes(self.catalog)?);
        Ok(())
    }

    fn index(&mut self) {
        let repository = self.catalog.repository();
        for damage in self.reader.index().unreadable().to_vec() {
            self.found_served(damage);
        }
        self.report.segments =
            (self.reader.index().segments().len() + self.reader.index().unreadable().len()) as u64;
        for segment in self.reader.index().segments() {
            for damage in verify_segment(repository, segment) {
                self.found_served(damage);
            }
        }
    }

    /// Stored blobs without any snapshot are what an interrupted first backup leaves, and also all that remains when every record is
    /// lost. No later record names those, so only this can give it away.
    fn stored_for_nobody(&mut self) {
        let stored: u64 =
            self.reader.index().segments().iter().map(|it| it.view.entry_count()).sum();
        if stored > 0 && self.report.snapshots == 0 {
            self.report.notes.push(format!(
                "{stored} blobs are stored and there is no snapshot: a first backup was cut off, or every snapshot record is gone"
            ));
        }
    }

    /// Every pack that a segment names must be there with its length. A pack that none names is what a crash leaves of a backup, unless
    /// snapshots need it: then its segment is lost.
    fn packs_of_the_index(&mut self, packs: &Packs, structure: &Found) -> Result<()> {
        let named: BTreeMap<PackId, u64> = self.reader.index().packs().flatten().collect();
        let removed = self.removed(&named, packs)?;
        if !removed.is_empty() {
            let packs = if removed.len() == 1 { "pack" } else { "packs" };
            let said = format!(
                "the index names {} {packs} in the trash: a prune was cut off, the next one goes on",
                removed.len()
            );
            self.report.notes.push(said);
        }
        for (id, len) in &named {
            let reason = match packs.get(id) {
                None if removed.contains(id) => continue,
                None => "is missing".to_owned(),
                Some(there) if there != len => {
                    format!("has {there} bytes, not the {len} that it was written with")
                }
                Some(_) => continue,
            };
            self.found(Damage::Object { object: layout::pack(id).to_string(), reason }, []);
        }
        let unnamed = packs.keys().filter(|id| !named.contains_key(id));
        let unnamed = unnamed.filter(|id| !structure.unlisted_packs.contains(id)).count();
        // While part of the index is lost, nobody can say why a pack is not in it.
        let whole = self.reader.index().unreadable().is_empty() && structure.unlisted.is_none();
        if unnamed > 0 && whole {
            let (are, it) = if unnamed == 1 { (" is", "it") } else { ("s are", "them") };
            self.report.notes.push(format!("{unnamed} pack{are} in no index: left by a backup that was cut off; nothing needs {it}"));
        }
        Ok(())
    }

    /// Packs that the index names and that lie in the trash: a prune moves them before it unlinks the segments. What snapshots need of
    /// them is found missing in any case.
    fn removed(&self, named: &BTreeMap<PackId, u64>, packs: &Packs) -> Result<BTreeSet<PackId>> {
        if named.keys().all(|id| packs.contains_key(id)) {
            return Ok(BTreeSet::new());
        }
        let trash = discarded(self.catalog.repository().backend())?;
        let ids = trash.iter().flat_map(|it| &it.packs).map(|(id, _)| *id);
        Ok(ids.filter(|id| named.contains_key(id) && !packs.contains_key(id)).collect())
    }

    /// Says for each damage which snapshots and paths need what is gone with it.
    fn attribute(mut self) -> Result<CheckReport> {
        let lost: BTreeSet<_> =
            self.damage.values().flat_map(|it| it.blobs.iter().copied()).collect();
        let needing = affected::needing(self.catalog, self.reader, &lost)?;
        for Damaged { damage, blobs, served_elsewhere } in
            std::mem::take(&mut self.damage).into_values()
        {
            let affected = affected::merge(&needing, &blobs);
            let served_elsewhere = served_elsewhere && affected.is_empty();
            self.report.findings.push(CheckFinding { damage, affected, served_elsewhere });
        }
        Ok(self.report)
    }
}
