//! The fixpoint: captures and lookups in turn, until nothing is missing or always the same.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::{DatabaseRecord, FileIdentity, FindingKind};
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::archive::databases::Held;
use crate::snapshot::archive::draft::Finished;
use crate::snapshot::archive::late::Act;
use crate::snapshot::archive::reading::source_of;
use crate::snapshot::archive::references::carry::contains;
use crate::snapshot::archive::references::fetch::Fetched;
use crate::snapshot::archive::references::lookup::{Need, View};
use crate::snapshot::archive::references::{Flaw, Set, dangling, identity_on_disk};

/// The most lookups; the first is about what the bulk pass saved.
pub(super) const MAX_ROUNDS: u32 = 8;

/// How long is waited, in all, for files whose rows came first.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Files that are watched while it is waited.
const WATCHED: usize = 4096;

/// What is open after a round.
struct Open {
    /// Which rows, and what is wrong with each.
    state: blake3::Hash,
    files: Vec<EntryKey>,
}

/// Captures and fetches until every reference is there, or it is known which are not.
pub(in crate::snapshot::archive) fn settle(
    act: &mut Act<'_, '_>,
    draft: &mut Finished,
) -> Result<(), ArchiveError> {
    reconsider(act)?;
    while act.held.iter().any(|held| !held.is_settled) {
        // A database that the last fetch has found comes behind these, and was not looked up.
        let looked_up = settle_held(act, draft)?;
        act.held.iter_mut().take(looked_up).for_each(|held| held.is_settled = true);
        reconsider(act)?;
    }
    Ok(())
}

/// Returns how many of the held databases were there at the last lookup.
fn settle_held(act: &mut Act<'_, '_>, draft: &mut Finished) -> Result<usize, ArchiveError> {
    let (mut last, mut patience, mut looked_up) = (None, GRACE, 0);
    for round in 1..=MAX_ROUNDS {
        look_up(act, draft)?;
        looked_up = act.held.len();
        let found = std::mem::take(&mut act.found);
        for item in found {
            act.database_of(item)?;
        }
        let Some(open) = open(act).filter(|_| round < MAX_ROUNDS) else { break };
        if last == Some(open.state) {
            if patience.is_zero() {
                break;
            }
            patience = wait(act, &open.files, patience)?;
        } else if round > 1 {
            pause(act, Duration::from_millis(5 << round))?;
        }
        last = Some(open.state);
        act.capture_again()?;
    }
    Ok(looked_up)
}

/// One lookup of all that is not settled, and one fetch of what it lacks.
fn look_up(act: &mut Act<'_, '_>, draft: &mut Finished) -> Result<(), ArchiveError> {
    let mut sets = unsettled(&mut act.held);
    let (request, late, left_out) = (act.request, &act.done.entries, &act.left_out);
    let mut view = View { request, late, left_out, hashes: &mut act.hashes };
    let mut needs = view.look_up(draft, &mut sets)?;
    needs.retain(|need| place(&mut sets, need).is_some());
    let mut files: BTreeMap<EntryKey, &Need> = BTreeMap::new();
    for need in &needs {
        if let Some(file) = place(&mut sets, need) {
            files.insert(file.key.clone(), need);
        }
    }
    let mut fetched = BTreeMap::new();
    for (key, need) in files {
        let came = act.fetch(&key, need.before.as_deref())?;
        fetched.insert(key, came);
    }
    let mut sets = unsettled(&mut act.held);
    let (late, left_out) = (&act.done.entries, &act.left_out);
    let mut view = View { request, late, left_out, hashes: &mut act.hashes };
    for need in &needs {
        let Some(file) = place(&mut sets, need) else { continue };
        file.flaw = match fetched.get(&file.key) {
            Some(Fetched::Not(flaw)) => Some(*flaw),
            Some(Fetched::Got) => view.flaw(file, late.get(&file.key))?,
            Some(Fetched::Gone) | None => view.flaw(file, need.before.as_deref())?,
        };
    }
    Ok(())
}

fn unsettled(held: &mut [Held]) -> Vec<&mut Set> {
    let open = held.iter_mut().filter(|held| !held.is_settled);
    open.flat_map(|held| &mut held.asked.sets).collect()
}

fn place<'s>(
    sets: &'s mut [&mut Set],
    need: &Need,
) -> Option<&'s mut crate::snapshot::archive::references::Reference> {
    sets.get_mut(need.set)?.files.get_mut(need.at)
}

/// What nobody has accepted and is not there.
fn open(act: &Act<'_, '_>) -> Option<Open> {
    let (mut hasher, mut files) = (blake3::Hasher::new(), Vec::new());
    let mut is_open = false;
    for held in act.held.iter().filter(|held| !held.is_settled) {
        for (file, flaw) in act.open_of(held) {
            is_open = true;
            hasher.update(&file.key.root.to_le_bytes()).update(&file.key.path);
            hasher.update(&[0, flaw as u8]).update(&file.size_bytes.unwrap_or(0).to_le_bytes());
            if files.len() < WATCHED {
                files.push(file.key.clone());
            }
        }
    }
    is_open.then(|| Open { state: hasher.finalize(), files })
}

impl Act<'_, '_> {
    /// The references of a database that are not there, though they could be, and that nobody has accepted.
    pub(in crate::snapshot::archive) fn open_of<'h>(
        &self,
        held: &'h Held,
    ) -> impl Iterator<Item = (&'h super::Reference, Flaw)> + use<'h, '_> {
        let accepted = self.request.accepted;
        let database = &held.database.item.key;
        held.asked.sets.iter().flat_map(move |set| {
            set.files.iter().filter_map(move |file| {
                let flaw = file.flaw.filter(|flaw| !flaw.is_chosen())?;
                let finding = dangling(database, set, (&file.key, flaw));
                (!accepted(&finding)).then_some((file, flaw))
            })
        })
    }
}

/// Lets time pass until one of these files is not as it was, or patience is over; returns what is left of it.
fn wait(
    act: &Act<'_, '_>,
    files: &[EntryKey],
    mut patience: Duration,
) -> Result<Duration, ArchiveError> {
    let look = |key: &EntryKey| -> Option<FileIdentity> {
        let item = source_of(act.request, key).look(&key.path).ok()?;
        Some(identity_on_disk(&item.stat))
    };
    let before: Vec<_> = files.iter().map(look).collect();
    let mut step = Duration::from_millis(25);
    while !patience.is_zero() {
        step = (step * 2).min(Duration::from_millis(400)).min(patience);
        pause(act, step)?;
        patience = patience.saturating_sub(step);
        if files.iter().zip(&before).any(|(key, before)| look(key) != *before) {
            break;
        }
    }
    Ok(patience)
}

fn pause(act: &Act<'_, '_>, time: Duration) -> Result<(), ArchiveError> {
    act.stop.check()?;
    (act.request.pause)(time);
    act.stop.check()
}

/// A database whose outcome was taken over from the parent is asked after all when files came after the walk where it names some: beside
/// another database, or fetched for its rows.
fn reconsider(act: &mut Act<'_, '_>) -> Result<(), ArchiveError> {
    let fetched = std::mem::take(&mut act.fetched);
    let (again, kept) = std::mem::take(&mut act.kept).into_iter().partition(|kept| {
        kept.bases.iter().any(|base| fetched.iter().any(|key| contains(base, key)))
    });
    act.kept = kept;
    let again: Vec<_> = again;
    for kept in again {
        let key = kept.database.item.key.clone();
        let is_it = |it: &DatabaseRecord| (it.root, &it.path) == (key.root, &key.path);
        let at = act.done.databases.iter().position(is_it);
        let record = at.map(|at| act.done.databases.remove(at));
        act.capture_anew(kept.database)?;
        // Where that failed its entry is the parent's still, and so is what is known of it.
        if let Some(why) = act.done.lost.remove(&key) {
            let what = format!("not captured again: {why}; an earlier state of it is saved");
            act.tally.finding_of(FindingKind::Reference, key, what);
            act.done.databases.extend(record);
        }
    }
    Ok(())
}
