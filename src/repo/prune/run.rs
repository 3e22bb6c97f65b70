//! One run: write, switch, tidy; and the way through a full disk.

use std::collections::BTreeSet;

use crate::host::Host;
use crate::id::PackId;
use crate::observe::{Phase, Total};
use crate::repo::error::Result;
use crate::repo::facts::Facts;
use crate::repo::prune::draft::Draft;
use crate::repo::prune::live::{LiveSet, Packs};
use crate::repo::prune::maintainer::Maintainer;
use crate::repo::prune::switch::{Intent, Switched, idle_facts, switch};
use crate::repo::prune::trash::{Discarded, Emptied, discarded, empty, is_due};
use crate::repo::prune::write::{Replacement, Rewritten, outdated, replace, rewrite};
use crate::repo::prune::{Pending, PruneOptions, PruneReport, Walk, spot, unless_full};
use crate::repo::repository::Repository;

/// What a run would come to.
pub(super) fn outlook(
    repository: &Repository,
    draft: Draft,
    options: &PruneOptions,
    host: &dyn Host,
) -> Result<PruneReport> {
    let now_ns = host.now_ns();
    let leaving = draft.plan.leaving();
    let len = |pack: &PackId| draft.packs.get(pack).copied().unwrap_or(0);
    let all = discarded(repository.backend())?;
    let (due, left): (Vec<_>, Vec<_>) =
        all.iter().partition(|it| is_due(it, now_ns, options.grace_ns));
    let mut report = PruneReport {
        removed_packs: leaving.len() as u64,
        removed_bytes: leaving.iter().map(len).sum(),
        written_bytes: draft.plan.written_bytes(),
        removed_sessions: draft.expired.len() as u64,
        emptied: due.iter().fold(Emptied::default(), |sum, it| sum.and(it)),
        pending: pending(left.into_iter(), options.grace_ns),
        ..begun(&draft)
    };
    report.plan = draft.plan;
    Ok(report)
}

fn begun(draft: &Draft) -> PruneReport {
    PruneReport {
        snapshots: draft.survey.listing.snapshots.len() as u64,
        hopeless_blobs: draft.hopeless_blobs,
        unfinished: draft.unfinished.clone(),
        ..PruneReport::default()
    }
}

fn pending<'d>(left: impl Iterator<Item = &'d Discarded>, grace_ns: i64) -> Option<Pending> {
    left.fold(None, |sum: Option<Pending>, it| {
        let due_ns = it.time_ns.saturating_add(grace_ns);
        let sum =
            sum.unwrap_or(Pending { from_ns: due_ns, until_ns: due_ns, ..Pending::default() });
        Some(Pending {
            packs: sum.packs + it.packs.len() as u64,
            snapshots: sum.snapshots + it.snapshots.len() as u64,
            bytes: sum.bytes.saturating_add(it.bytes),
            from_ns: sum.from_ns.min(due_ns),
            until_ns: sum.until_ns.max(due_ns),
        })
    })
}

/// What was written, and what may therefore leave.
struct Ready {
    leaving: BTreeSet<PackId>,
    relied_upon: Packs,
    replacement: Replacement,
}

pub(super) struct Run<'a> {
    maintainer: &'a Maintainer<'a>,
    draft: Draft,
    options: &'a PruneOptions,
    report: PruneReport,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        maintainer: &'a Maintainer<'a>,
        draft: Draft,
        options: &'a PruneOptions,
    ) -> Self {
        let report = begun(&draft);
        Self { maintainer, draft, options, report }
    }

    /// Writes what must be written and removes what may go. Without room for that, the trash is emptied, and then packs go before
    /// the segment that is to do without them can be written.
    pub(super) fn remove(&mut self, walk: &mut dyn Walk) -> Result<()> {
        if !self.has_work()? {
            return Ok(());
        }
        if let Some(ready) = unless_full(self.write())? {
            return self.switch(&ready, walk);
        }
        self.report.disk_was_full = true;
        self.give_up_rewriting();
        self.empty_trash(0)?;
        if let Some(ready) = unless_full(self.write())? {
            return self.switch(&ready, walk);
        }
        let leaving = self.draft.plan.leaving();
        let relied_upon = self.draft.relied_upon(&leaving);
        let bare = Ready { leaving, relied_upon, replacement: Replacement::default() };
        self.switch(&bare, walk)?;
        // All that was to leave has left, so a second switch removes only segments. Now there may be room for one. If not, segments go on naming packs that are gone, and the next run replaces them.
        match unless_full(self.write())? {
            Some(ready) => self.switch(&ready, walk),
            None => Ok(()),
        }
    }

    fn has_work(&self) -> Result<bool> {
        let leaving = self.draft.plan.leaving();
        let stays = |pack: &PackId| self.draft.packs.contains_key(pack) && !leaving.contains(pack);
        Ok(!leaving.is_empty()
            || !self.draft.expired.is_empty()
            || !idle_facts(&self.draft.survey).is_empty()
            || !outdated(&self.draft.index, &stays)?.is_empty())
    }

    fn give_up_rewriting(&mut self) {
        let plan = std::mem::take(&mut self.draft.plan);
        self.draft.plan = plan.without_rewriting(&self.draft.candidates);
    }

    /// While this writes, it shares the repository, so that nobody sweeps its stage away.
    fn write(&mut self) -> Result<Ready> {
        let _held = self.maintainer.share()?;
        let wanted = self.draft.plan.written_bytes();
        let backend = self.maintainer.repository.backend();
        if wanted > 0 && unless_full(self.options.min_free.allow_on(backend, wanted))?.is_none() {
            self.give_up_rewriting();
        }
        let stage = self.maintainer.stage()?;
        let mut rewritten = Rewritten::default();
        if !self.draft.plan.rewritten.is_empty() {
            let blobs = self.draft.offsets.values().map(|offsets| offsets.len() as u64).sum();
            let total =
                Total { items: blobs, bytes: self.draft.plan.written_bytes(), estimated: false };
            self.maintainer.observer().begin(Phase::Rewrite, Some(total));
            rewritten = rewrite(self.maintainer, &*stage, &self.draft.packs, &self.draft.offsets)?;
            self.let_wait(&rewritten)?;
        }
        let leaving = self.draft.plan.leaving();
        let stays = |pack: &PackId| self.draft.packs.contains_key(pack) && !leaving.contains(pack);
        let mut outdated = outdated(&self.draft.index, &stays)?;
        if outdated.is_empty() && !rewritten.packs.is_empty() {
            // Everything waits; the copies are listed, for the next run to go on from.
            outdated.extend(self.draft.index.segments().iter().min_by_key(|it| it.len));
        }
        let replacement = replace(self.maintainer, &*stage, &outdated, &stays, &rewritten)?;
        let mut relied_upon = self.draft.relied_upon(&leaving);
        relied_upon.extend(rewritten.packs.iter().copied());
        self.report.written_packs = rewritten.packs.len() as u64;
        self.report.written_bytes = rewritten.packs.iter().map(|(_, len)| len).sum();
        Ok(Ready { leaving, relied_upon, replacement })
    }

    /// A pack that could not be rewritten stays as it is, and so does every pack that has a copy of one of its blobs: the plan took
    /// for dead what may now be the only good one. The next run knows of the damage and chooses that.
    fn let_wait(&mut self, rewritten: &Rewritten) -> Result<()> {
        if rewritten.waiting.is_empty() {
            return Ok(());
        }
        let Draft { plan, candidates, index, packs, .. } = &mut self.draft;
        let waiting = rewritten.waiting.keys().copied().collect();
        for pack in LiveSet::sharing(index, packs, &waiting)?.union(&waiting) {
            if let Some(candidate) = candidates.get(pack) {
                plan.keep(pack, candidate);
            }
        }
        self.report.damage.extend(rewritten.waiting.values().cloned());
        Ok(())
    }

    fn switch(&mut self, ready: &Ready, walk: &mut dyn Walk) -> Result<()> {
        let intent = Intent {
            survey: &self.draft.survey,
            index: &self.draft.index,
            damaged: &self.draft.damaged,
            leaving: &ready.leaving,
            relied_upon: &ready.relied_upon,
            replacement: &ready.replacement,
            expired: &self.draft.expired,
            for_good: self.report.disk_was_full,
        };
        let Switched { packs, pack_bytes, rescued, segments, facts, sessions } =
            switch(self.maintainer, &intent, walk)?;
        self.report.removed_packs += packs;
        self.report.removed_bytes += pack_bytes;
        self.report.rescued_packs += rescued.len() as u64;
        for pack in rescued {
            self.draft.plan.gone.remove(&pack);
            self.draft.plan.rewritten.remove(&pack);
        }
        self.report.replaced_segments += segments;
        self.report.removed_facts += facts;
        self.report.removed_sessions += sessions;
        if self.report.disk_was_full {
            self.report.emptied.packs += packs;
            self.report.emptied.bytes += pack_bytes;
        }
        Ok(())
    }

    fn empty_trash(&mut self, grace_ns: i64) -> Result<()> {
        let Maintainer { repository, host, .. } = self.maintainer;
        let emptied = empty(repository.backend(), host.now_ns(), grace_ns)?;
        self.report.emptied = self.report.emptied.plus(emptied);
        Ok(())
    }

    /// Empties the trash as far as its grace is over, and tells later runs of the places that were found bad.
    pub(super) fn finish(mut self) -> Result<PruneReport> {
        self.empty_trash(self.options.grace_ns)?;
        let Maintainer { repository, host, .. } = self.maintainer;
        let left = discarded(repository.backend())?;
        self.report.pending = pending(left.iter(), self.options.grace_ns);
        let spots: Vec<_> = self.report.damage.iter().filter_map(spot).collect();
        if !spots.is_empty() {
            let _held = self.maintainer.share()?;
            Facts::read(repository)?.publish_damaged(repository, &spots, *host)?;
        }
        self.report.plan = self.draft.plan;
        Ok(self.report)
    }
}
