//! Six processes at once and at random: two backups, a restore, a check, one that forgets and prunes, one that lists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use larder_sample::evolve;
use larder_testkit::campaign::seeds;
use larder_testkit::compare::differences;
use larder_testkit::seed::Seeded;

use super::sources::{freeze, sample, unlike};
use super::{Ran, Rig};

/// How often each of the six does its work in a round.
const RUNS: u64 = 4;

/// Nobody may be turned away for longer than this, however busy the machine is.
const PATIENCE: [&str; 2] = ["--lock-wait", "60s"];

/// The sources; each has one writer, which is also who saves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Application,
    Bench,
}

/// A snapshot that was reported as saved, and a frozen copy of what it holds.
#[derive(Debug, Clone)]
struct Saved {
    source: Source,
    copy: PathBuf,
}

impl Saved {
    fn unlike(&self, restored: &Path) -> Vec<String> {
        match self.source {
            Source::Application => unlike(&self.copy, restored),
            Source::Bench => differences(&self.copy, restored),
        }
    }
}

/// What was promised, as far as it goes at any moment.
#[derive(Default)]
struct Known {
    saved: BTreeMap<String, Saved>,
    forgotten: Vec<String>,
}

struct Round {
    rig: Rig,
    known: Mutex<Known>,
}

impl Round {
    fn new(seed: u64) -> Self {
        let rig = if seed.is_multiple_of(2) { Rig::in_memory() } else { Rig::new() };
        sample(&rig.data(), seed);
        fs::create_dir(rig.at("bench")).unwrap();
        let round = Self { rig, known: Mutex::default() };
        for source in [Source::Application, Source::Bench] {
            let mut random = Seeded::new(seed);
            for number in 0..2 {
                round.save(source, &format!("{source:?}-before-{number}"), &mut random);
            }
        }
        round
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.rig.run(words.iter().chain(&PATIENCE))
    }

    fn path(&self, source: Source) -> PathBuf {
        match source {
            Source::Application => self.rig.data(),
            Source::Bench => self.rig.at("bench"),
        }
    }

    /// Some files of the bench hold what others hold or held, so that what goes is wanted again.
    fn change(&self, source: Source, random: &mut Seeded) {
        let path = self.path(source);
        match source {
            Source::Application => drop(evolve(&path, 1, random.next_u64()).unwrap()),
            Source::Bench => {
                for _ in 0..3 {
                    let bytes = Seeded::new(random.below(8)).bytes(60_000);
                    fs::write(path.join(random.below(6).to_string()), bytes).unwrap();
                }
                let gone = path.join(random.below(6).to_string());
                let _may_not_be_there = fs::remove_file(gone);
            }
        }
    }

    fn save(&self, source: Source, name: &str, random: &mut Seeded) {
        self.change(source, random);
        let (path, label) = (self.path(source), format!("{source:?}"));
        let path = path.to_str().unwrap();
        let ran = self.run(&["backup", "--json", "--source", &label, path]).expect(0);
        let copy = self.rig.at(&format!("frozen-{name}"));
        freeze(&self.path(source), &copy);
        self.known().saved.insert(ran.id(), Saved { source, copy });
    }

    fn some(&self, random: &mut Seeded) -> Option<(String, Saved)> {
        let known = self.known();
        let at = random.below(known.saved.len() as u64);
        let at = usize::try_from(at).unwrap();
        known.saved.iter().nth(at).map(|(id, saved)| (id.clone(), saved.clone()))
    }

    /// A snapshot that was forgotten just now may be there or not; where it is restored, it is whole.
    fn restore(&self, name: &str, random: &mut Seeded) {
        let Some((id, saved)) = self.some(random) else { return };
        let target = self.rig.at(&format!("restored-{name}"));
        let ran = self.run(&["restore", &id, "--target", target.to_str().unwrap()]);
        if ran.code == Some(0) {
            assert_eq!(saved.unlike(&target), [""; 0], "{id}");
        } else {
            assert!(!self.known().saved.contains_key(&id), "{id}: {ran:?}");
            ran.expect(1);
        }
        let _may_not_be_there = fs::remove_dir_all(target);
    }

    /// At least three stay, so that there is always something to restore. The last one of a source would be refused.
    fn forget_and_prune(&self, random: &mut Seeded) {
        if let Some((id, saved)) = self.some(random)
            && self.known().saved.len() > 3
            && self.known().saved.values().filter(|it| it.source == saved.source).count() > 1
        {
            self.known().saved.remove(&id);
            self.run(&["forget", &id]).expect(0);
            self.known().forgotten.push(id);
        }
        let grace = ["0", "24h"][usize::from(random.percent(50))];
        self.run(&["prune", "--grace", grace]).expect(0);
    }

    /// What was promised before and is not forgotten after must be in the list; what was forgotten before must not.
    fn list(&self) {
        let before: Vec<_> = self.known().saved.keys().cloned().collect();
        let gone = self.known().forgotten.clone();
        let listed = self.run(&["snapshots", "--json"]).expect(0).document();
        let listed = listed["snapshots"].as_array().unwrap();
        let has = |id: &String| listed.iter().any(|it| it["id"].as_str() == Some(id));
        let known = self.known();
        for id in before.iter().filter(|id| known.saved.contains_key(*id)) {
            assert!(has(id), "{id} is not listed");
        }
        assert!(!gone.iter().any(has), "a forgotten snapshot is listed");
    }

    fn work(&self, who: usize, mut random: Seeded) {
        for run in 0..RUNS {
            let name = format!("{who}-{run}");
            match who {
                0 => self.save(Source::Application, &name, &mut random),
                1 => self.save(Source::Bench, &name, &mut random),
                2 => self.restore(&name, &mut random),
                3 => drop(self.run(&["check", "--read-data", "--json"]).expect(0)),
                4 => self.forget_and_prune(&mut random),
                _ => self.list(),
            }
        }
    }

    fn assert_nothing_is_lost(&self) {
        self.rig.check_is_clean();
        let mut listed = self.rig.snapshots();
        listed.sort();
        let known = self.known();
        assert!(listed.iter().eq(known.saved.keys()), "{listed:?}");
        for (id, saved) in &known.saved {
            let restored = self.rig.restore(id, "restored");
            assert_eq!(saved.unlike(&restored), [""; 0], "{id}");
            fs::remove_dir_all(restored).unwrap();
        }
        for left_over in ["sessions", "tmp"] {
            assert_eq!(self.rig.stored(left_over), [""; 0], "{left_over}");
        }
    }
}

#[test]
fn mixture_of_six_processes_loses_nothing() {
    let mut forgotten = 0;
    for seed in seeds("mixture", 12) {
        let round = Round::new(seed);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..6)
                .map(|who| {
                    let (round, random) = (&round, Seeded::new(seed * 6 + who as u64));
                    scope.spawn(move || round.work(who, random))
                })
                .collect();
            for worker in workers {
                worker.join().unwrap_or_else(|_| panic!("seed {seed}; the reason stands above"));
            }
        });
        round.assert_nothing_is_lost();
        forgotten += round.known().forgotten.len();
    }
    assert!(forgotten > 0, "nothing was ever forgotten");
}
