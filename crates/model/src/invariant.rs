//! What must hold in every state.

use crate::object::{Blobs, Dir, Place, each, letters, snaps};
use crate::state::{Life, State};
use crate::view::View;

/// What is broken, if something is.
pub(crate) fn broken(state: &State, view: &View<'_>, rotten: Option<Place>) -> Option<String> {
    let lost = lost(state, view, rotten).or_else(|| {
        state.missing_said.then(|| "a snapshot is called missing that was forgotten".to_owned())
    });
    let at_rest = state.processes.iter().all(|process| process.life != Life::Running);
    lost.or_else(|| if at_rest { blocked(view).or_else(|| no_way_back(state, view)) } else { None })
}

/// No snapshot that was reported as saved loses a blob, at any moment.
fn lost(state: &State, view: &View<'_>, rotten: Option<Place>) -> Option<String> {
    let packs: Vec<(u8, Blobs)> =
        view.packs_in(Dir::Packs).map(|(_, name, blobs)| (name, blobs)).collect();
    for snap in snaps(state.saved & !state.forgotten) {
        if view.snapshots() & snap.bit() == 0 {
            return Some(format!("the saved snapshot {snap:?} has no record"));
        }
        for blob in each(snap.needs()) {
            let is_intact = |pack: u8| rotten != Some(Place { pack, blob });
            let is_there = packs.iter().any(|(pack, blobs)| blobs & blob != 0 && is_intact(*pack));
            // What rotted is nobody's fault as long as nobody has stored it anew.
            let is_excused = rotten.is_some_and(|it| it.blob == blob) && state.stored & blob == 0;
            if !is_there && !is_excused {
                return Some(format!(
                    "{} of the saved snapshot {snap:?} is in no pack",
                    letters(blob)
                ));
            }
        }
    }
    None
}

/// When nothing runs, whoever comes next can work: nothing is unlisted, nothing is called missing.
fn blocked(view: &View<'_>) -> Option<String> {
    if view.missing(view.forgotten()) != 0 {
        return Some("a snapshot is missing without damage: prune is blocked".to_owned());
    }
    let all = snaps(view.snapshots());
    let unlisted = |snap: &crate::object::Snap| !view.all_listed(snap.needs());
    let snap = all.into_iter().find(unlisted)?;
    Some(format!("a blob of the visible snapshot {snap:?} is unlisted: prune is blocked"))
}

/// Until the trash is emptied, what was forgotten can come back.
fn no_way_back(state: &State, view: &View<'_>) -> Option<String> {
    if state.emptied {
        return None;
    }
    let in_trash = view.records_in(Dir::Trash).fold(0, |set, (_, snap, _)| set | snap.bit());
    let packs = view.packs_in(Dir::Packs).chain(view.packs_in(Dir::Trash));
    let there = packs.fold(0, |set, (_, _, blobs)| set | blobs);
    let gone = snaps(state.forgotten).find(|snap| {
        (view.snapshots() | in_trash) & snap.bit() == 0 || snap.needs() & !there != 0
    })?;
    Some(format!("the forgotten snapshot {gone:?} cannot come back within the grace time"))
}
