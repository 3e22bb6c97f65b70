//! The moment in which something is removed, alone with the repository.
//!
//! Nothing is assumed from before: names are made durable, everything is listed
//! again, what was saved meanwhile is marked too, and the plan only shrinks.
//! Packs leave before the segments that listed them, so that a crash never
//! leaves a pack that no segment lists.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::codec::fact::Subject;
use crate::codec::index::SegmentBuilder;
use crate::id::{BlobId, BlobType, FactId, PackId, SegmentId, SessionId, SnapshotId};
use crate::repo::backend::{Backend, Key};
use crate::repo::distrust::Spot;
use crate::repo::error::{Damage, Result};
use crate::repo::foreign::sync_trash;
use crate::repo::index::write::publish;
use crate::repo::index::{Index, segment_damage};
use crate::repo::layout::{self, Trashed};
use crate::repo::missing::idle_forgotten;
use crate::repo::prune::Walk;
use crate::repo::prune::live::{Live, Packs};
use crate::repo::prune::maintainer::Maintainer;
use crate::repo::prune::standing::Standing;
use crate::repo::prune::survey::{Survey, list_packs};
use crate::repo::prune::trash::discard;
use crate::repo::prune::write::{Replacement, absorb, unread_segment};

/// What is to be removed, and what that rests on.
pub(super) struct Intent<'a> {
    /// What was read when the plan was made.
    pub(super) survey: &'a Survey,
    pub(super) index: &'a Index,
    /// Places that were known to be damaged then.
    pub(super) damaged: &'a BTreeSet<Spot>,
    /// Packs that leave.
    pub(super) leaving: &'a BTreeSet<PackId>,
    /// Packs on whose staying the plan rests, with their length.
    pub(super) relied_upon: &'a Packs,
    pub(super) replacement: &'a Replacement,
    /// Markers of sessions that are over.
    pub(super) expired: &'a BTreeSet<SessionId>,
    /// Deletes packs at once: a full disk has no room for a trash.
    pub(super) for_good: bool,
}

/// What was removed.
#[derive(Debug, Default)]
pub(super) struct Switched {
    pub(super) packs: u64,
    pub(super) pack_bytes: u64,
    pub(super) rescued: BTreeSet<PackId>,
    pub(super) segments: u64,
    pub(super) facts: u64,
    pub(super) sessions: u64,
}

/// Removes what the intent says and nobody needs.
pub(super) fn switch(
    maintainer: &Maintainer<'_>,
    intent: &Intent<'_>,
    walk: &mut dyn Walk,
) -> Result<Switched> {
    let backend = maintainer.repository.backend();
    let _alone = maintainer.alone()?;
    for directory in [layout::SNAPSHOTS, layout::FACTS, layout::PACKS, layout::INDEX] {
        backend.sync(directory)?;
    }
    // A forgotten record that is on its way must not come back when its packs do not.
    sync_trash(backend)?;
    let now = Now::look(maintainer, intent)?;
    let rescued = now.rescued(intent, walk)?;
    let supplement = now.list_rescued(maintainer, &rescued)?;
    let listed = now.listed_meanwhile(intent)?;
    let leaving =
        |id: &PackId| intent.leaving.contains(id) && !rescued.contains(id) && !listed.contains(id);
    let going: Vec<(PackId, u64)> =
        now.packs.iter().filter(|(id, _)| leaving(id)).map(|(id, len)| (*id, *len)).collect();
    remove_packs(maintainer, &going, intent.for_good)?;
    let replaced: Vec<Key> = intent
        .replacement
        .replaced
        .iter()
        .filter(|id| Some(**id) != supplement)
        .map(layout::segment)
        .collect();
    remove(backend, layout::INDEX, &replaced)?;
    let facts = now.idle_facts();
    remove(backend, layout::FACTS, &facts)?;
    let markers: Vec<Key> = intent.expired.iter().map(layout::session).collect();
    remove(backend, layout::SESSIONS, &markers)?;
    Ok(Switched {
        packs: going.len() as u64,
        pack_bytes: going.iter().map(|(_, len)| len).sum(),
        rescued,
        segments: replaced.len() as u64,
        facts: facts.len() as u64,
        sessions: markers.len() as u64,
    })
}

/// The facts that say nothing any more.
pub(super) fn idle_facts(survey: &Survey) -> BTreeSet<FactId> {
    let Survey { listing, facts } = survey;
    let forgotten = idle_forgotten(listing, facts).into_iter();
    let forgotten =
        forgotten.filter_map(|snapshot| facts.name_of(&Subject::Forgotten { snapshot }));
    forgotten.chain(facts.superseded.iter().copied()).collect()
}

/// Everything as it is now that nobody else is at work.
struct Now {
    survey: Survey,
    index: Index,
    packs: Packs,
}

impl Now {
    /// Lists everything again. What the plan rests on must still be there.
    fn look(maintainer: &Maintainer<'_>, intent: &Intent<'_>) -> Result<Self> {
        let repository = maintainer.repository;
        let survey = Survey::take(repository)?;
        let index = Index::load(repository.backend(), repository.keys())?;
        if let Some(damage) = index.unreadable().first() {
            return Err(damage.clone().into());
        }
        let (packs, _) = list_packs(repository.backend())?;
        let now = Self { survey, index, packs };
        now.confirm_snapshots(intent)?;
        now.confirm_segments(intent)?;
        now.confirm_packs(intent)?;
        now.confirm_places(intent)?;
        Ok(now)
    }

    /// No other record may name the newest one, so only who has just seen it can tell that it is lost.
    fn confirm_snapshots(&self, intent: &Intent<'_>) -> Result<()> {
        let Survey { listing, facts } = &self.survey;
        let is_explained = |snapshot: SnapshotId| {
            listing.ids.contains(&snapshot)
                || facts.about(&Subject::Forgotten { snapshot }).is_some()
        };
        match intent.survey.listing.ids.iter().find(|id| !is_explained(**id)) {
            None => Ok(()),
            Some(id) => {
                let object = layout::snapshot(id).to_string();
                Err(Damage::Object { object, reason: GONE.to_owned() }.into())
            }
        }
    }

    fn confirm_segments(&self, intent: &Intent<'_>) -> Result<()> {
        let there: BTreeSet<SegmentId> = self.index.segments().iter().map(|it| it.id).collect();
        let expected = intent.index.segments().iter().chain(&intent.replacement.segment);
        match expected.map(|segment| segment.id).find(|id| !there.contains(id)) {
            None => Ok(()),
            Some(id) => Err(segment_damage(&id, GONE.to_owned()).into()),
        }
    }

    fn confirm_packs(&self, intent: &Intent<'_>) -> Result<()> {
        let mut relied_upon = intent.relied_upon.iter();
        match relied_upon.find(|(id, len)| self.packs.get(id) != Some(len)) {
            None => Ok(()),
            Some((id, _)) => {
                let object = layout::pack(id).to_string();
                Err(Damage::Object { object, reason: GONE.to_owned() }.into())
            }
        }
    }

    /// A place that was chosen to stay may have been found damaged since: then another that is about to go may be the last.
    fn confirm_places(&self, intent: &Intent<'_>) -> Result<()> {
        let damaged = self.survey.facts.damaged_places();
        match damaged.difference(intent.damaged).next() {
            None => Ok(()),
            Some((pack, offset)) => {
                let object = layout::pack(pack).to_string();
                let reason = format!(
                    "offset {offset} was found damaged while this was planned; nothing was removed"
                );
                Err(Damage::Object { object, reason }.into())
            }
        }
    }

    /// Packs that were to leave, and that a snapshot of the meantime needs.
    fn rescued(&self, intent: &Intent<'_>, walk: &mut dyn Walk) -> Result<BTreeSet<PackId>> {
        let planned: BTreeSet<_> = intent.survey.listing.ids.iter().collect();
        let snapshots = &self.survey.listing.snapshots;
        let new: Vec<_> =
            snapshots.iter().filter(|it| !planned.contains(&it.id)).cloned().collect();
        if new.is_empty() {
            return Ok(BTreeSet::new());
        }
        let damaged = self.survey.facts.damaged_places();
        let (leaving, stay): (Packs, Packs) =
            self.packs.iter().partition(|(id, _)| intent.leaving.contains(id));
        let stays = |id: &SegmentId| !intent.replacement.replaced.contains(id);
        let segments = self.index.segments();
        let rescue = Rescue {
            after: Standing {
                segments: segments.iter().filter(|it| stays(&it.id)).collect(),
                packs: &stay,
                damaged: &damaged,
            },
            leaving: Standing {
                segments: segments.iter().collect(),
                packs: &leaving,
                damaged: &damaged,
            },
            rescued: Mutex::default(),
        };
        walk.mark(&new, &rescue)?;
        Ok(rescue.rescued.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Packs in segments of the meantime. Their writer may have been cut off since; without the packs its segment would name what is gone,
    /// and the next backup would take that for damage.
    fn listed_meanwhile(&self, intent: &Intent<'_>) -> Result<BTreeSet<PackId>> {
        let known: BTreeSet<SegmentId> = intent
            .index
            .segments()
            .iter()
            .chain(&intent.replacement.segment)
            .map(|it| it.id)
            .collect();
        let mut listed = BTreeSet::new();
        for segment in self.index.segments().iter().filter(|it| !known.contains(&it.id)) {
            for pack in segment.view.packs() {
                let (id, _) =
                    pack.map_err(|error| segment_damage(&segment.id, error.to_string()))?;
                listed.insert(id);
            }
        }
        Ok(listed)
    }

    /// A segment for the rescued packs: the old ones that list them name packs that leave, too.
    fn list_rescued(
        &self,
        maintainer: &Maintainer<'_>,
        rescued: &BTreeSet<PackId>,
    ) -> Result<Option<SegmentId>> {
        if rescued.is_empty() {
            return Ok(None);
        }
        let repository = maintainer.repository;
        let mut builder = SegmentBuilder::new(*repository.id());
        for segment in self.index.segments() {
            absorb(&mut builder, segment, &|pack| rescued.contains(pack))?;
        }
        let stage = maintainer.stage()?;
        let written = publish(repository.backend(), &*stage, repository.keys(), builder)?;
        Ok(Some(written.ok_or_else(unread_segment)?.id))
    }

    fn idle_facts(&self) -> Vec<Key> {
        idle_facts(&self.survey).iter().map(layout::fact).collect()
    }
}

const GONE: &str = "was there when this began, and is gone or changed now";

/// Finds for each blob a place that stands after the switch, or keeps a pack that was to leave.
struct Rescue<'a> {
    after: Standing<'a>,
    leaving: Standing<'a>,
    rescued: Mutex<BTreeSet<PackId>>,
}

impl Live for Rescue<'_> {
    fn live(&self, blob_type: BlobType, id: &BlobId) -> Result<()> {
        let after = self.after.places(blob_type, id)?;
        if !after.sound.is_empty() {
            return Ok(());
        }
        let leaving = self.leaving.places(blob_type, id)?;
        let mut rescued = self.rescued.lock().unwrap_or_else(PoisonError::into_inner);
        if leaving.sound.iter().any(|pack| rescued.contains(pack)) {
            return Ok(());
        }
        if let Some(pack) = leaving.sound.first() {
            rescued.insert(*pack);
            return Ok(());
        }
        // While every place is damaged none is dropped.
        if after.damaged.is_empty() && leaving.damaged.is_empty() {
            return Err(Damage::Unlisted { blob_type, id: *id }.into());
        }
        rescued.extend(leaving.damaged);
        Ok(())
    }
}

fn remove_packs(
    maintainer: &Maintainer<'_>,
    packs: &[(PackId, u64)],
    for_good: bool,
) -> Result<()> {
    let backend = maintainer.repository.backend();
    if for_good {
        let keys: Vec<Key> = packs.iter().map(|(id, _)| layout::pack(id)).collect();
        return remove(backend, layout::PACKS, &keys);
    }
    let moves: Vec<_> =
        packs.iter().map(|(id, _)| (layout::pack(id), Trashed::Pack(*id))).collect();
    discard(backend, maintainer.host.now_ns(), layout::PACKS, &moves)
}

/// Removes objects of one directory, durably.
fn remove(backend: &dyn Backend, directory: &str, keys: &[Key]) -> Result<()> {
    for key in keys {
        match backend.delete(key) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    if keys.is_empty() { Ok(()) } else { Ok(backend.sync(directory)?) }
}
