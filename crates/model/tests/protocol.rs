//! The protocol holds, and no rule of it can be left out.

use larder_model::guard::{Guard, Guards};
use larder_model::scenario;
use larder_model::search::{Found, search};

/// More states than any scenario of `cargo test` has.
const LIMIT: usize = 1_000_000;

/// For each guard the scenario that needs it, and what is broken there without it.
const NEEDED: [(Guard, &str, &str); 23] = [
    (Guard::Shared, "forget, prune, backup", "X of the saved snapshot D is in no pack"),
    (Guard::Maintenance, "undo after prune", "visible snapshot A is unlisted"),
    (Guard::UndoMaintenance, "undo after prune", "visible snapshot A is unlisted"),
    (Guard::EmptyMaintenance, "undo beside emptying", "the saved snapshot A has no record"),
    (Guard::Exclusive, "forget, prune, backup", "X of the saved snapshot D is in no pack"),
    (Guard::PacksFirst, "a damaged place", "X of the saved snapshot B is in no pack"),
    (Guard::SegmentFirst, "two backups", "visible snapshot C is unlisted"),
    (Guard::ForeignSynced, "two backups", "visible snapshot D is unlisted"),
    (Guard::ForeignPacksSynced, "backup on what an undo brought", "snapshot D"),
    (Guard::DamageSynced, "damage seen by two", "X of the saved snapshot B is in no pack"),
    (Guard::UndoForeignSynced, "two undos", "visible snapshot A is unlisted"),
    (Guard::FactFirst, "forget and prune", "missing without damage"),
    (Guard::FactSynced, "forget and prune", "missing without damage"),
    (Guard::FactsLast, "forget and prune", "called missing that was forgotten"),
    (Guard::KeepIntact, "repair beside two prunes", "X of the saved snapshot B is in no pack"),
    (Guard::ListEveryPlace, "forget, prune, backup", "visible snapshot D is unlisted"),
    (Guard::SwitchSynced, "repair beside two prunes", "visible snapshot B is unlisted"),
    (Guard::TrashSynced, "undo after prune", "visible snapshot A is unlisted"),
    (Guard::ListAgain, "forget, prune, backup", "X of the saved snapshot D is in no pack"),
    (Guard::InputsOnly, "forget, prune, backup", "visible snapshot D is unlisted"),
    (Guard::RecordLast, "undo after prune", "visible snapshot A is unlisted"),
    (Guard::UndoChecks, "undo beside emptying", "X of the saved snapshot A is in no pack"),
    (Guard::UndoLists, "two undos", "visible snapshot A is unlisted"),
];

#[test]
fn the_whole_protocol_loses_nothing() {
    let mut states = 0;
    for scenario in &scenario::all() {
        let found = search(scenario, Guards::all(), LIMIT);
        println!("{:<28} {:>9} states", scenario.name, found.states);
        assert_eq!(found.violation, None, "{}", scenario.name);
        assert!(found.is_complete, "{}: not searched to the end", scenario.name);
        states += found.states;
    }
    println!("{states} states in all");
}

#[test]
fn no_guard_can_be_left_out() {
    for (guard, name, what) in NEEDED {
        let found = without(guard, name);
        let violation = found.violation.unwrap_or_else(|| panic!("{guard} is needed for nothing"));
        println!("without {guard}: {}, after {} steps", violation.what, violation.steps.len());
        assert!(violation.what.contains(what), "{guard}: {violation:#?}");
    }
}

fn without(guard: Guard, name: &str) -> Found {
    let all = scenario::all();
    let scenario = all.iter().find(|it| it.name == name).expect(name);
    search(scenario, Guards::without(guard), LIMIT)
}

#[test]
fn every_guard_has_its_scenario() {
    assert!(Guard::ALL.iter().all(|guard| NEEDED.iter().any(|(it, ..)| it == guard)));
}

/// A way that is shown begins at the beginning and ends with what breaks.
#[test]
fn the_way_is_short_and_whole() {
    let violation = without(Guard::FactFirst, "forget and prune").violation.unwrap();
    assert_eq!(
        violation.steps,
        ["forget(a): forgets", "forget(a): moves snapshots/A to trash/", "forget(a) is killed"]
    );
}

#[test]
fn a_search_that_was_cut_short_proves_nothing() {
    let scenario = &scenario::all()[1];
    let found = search(scenario, Guards::all(), 100);
    assert!(!found.is_complete && found.violation.is_none());
}
