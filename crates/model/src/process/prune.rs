//! A prune: mark, plan, write, switch.

use std::collections::BTreeMap;

use crate::guard::Guard;
use crate::object::{Blobs, Dir, EntryId, Object, Place, each};
use crate::process::{LAST, Plan, Scene, Step, Turn};
use crate::state::{Call, EXCLUSIVE, MAINTENANCE, Memo, Promise};

/// The phases.
const LIST: u8 = 1;
const PLAN: u8 = 2;
const LOCK: u8 = 3;
const SWITCH: u8 = 4;

pub(super) fn decide(scene: &Scene<'_>, phase: u8) -> Option<Turn> {
    match phase {
        0 => begin(scene),
        LIST => {
            let facts = Memo::Facts(scene.view.forgotten());
            Some(Turn::to(scene, PLAN, "lists facts").remember(facts))
        }
        PLAN => Some(plan(scene)),
        LOCK => lock(scene),
        _ => Some(switch(scene)),
    }
}

fn begin(scene: &Scene<'_>) -> Option<Turn> {
    let first = if scene.hold(Guard::FactsLast) { PLAN } else { LIST };
    let turn = Turn::to(scene, first, "begins");
    if !scene.hold(Guard::Maintenance) {
        return Some(turn);
    }
    scene.can_lock(MAINTENANCE).then(|| turn.lock(MAINTENANCE))
}

/// Every live blob and the place of it that stays; `None` when one has none.
fn mark(scene: &Scene<'_>) -> Option<BTreeMap<Blobs, Place>> {
    let view = &scene.view;
    let damaged = view.damaged();
    let is_damaged = |place: &Place| damaged.contains(place);
    let listed: Vec<Place> =
        view.places().into_iter().filter(|it| view.has_pack(it.pack)).collect();
    let mut keep = BTreeMap::new();
    for blob in each(view.live()) {
        let mut places: Vec<Place> = listed.iter().copied().filter(|it| it.blob == blob).collect();
        if places.iter().all(is_damaged) {
            // Unlisted packs are searched by their trailers.
            let holding = view.packs_in(Dir::Packs).filter(|(_, _, blobs)| blobs & blob != 0);
            places.extend(holding.map(|(_, pack, _)| Place { pack, blob }));
        }
        let intact =
            places.iter().find(|it| !is_damaged(it)).filter(|_| scene.hold(Guard::KeepIntact));
        keep.insert(blob, *intact.or(places.first())?);
    }
    Some(keep)
}

/// A pack as the plan sees it.
struct Fate {
    id: EntryId,
    name: u8,
    live: Blobs,
    is_whole: bool,
}

fn fates(scene: &Scene<'_>, keep: &BTreeMap<Blobs, Place>) -> Vec<Fate> {
    let sessions: Vec<u8> = scene
        .view
        .list(Dir::Sessions)
        .filter_map(|(_, it)| match it {
            Object::Session(process) => Some(*process),
            _ => None,
        })
        .collect();
    let packs = scene.view.packs_in(Dir::Packs).filter(|(_, name, _)| !sessions.contains(name));
    let fate = |(id, name, blobs): (EntryId, u8, Blobs)| {
        let stays = |blob: &Blobs| keep.get(blob) == Some(&Place { pack: name, blob: *blob });
        let live = each(blobs).filter(stays).fold(0, |set, blob| set | blob);
        Fate { id, name, live, is_whole: live == blobs }
    };
    packs.map(fate).filter(|fate| !fate.is_whole).collect()
}

fn plan(scene: &Scene<'_>) -> Turn {
    let known = match scene.memo() {
        Memo::Facts(facts) => *facts,
        _ => scene.view.forgotten(),
    };
    if scene.view.missing(known) != 0 {
        let false_alarm = scene.view.missing(scene.view.forgotten()) == 0;
        let said = Step::Now(Call::Say(Promise::Missing));
        return Turn::end("a snapshot is missing: refuses").step_if(false_alarm, said);
    }
    let Some(keep) = mark(scene) else { return Turn::end("a live blob has no place: refuses") };
    let damaged = scene.view.damaged();
    let is_known = |fate: &Fate| {
        each(fate.live).any(|blob| damaged.contains(&Place { pack: fate.name, blob }))
    };
    let fates: Vec<Fate> = fates(scene, &keep).into_iter().filter(|it| !is_known(it)).collect();
    if fates.is_empty() {
        return Turn::end("nothing to do");
    }
    let meets_rot = |fate: &Fate| {
        scene.rotten.is_some_and(|it| it.pack == fate.name && fate.live & it.blob != 0)
    };
    if fates.iter().any(meets_rot) {
        return Turn::end("a pack to rewrite is rotten: gives up");
    }
    write(scene, &keep, &fates)
}

/// The rewritten packs, and a segment that lists them and every place of the packs that stay.
fn write(scene: &Scene<'_>, keep: &BTreeMap<Blobs, Place>, fates: &[Fate]) -> Turn {
    let rewritten = fates.iter().filter(|fate| fate.live != 0);
    let new: Vec<(u8, Blobs)> =
        (1..).map(|n| scene.name(n)).zip(rewritten.map(|it| it.live)).collect();
    let mut places =
        if scene.hold(Guard::ListEveryPlace) { scene.view.places() } else { Vec::new() };
    places.extend(keep.values());
    places.retain(|place| fates.iter().all(|fate| fate.name != place.pack));
    places.extend(
        new.iter().flat_map(|(pack, blobs)| each(*blobs).map(|blob| Place { pack: *pack, blob })),
    );
    places.sort_unstable();
    places.dedup();
    let segment = Object::Segment { name: scene.name(0), places };
    let packs = new.iter().map(|(name, blobs)| {
        Step::Publish(Dir::Packs, Object::Pack { name: *name, blobs: *blobs })
    });
    let mut turn = Turn::to(scene, LOCK, "plans")
        .steps(packs)
        .step_if(!new.is_empty(), Step::Sync(Dir::Packs))
        .step(Step::Publish(Dir::Index, segment.clone()))
        .step(Step::Sync(Dir::Index));
    let inputs = scene.view.list(Dir::Index).map(|(id, _)| id).collect();
    let gone = fates.iter().map(|fate| fate.id).collect();
    turn.memo = Plan::Segment { segment, inputs, gone };
    turn
}

fn lock(scene: &Scene<'_>) -> Option<Turn> {
    let dirs = [Dir::Snapshots, Dir::Facts, Dir::Packs, Dir::Index].map(Step::Sync);
    let syncs = dirs.into_iter().filter(|_| scene.hold(Guard::SwitchSynced));
    let trash = scene.hold(Guard::SwitchSynced) && scene.hold(Guard::TrashSynced);
    let turn = Turn::to(scene, SWITCH, "begins the switch")
        .steps(syncs)
        .step_if(trash, Step::Sync(Dir::Trash));
    if !scene.hold(Guard::Exclusive) {
        return Some(turn);
    }
    scene.can_lock(EXCLUSIVE).then(|| turn.lock(EXCLUSIVE))
}

fn switch(scene: &Scene<'_>) -> Turn {
    let Memo::Plan { segment, inputs, gone } = scene.memo() else { return Turn::end("no plan") };
    let mut gone = gone.clone();
    if scene.hold(Guard::ListAgain) {
        match needed_again(scene, *segment, inputs, &gone) {
            Some(needed) => gone.retain(|id| !needed.contains(id)),
            None => return Turn::end("it is no longer so: gives up"),
        }
    }
    let own = *segment;
    let replaced = scene.view.list(Dir::Index).map(|(id, _)| id);
    let replaced: Vec<EntryId> = if scene.hold(Guard::InputsOnly) {
        let stays = |id: &EntryId| lists_a_pack_that_stays(scene, *id, own, &gone);
        inputs.iter().copied().filter(|id| !stays(id)).collect()
    } else {
        replaced.filter(|id| *id != own).collect()
    };
    Turn::to(scene, LAST, "lists again")
        .remember(Memo::None)
        .steps(gone.iter().map(|id| Step::Move(*id, Dir::Trash)))
        .step(Step::Sync(Dir::Packs))
        .step(Step::Sync(Dir::Trash))
        .steps(replaced.into_iter().map(Step::Unlink))
        .step(Step::Sync(Dir::Index))
        .step(Step::Now(Call::Release))
}

fn listed(scene: &Scene<'_>, segment: EntryId) -> Vec<Place> {
    let mut segments = scene.view.list(Dir::Index);
    match segments.find(|(id, _)| *id == segment) {
        Some((_, Object::Segment { places, .. })) => places.clone(),
        _ => Vec::new(),
    }
}

/// Packs of the plan that new snapshots need; `None` when it cannot go on at all.
fn needed_again(
    scene: &Scene<'_>,
    own: EntryId,
    inputs: &[EntryId],
    gone: &[EntryId],
) -> Option<Vec<EntryId>> {
    let view = &scene.view;
    if view.missing(view.forgotten()) != 0 {
        return None;
    }
    let later =
        view.list(Dir::Index).map(|(id, _)| id).filter(|id| !inputs.contains(id) && *id != own);
    let mut places = listed(scene, own);
    later.for_each(|id| places.extend(listed(scene, id)));
    let packs: Vec<(EntryId, u8, Blobs)> = view.packs_in(Dir::Packs).collect();
    let damaged = view.damaged();
    let stays = |name: u8| packs.iter().any(|(id, it, _)| *it == name && !gone.contains(id));
    let mut needed = Vec::new();
    for blob in each(view.live()) {
        let counts = |it: &Place| !damaged.contains(it) || !scene.hold(Guard::KeepIntact);
        let good = |it: &Place| it.blob == blob && stays(it.pack) && counts(it);
        if places.iter().any(good) {
            continue;
        }
        let holding = packs.iter().filter(|(id, _, blobs)| gone.contains(id) && blobs & blob != 0);
        let before = needed.len();
        needed.extend(holding.map(|(id, ..)| *id));
        let any = places.iter().any(|it| it.blob == blob && stays(it.pack));
        if needed.len() == before && !any {
            return None;
        }
    }
    Some(needed)
}

/// Whether a segment lists a place in a pack that stays and that the new segment does not list.
fn lists_a_pack_that_stays(scene: &Scene<'_>, id: EntryId, own: EntryId, gone: &[EntryId]) -> bool {
    let new = listed(scene, own);
    let packs: Vec<(EntryId, u8, Blobs)> = scene.view.packs_in(Dir::Packs).collect();
    let spared = |place: &Place| {
        let stays = packs.iter().any(|(id, name, _)| *name == place.pack && !gone.contains(id));
        stays && !new.contains(place)
    };
    scene.hold(Guard::ListEveryPlace) && listed(scene, id).iter().any(spared)
}
