//! A backup: packs, then a segment, then the record, with a barrier between.

use crate::guard::Guard;
use crate::object::{Blobs, Dir, Object, Place, Snap, each, snaps};
use crate::process::{LAST, Scene, Step, Turn};
use crate::state::{Call, Memo, Promise, SHARED};

pub(super) fn decide(scene: &Scene<'_>, phase: u8, snap: Snap) -> Option<Turn> {
    match phase {
        0 => begin(scene),
        1 => Some(store(scene, snap)),
        _ => Some(commit(scene, snap)),
    }
}

fn session(scene: &Scene<'_>) -> Object {
    Object::Session(scene.name(0))
}

fn begin(scene: &Scene<'_>) -> Option<Turn> {
    let turn = Turn::to(scene, 1, "begins").step(Step::Publish(Dir::Sessions, session(scene)));
    if !scene.hold(Guard::Shared) {
        return Some(turn);
    }
    scene.can_lock(SHARED).then(|| turn.lock(SHARED))
}

/// Lists, relies on what is there, stores the rest.
fn store(scene: &Scene<'_>, snap: Snap) -> Turn {
    let view = &scene.view;
    let damaged = view.damaged();
    let usable = |it: &&Place| view.has_pack(it.pack) && !damaged.contains(it);
    let (mut on, mut new) = (Vec::new(), 0);
    let places = view.places();
    for blob in each(snap.needs()) {
        match places.iter().filter(usable).find(|it| it.blob == blob) {
            Some(place) => on.push(*place),
            None => new |= blob,
        }
    }
    let of_source = snaps(view.snapshots()).filter(|other| other.source() == snap.source());
    let names = of_source.fold(0, |set, other| set | other.bit());
    let turn = Turn::to(scene, 2, "lists and reuses what is there");
    let turn = turn.remember(Memo::Relies { on, names });
    let avoided = damaged.iter().any(|it| it.blob & new != 0) && scene.hold(Guard::DamageSynced);
    let turn = turn.step_if(avoided, Step::Sync(Dir::Facts));
    if new == 0 { turn } else { turn.steps(publish(scene, new)) }
}

fn publish(scene: &Scene<'_>, new: Blobs) -> Vec<Step> {
    let name = scene.name(0);
    let places = each(new).map(|blob| Place { pack: name, blob }).collect();
    let mut steps = vec![Step::Publish(Dir::Packs, Object::Pack { name, blobs: new })];
    if scene.hold(Guard::PacksFirst) {
        steps.push(Step::Sync(Dir::Packs));
    }
    steps.push(Step::Publish(Dir::Index, Object::Segment { name, places }));
    if scene.hold(Guard::SegmentFirst) {
        steps.push(Step::Sync(Dir::Index));
    }
    steps.push(Step::Now(Call::Say(Promise::Stored(new))));
    steps
}

/// Looks again whether everything is there, then commits.
fn commit(scene: &Scene<'_>, snap: Snap) -> Turn {
    let Memo::Relies { on, names } = scene.memo() else { return Turn::end("nothing listed") };
    if on.iter().any(|place| !scene.view.has_pack(place.pack)) {
        return Turn::end("a pack is gone: gives up");
    }
    let record = Object::Record { snap, names: *names };
    let foreign = !on.is_empty() && scene.hold(Guard::ForeignSynced);
    let foreign_packs = !on.is_empty() && scene.hold(Guard::ForeignPacksSynced);
    Turn::to(scene, LAST, "everything is there")
        .remember(Memo::None)
        .step_if(foreign_packs, Step::Sync(Dir::Packs))
        .step_if(foreign_packs, Step::Sync(Dir::Trash))
        .step_if(foreign, Step::Sync(Dir::Index))
        .step(Step::Publish(Dir::Snapshots, record))
        .step(Step::Sync(Dir::Snapshots))
        .step(Step::Now(Call::Say(Promise::Saved(snap))))
        .step(Step::UnlinkNew(Dir::Sessions, session(scene)))
}
