//! From what is there to a plan: mark, settle, look at each pack.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::host::Host;
use crate::id::{PackId, SessionId};
use crate::repo::distrust::Spot;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::index::Index;
use crate::repo::layout;
use crate::repo::pack::read::directory;
use crate::repo::prune::live::{LiveSet, Packs, Settled, Use};
use crate::repo::prune::plan::{Candidate, Plan, Waiting};
use crate::repo::prune::survey::{Sessions, Survey, list_packs};
use crate::repo::prune::{PruneOptions, Unfinished, Walk};
use crate::repo::repository::Repository;

/// A plan, and all that it was made from.
pub(super) struct Draft {
    pub(super) survey: Survey,
    pub(super) index: Index,
    pub(super) packs: Packs,
    pub(super) damaged: BTreeSet<Spot>,
    pub(super) candidates: BTreeMap<PackId, Candidate>,
    pub(super) plan: Plan,
    /// Where the live blobs lie in the packs that are rewritten.
    pub(super) offsets: BTreeMap<PackId, BTreeSet<u64>>,
    pub(super) expired: BTreeSet<SessionId>,
    pub(super) hopeless_blobs: u64,
    pub(super) unfinished: Vec<Unfinished>,
}

/// Marks what every snapshot needs and decides what goes. Any error means that nothing may be removed. `maintainer` is the session of
/// the one who asks, if it is more than a question.
pub(super) fn draft(
    repository: &Repository,
    walk: &mut dyn Walk,
    options: &PruneOptions,
    host: &dyn Host,
    maintainer: Option<SessionId>,
) -> Result<Draft> {
    let backend = repository.backend();
    let survey = Survey::take(repository)?;
    let index = Index::load(backend, repository.keys())?;
    // Packs before sessions: a writer that is done with its packs removes its marker, and then a snapshot needs them.
    let (packs, times) = list_packs(backend)?;
    let mut sessions =
        Sessions::list(backend, host.now_ns(), options.unfinished_ns, maintainer.is_some())?;
    sessions.kept.retain(|id, _| Some(*id) != maintainer);
    let damaged = survey.facts.damaged_places();
    let mut live = LiveSet::new(&index, &packs)?;
    walk.mark(&survey.listing.snapshots, &live)?;
    let Settled { packs: uses, hopeless_blobs } = live.settle(&damaged)?;
    let stored = RefCell::default();
    let look = Look { repository, index: &index, sessions: &sessions, hopeless_blobs, stored };
    look.refuse_silence(&survey, &packs)?;
    let candidates = look.candidates(&packs, &uses, &times)?;
    let unfinished = look.unfinished(&candidates);
    let plan = Plan::of(&candidates);
    let offsets =
        if plan.rewritten.is_empty() { BTreeMap::new() } else { live.offsets_in(&plan.rewritten)? };
    drop(live);
    let expired = sessions.expired;
    Ok(Draft {
        survey,
        index,
        packs,
        damaged,
        candidates,
        plan,
        offsets,
        expired,
        hopeless_blobs,
        unfinished,
    })
}

impl Draft {
    /// Packs with something alive in them that do not leave.
    pub(super) fn relied_upon(&self, leaving: &BTreeSet<PackId>) -> Packs {
        let lives = |id: &PackId| self.candidates.get(id).is_some_and(|it| it.usage.live_bytes > 0);
        let stays = self.packs.iter().filter(|(id, _)| lives(id) && !leaving.contains(id));
        stays.map(|(id, len)| (*id, *len)).collect()
    }
}

struct Look<'a> {
    repository: &'a Repository,
    index: &'a Index,
    sessions: &'a Sessions,
    hopeless_blobs: u64,
    /// The unfinished session that stored a pack.
    stored: RefCell<BTreeMap<PackId, SessionId>>,
}

impl Look<'_> {
    /// Without any record, and without a word about one that was forgotten, only packs of known sessions are explained: those of a
    /// first backup that was cut off. Others may belong to snapshots whose records are lost.
    fn refuse_silence(&self, survey: &Survey, packs: &Packs) -> Result<()> {
        if !survey.is_silent() {
            return Ok(());
        }
        for (pack, len) in packs {
            let session = self.session_of(pack, *len)?;
            let known =
                |id| self.sessions.kept.contains_key(&id) || self.sessions.expired.contains(&id);
            if !session.is_some_and(known) {
                let object = layout::SNAPSHOTS.to_owned();
                let reason = "blobs are stored, there is no snapshot, and nothing says that any was forgotten".to_owned();
                return Err(Damage::Object { object, reason }.into());
            }
        }
        Ok(())
    }

    fn candidates(
        &self,
        packs: &Packs,
        uses: &BTreeMap<PackId, Use>,
        times: &[(PackId, i64)],
    ) -> Result<BTreeMap<PackId, Candidate>> {
        let named: BTreeSet<PackId> =
            self.index.packs().map(|pack| Ok(pack?.0)).collect::<Result<_>>()?;
        let mut candidates = BTreeMap::new();
        for (id, written_ns) in times {
            let Some(len) = packs.get(id).copied() else { continue };
            let usage = uses.get(id).copied();
            let waiting = match usage {
                // Listed with another length: it is not as it was written.
                None if named.contains(id) => Some(Waiting::Damaged),
                None if self.hopeless_blobs > 0 => Some(Waiting::Damaged),
                Some(usage) if usage.dead_bytes() == 0 && usage.live_bytes > 0 => None,
                _ => self.waiting(id, len)?,
            };
            let usage = usage.unwrap_or_default();
            let written_ns = *written_ns;
            candidates.insert(*id, Candidate { len, written_ns, usage, waiting });
        }
        Ok(candidates)
    }

    /// What waits for whom.
    fn unfinished(&self, candidates: &BTreeMap<PackId, Candidate>) -> Vec<Unfinished> {
        let mut bytes: BTreeMap<SessionId, u64> = BTreeMap::new();
        for (pack, session) in self.stored.borrow().iter() {
            let dead = candidates.get(pack).map_or(0, Candidate::dead_bytes);
            *bytes.entry(*session).or_default() += dead;
        }
        let until = |session| self.sessions.kept.get(&session).copied().flatten();
        bytes
            .into_iter()
            .map(|(session, bytes)| Unfinished { session, bytes, until_ns: until(session) })
            .collect()
    }

    /// Asks the pack who wrote it, where that can make a difference.
    fn waiting(&self, id: &PackId, len: u64) -> Result<Option<Waiting>> {
        if self.sessions.kept.is_empty() {
            return Ok(None);
        }
        Ok(match self.session_of(id, len)? {
            None => Some(Waiting::Damaged),
            Some(session) if self.sessions.kept.contains_key(&session) => {
                self.stored.borrow_mut().insert(*id, session);
                Some(Waiting::Unfinished)
            }
            Some(_) => None,
        })
    }

    /// `None` for a pack whose directory cannot be read.
    fn session_of(&self, id: &PackId, len: u64) -> Result<Option<SessionId>> {
        let (backend, keys) = (self.repository.backend(), self.repository.keys());
        match directory(backend, keys, self.repository.id(), (id, len)) {
            Ok(directory) => Ok(Some(directory.session)),
            Err(RepoError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
