//! Forgetting, taking it back, and emptying the trash.

use crate::guard::Guard;
use crate::object::{Blobs, Dir, EntryId, Object, Place, Snap, each};
use crate::process::{LAST, Scene, Step, Turn};
use crate::state::{Call, MAINTENANCE, Memo, Promise};

/// First the fact, synced, then the move.
pub(super) fn forget(scene: &Scene<'_>, snap: Snap) -> Option<Turn> {
    if scene.state.saved & snap.bit() == 0 {
        return None;
    }
    let mut records = scene.view.records_in(Dir::Snapshots);
    let Some((record, _, names)) = records.find(|(_, it, _)| *it == snap) else {
        return Some(Turn::end("nothing to forget"));
    };
    let fact = Step::Publish(Dir::Facts, Object::Forgotten { snap, names });
    let sync = Step::Sync(Dir::Facts);
    let first = scene.hold(Guard::FactFirst);
    let synced = first && scene.hold(Guard::FactSynced);
    let turn = Turn::to(scene, LAST, "forgets")
        .step_if(first, fact.clone())
        .step_if(synced, sync.clone())
        .step(Step::Now(Call::Say(Promise::Forgotten(snap))))
        .step(Step::Move(record, Dir::Trash))
        .step(Step::Sync(Dir::Snapshots))
        .step(Step::Sync(Dir::Trash))
        .step_if(!first, fact)
        .step_if(!synced, sync);
    Some(turn)
}

pub(super) fn undo(scene: &Scene<'_>, phase: u8, snap: Snap) -> Option<Turn> {
    let mut records = scene.view.records_in(Dir::Trash);
    let record = records.find(|(_, it, _)| *it == snap).map(|(id, ..)| id);
    match phase {
        0 => begin_undo(scene, snap, record.is_some()),
        1 => Some(bring_back(scene, snap, record)),
        _ => Some(record_back(scene, snap, record)),
    }
}

fn begin_undo(scene: &Scene<'_>, snap: Snap, is_in_trash: bool) -> Option<Turn> {
    if !is_in_trash {
        // As long as it may still be forgotten, the command has not been given.
        let is_saved = scene.state.saved & snap.bit() != 0;
        let is_there = scene.view.snapshots() & snap.bit() != 0;
        return (!(is_saved && is_there)).then(|| Turn::end("nothing to undo"));
    }
    let turn = Turn::to(scene, 1, "begins");
    if !scene.hold(Guard::UndoMaintenance) {
        return Some(turn);
    }
    scene.can_lock(MAINTENANCE).then(|| turn.lock(MAINTENANCE))
}

/// Packs back, then a segment for them; the record comes last.
fn bring_back(scene: &Scene<'_>, snap: Snap, record: Option<EntryId>) -> Turn {
    let view = &scene.view;
    let wanted = |(_, _, blobs): &(EntryId, u8, Blobs)| blobs & snap.needs() != 0;
    let back: Vec<(EntryId, u8, Blobs)> = view.packs_in(Dir::Trash).filter(wanted).collect();
    let listed = view.places();
    let is_listed = |pack: u8| listed.iter().any(|place| place.pack == pack);
    let there: Vec<(EntryId, u8, Blobs)> = view.packs_in(Dir::Packs).collect();
    let found = there.iter().chain(&back).fold(0, |set, (_, _, blobs)| set | blobs);
    if scene.hold(Guard::UndoChecks) && (snap.needs() & !found != 0 || record.is_none()) {
        return Turn::end("something is gone for good: refuses");
    }
    let unlisted = there.iter().copied().filter(wanted).filter(|(_, name, _)| !is_listed(*name));
    let unlisted: Vec<_> = unlisted.filter(|_| scene.hold(Guard::UndoLists)).collect();
    let of_pack = |(_, pack, blobs): &(EntryId, u8, Blobs)| {
        let pack = *pack;
        each(*blobs).map(move |blob| Place { pack, blob })
    };
    let mut places: Vec<Place> = back.iter().chain(&unlisted).flat_map(of_pack).collect();
    places.sort_unstable();
    let has_places = !places.is_empty();
    let segment = Object::Segment { name: scene.name(0), places };
    let too_early = record.filter(|_| !scene.hold(Guard::RecordLast));
    Turn::to(scene, 2, "everything can come back")
        .steps(too_early.map(|id| Step::Move(id, Dir::Snapshots)))
        .step_if(too_early.is_some(), Step::Sync(Dir::Snapshots))
        .steps(back.iter().map(|(id, ..)| Step::Move(*id, Dir::Packs)))
        .step(Step::Sync(Dir::Packs))
        .step(Step::Sync(Dir::Trash))
        .step_if(has_places, Step::Publish(Dir::Index, segment))
        .step_if(has_places || scene.hold(Guard::UndoForeignSynced), Step::Sync(Dir::Index))
}

fn record_back(scene: &Scene<'_>, snap: Snap, record: Option<EntryId>) -> Turn {
    let Some(record) = record else {
        if scene.hold(Guard::RecordLast) {
            return Turn::end("the record is gone: refuses");
        }
        return Turn::end("is back").step(Step::Now(Call::Say(Promise::Undone(snap))));
    };
    Turn::to(scene, LAST, "brings the record back")
        .remember(Memo::None)
        .step(Step::Move(record, Dir::Snapshots))
        .step(Step::Sync(Dir::Snapshots))
        .step(Step::Sync(Dir::Trash))
        .step(Step::Now(Call::Say(Promise::Undone(snap))))
}

/// Records first. Nothing is synced between: an undo after a power loss may find a record without its packs.
pub(super) fn empty(scene: &Scene<'_>, phase: u8) -> Option<Turn> {
    if phase == 0 {
        if scene.hold(Guard::EmptyMaintenance) {
            let turn = Turn::to(scene, 1, "begins").lock(MAINTENANCE);
            return scene.can_lock(MAINTENANCE).then_some(turn);
        }
        return Some(Turn::to(scene, 1, "begins"));
    }
    let records: Vec<Step> =
        scene.view.records_in(Dir::Trash).map(|(id, ..)| Step::Unlink(id)).collect();
    let packs: Vec<Step> =
        scene.view.packs_in(Dir::Trash).map(|(id, ..)| Step::Unlink(id)).collect();
    if records.is_empty() && packs.is_empty() {
        return Some(Turn::end("nothing in the trash"));
    }
    let turn = Turn::to(scene, LAST, "empties the trash")
        .step(Step::Now(Call::Say(Promise::Emptied)))
        .steps(records)
        .steps(packs)
        .step(Step::Sync(Dir::Trash));
    Some(turn)
}
