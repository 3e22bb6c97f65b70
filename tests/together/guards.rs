//! Schedules find it out when a rule is left out: else those that pass would prove nothing.

use larder_testkit::sim_disk::Pattern;
use larder_testkit::turns::{LeftOut, Policy};

use super::cast::Part;
use super::play::{Ending, Script, play};
use super::world::{Kind, World};

const PRIORITIES: Policy = Policy::Priorities { changes: 3, within: 500 };

/// How many schedules may pass until one fails.
const BUDGET: u64 = 40;

/// A rule, and who does not keep it.
struct Without {
    rule: &'static str,
    left_out: LeftOut,
    careless: Vec<Part>,
    parts: Vec<Part>,
    loses_power: bool,
}

impl Without {
    fn script(&self, policy: Policy, seed: u64) -> Script {
        let mut script = Script::of(&self.parts, policy, seed);
        if self.loses_power {
            script.ending = Ending::PowerLoss(Pattern::from_seed(seed % 16));
        }
        script
    }

    /// Plays the same cast in other orders until the rule is missed; says after how many, and what went wrong.
    fn found_after(&self, world: &World, policy: Policy) -> Option<(u64, String)> {
        (0..BUDGET).find_map(|seed| {
            let mut script = self.script(policy, seed);
            (script.left_out, script.careless) = (self.left_out, self.careless.clone());
            play(world, &script).err().map(|why| (seed, why))
        })
    }

    /// It is missed in one of the two ways of choosing; kept, in neither.
    fn assert_found(&self) {
        let world = World::new(Kind::Returning);
        let mut found = false;
        for policy in [Policy::Uniform, PRIORITIES] {
            let missed = self.found_after(&world, policy);
            eprintln!("without {}, {policy:?}: {missed:?}", self.rule);
            found |= missed.is_some();
            for seed in 0..5 {
                let played = play(&world, &self.script(policy, seed));
                played.unwrap_or_else(|why| panic!("with {}, seed {seed}: {why}", self.rule));
            }
        }
        assert!(found, "nobody misses {}", self.rule);
    }
}

#[test]
fn a_switch_that_is_not_alone_is_found_out() {
    let without = Without {
        rule: "the exclusive lock of a switch",
        left_out: |verb, path| verb == "lock" && path == "locks/repository",
        careless: vec![Part::ForgetAndPrune],
        parts: vec![Part::BackupOfShelf, Part::BackupOfBench, Part::ForgetAndPrune],
        loses_power: false,
    };
    without.assert_found();
}

#[test]
fn a_backup_that_does_not_share_the_repository_is_found_out() {
    let without = Without {
        rule: "the shared lock of a backup",
        left_out: |verb, path| verb == "share" && path == "locks/repository",
        careless: vec![Part::BackupOfShelf, Part::BackupOfBench],
        parts: vec![Part::BackupOfShelf, Part::BackupOfBench, Part::ForgetAndPrune],
        loses_power: false,
    };
    without.assert_found();
}

#[test]
fn two_maintainers_at_once_are_found_out() {
    let without = Without {
        rule: "the lock of the maintainer",
        left_out: |_, path| path == "locks/maintenance",
        careless: vec![Part::ForgetAndPrune, Part::SecondPrune],
        parts: vec![Part::ForgetAndPrune, Part::SecondPrune, Part::BackupOfShelf],
        loses_power: false,
    };
    without.assert_found();
}

#[test]
fn what_is_not_synced_is_found_out() {
    let rules: [(&str, LeftOut); 4] = [
        ("the sync of packs/", |verb, path| verb == "sync directory" && path == "packs"),
        ("the sync of index/", |verb, path| verb == "sync directory" && path == "index"),
        ("the sync of snapshots/", |verb, path| verb == "sync directory" && path == "snapshots"),
        ("the sync of a file", |verb, _| verb == "sync"),
    ];
    for (rule, left_out) in rules {
        let parts = vec![Part::BackupOfShelf, Part::ForgetAndPrune];
        Without { rule, left_out, careless: parts.clone(), parts, loses_power: true }
            .assert_found();
    }
}
