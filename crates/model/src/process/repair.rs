//! Storing a damaged blob anew, and merging segments.

use crate::object::{Dir, Object, Place};
use crate::process::{LAST, Scene, Step, Turn};
use crate::state::{Call, MAINTENANCE, Memo, Promise, SHARED};

/// The fact, then the blob in a new pack, then a segment for it.
pub(super) fn repair(scene: &Scene<'_>, phase: u8) -> Option<Turn> {
    if phase == 0 {
        let turn = Turn::to(scene, 1, "begins").lock(MAINTENANCE);
        return (scene.rotten.is_some() && scene.can_lock(MAINTENANCE)).then_some(turn);
    }
    let place = scene.rotten?;
    let name = scene.name(0);
    let places = vec![Place { pack: name, blob: place.blob }];
    let turn = Turn::to(scene, LAST, "finds the damage")
        .remember(Memo::Place(place))
        .step(Step::Publish(Dir::Facts, Object::Damaged(place)))
        .step(Step::Sync(Dir::Facts))
        .step(Step::Publish(Dir::Packs, Object::Pack { name, blobs: place.blob }))
        .step(Step::Sync(Dir::Packs))
        .step(Step::Publish(Dir::Index, Object::Segment { name, places }))
        .step(Step::Sync(Dir::Index))
        .step(Step::Now(Call::Say(Promise::Stored(place.blob))));
    Some(turn)
}

/// A backup merges segments of others only while nobody maintains; it does not wait for that.
pub(super) fn merge(scene: &Scene<'_>, phase: u8) -> Option<Turn> {
    if phase == 0 {
        if !scene.can_lock(SHARED) {
            return None;
        }
        let turn = Turn::to(scene, 1, "begins").lock(SHARED | MAINTENANCE);
        return Some(if scene.can_lock(MAINTENANCE) { turn } else { Turn::end("does not merge") });
    }
    let segments: Vec<_> = scene.view.list(Dir::Index).collect();
    let mut places = Vec::new();
    for (_, segment) in &segments {
        if let Object::Segment { places: listed, .. } = segment {
            places.extend(listed);
        }
    }
    places.sort_unstable();
    places.dedup();
    let inputs: Vec<_> = segments.iter().map(|(id, _)| *id).collect();
    let turn = Turn::to(scene, LAST, "merges")
        .remember(Memo::Inputs(inputs.clone()))
        .step(Step::Publish(Dir::Index, Object::Segment { name: scene.name(0), places }))
        .step(Step::Sync(Dir::Index))
        .steps(inputs.into_iter().map(Step::Unlink));
    Some(turn)
}
