//! One schedule: who takes part, in which order, who is killed, how it ends.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use larder::error::Result;
use larder::repo::disk::Disk;
use larder::repo::prune::UNFINISHED_NS;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::{Pattern, SimDisk};
use larder_testkit::turns::{LeftOut, Patience, Policy, Turns};

use crate::product::rig::{backend, host, settled};

use super::cast::{Part, Stage, is_locked_out};
use super::sound::{Promises, sound};
use super::world::World;

/// Most schedules have about so many calls.
const CALLS: u64 = 700;

/// How a schedule ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everybody comes to an end.
    Quiet,
    /// Then the power is lost.
    PowerLoss(Pattern),
    /// The power is lost before so many changes of the disk were made, or at the end.
    Died(u64, Pattern),
}

/// All that a seed decides.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) policy: Policy,
    pub(super) parts: Vec<Part>,
    pub(super) patience: Vec<Patience>,
    /// Who is killed, and after how many calls.
    pub(super) kills: Vec<(usize, u64)>,
    pub(super) ending: Ending,
    /// Who is killed has been dead for longer than its packs are kept.
    pub(super) sessions_expire: bool,
    /// What some only pretend to do, and who they are.
    pub(super) left_out: LeftOut,
    pub(super) careless: Vec<Part>,
}

fn nothing(_: &str, _: &str) -> bool {
    false
}

impl Script {
    /// Everybody is there, nobody is killed.
    pub(super) fn of(parts: &[Part], policy: Policy, seed: u64) -> Self {
        Self {
            seed,
            policy,
            parts: parts.to_vec(),
            patience: parts.iter().map(|part| part.patience()).collect(),
            kills: Vec::new(),
            ending: Ending::Quiet,
            sessions_expire: false,
            left_out: nothing,
            careless: Vec::new(),
        }
    }

    /// Both backups, someone who forgets and prunes, and any of the others.
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut parts = vec![Part::BackupOfShelf, Part::BackupOfBench, Part::ForgetAndPrune];
        let others =
            [Part::SecondPrune, Part::PruneWithoutGrace, Part::Restore, Part::Check, Part::Undo];
        parts.extend(others.into_iter().filter(|_| seeded.percent(40)));
        let mut script = Self::of(&parts, policy(&mut seeded), seed);
        for patience in &mut script.patience {
            if seeded.percent(20) {
                *patience = Patience::Shared;
            }
        }
        if seeded.percent(30) {
            let victim = usize::try_from(seeded.below(parts.len() as u64)).unwrap();
            script.kills.push((victim, seeded.below(120)));
        }
        script.sessions_expire = seeded.percent(30);
        let pattern = Pattern::from_seed(seeded.below(64));
        script.ending = match seeded.below(3) {
            0 => Ending::Quiet,
            1 => Ending::PowerLoss(pattern),
            _ => Ending::Died(seeded.below(220), pattern),
        };
        script
    }
}

fn policy(seeded: &mut Seeded) -> Policy {
    match seeded.below(4) {
        0 => Policy::Uniform,
        1 => Policy::Bursts,
        _ => Policy::Priorities { changes: 1 + seeded.below(5), within: CALLS },
    }
}

/// What came of a schedule.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Played {
    pub(super) calls: usize,
    /// Prunes and undos that found another at work.
    pub(super) locked_out: u64,
    pub(super) killed: u64,
    pub(super) died: bool,
    /// The order of all calls, as one number.
    pub(super) order: u64,
}

/// Plays it, and says what is wrong afterwards.
pub(super) fn play(world: &World, script: &Script) -> std::result::Result<Played, String> {
    let disk = settled(&world.base);
    if script.sessions_expire {
        // The disk stays behind, so that who is killed has been dead for long.
        disk.advance_clock(-UNFINISHED_NS);
    }
    if let Ending::Died(at, _) = script.ending {
        disk.crash_at(at);
    }
    let names: Vec<_> = script.parts.iter().map(|part| part.name()).collect();
    let turns = Turns::new(&names, script.policy, script.seed);
    script.kills.iter().for_each(|(seat, calls)| turns.kill_after(*seat, *calls));
    let promises = Mutex::new(Promises::of(world));
    let directory = scratch();
    let outcomes = perform(
        &Scene { world, script, turns: &turns, promises: &promises },
        &disk,
        directory.path(),
    );
    let mut played = Played::default();
    let died = matches!(script.ending, Ending::Died(..)) && disk.fired();
    for (seat, outcome) in outcomes.into_iter().enumerate() {
        let excused = died || turns.was_killed(seat);
        let part = script.parts[seat];
        match outcome {
            Err(panic) => return Err(format!("{} panics: {panic}", part.name())),
            Ok(Err(error)) if is_locked_out(&error) && part.may_be_locked_out() => {
                played.locked_out += 1;
            }
            Ok(Err(error)) if !excused => return Err(format!("{}: {error}", part.name())),
            Ok(_) => {}
        }
        played.killed += u64::from(turns.was_killed(seat));
    }
    if let Some(why) = turns.stuck() {
        return Err(why);
    }
    let steps = turns.steps();
    (played.calls, played.died, played.order) = (steps.len(), died, digest(&steps));
    let after = match script.ending {
        Ending::Quiet => settled(&disk),
        Ending::PowerLoss(pattern) | Ending::Died(_, pattern) => disk.crash_with(pattern),
    };
    sound(world, &after, &promises.into_inner().unwrap())?;
    Ok(played)
}

struct Scene<'a> {
    world: &'a World,
    script: &'a Script,
    turns: &'a Turns,
    promises: &'a Mutex<Promises>,
}

type Outcome = std::result::Result<Result<()>, String>;

/// Everybody on a thread, each with its own pool: work that waits for its turn must not keep another's from being done.
fn perform(scene: &Scene<'_>, disk: &SimDisk, directory: &Path) -> Vec<Outcome> {
    thread::scope(|scope| {
        let parts = scene.script.parts.iter().enumerate();
        let threads: Vec<_> = parts
            .map(|(seat, part)| {
                let disk: Arc<dyn Disk> = Arc::new(disk.clone());
                scope.spawn(move || {
                    scene.turns.play(seat, || act(scene, seat, *part, disk, directory))
                })
            })
            .collect();
        let text = |panic: Box<dyn std::any::Any + Send>| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
                .unwrap_or_default()
        };
        threads.into_iter().map(|thread| thread.join().map_err(text)).collect()
    })
}

fn act(
    scene: &Scene<'_>,
    seat: usize,
    part: Part,
    disk: Arc<dyn Disk>,
    directory: &Path,
) -> Result<()> {
    let _pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    let own = directory.join(seat.to_string());
    std::fs::create_dir(&own).unwrap();
    let patience = scene.script.patience[seat];
    let careless = scene.script.careless.contains(&part);
    let left_out = if careless { scene.script.left_out } else { nothing };
    let disk = scene.turns.disk(seat, disk, patience).without(left_out);
    let stage = Stage {
        world: scene.world,
        backend: backend(disk),
        host: host(40 + seat as u64),
        directory: &own,
        promises: scene.promises,
    };
    stage.perform(part)
}

/// In memory, where that is possible: a restore ends with a sync of its file system.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn digest(steps: &[larder_testkit::turns::Step]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for step in steps {
        (step.who, step.verb, &step.path).hash(&mut hasher);
    }
    hasher.finish()
}
