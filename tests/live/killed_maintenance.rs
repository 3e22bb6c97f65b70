//! `kill -9` of who forgets, prunes, brings back or saves, at any moment: nothing saved is lost, and nobody has to repair anything.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use larder_sample::evolve;
use larder_testkit::campaign::seeds;
use larder_testkit::seed::Seeded;
use rustix::process::Signal;

use super::processes::{Process, wait_until};
use super::sources::{ballast, freeze, sample, unlike};
use super::{Rig, lines_of};

/// Kills of one repository.
const KILLS: u64 = 5;

/// When a command is killed.
#[derive(Debug)]
enum Moment {
    After(Duration),
    /// As soon as this directory of the repository is not as it was.
    Changed(&'static str),
}

/// A repository of a few nights, and what each of them holds.
struct Round {
    rig: Rig,
    random: Seeded,
    saved: BTreeMap<String, PathBuf>,
    /// A run that forgets or brings back was killed: it may be there or not, and is whole where it is.
    open: BTreeMap<String, PathBuf>,
    copies: usize,
    /// What a backup takes here when nobody kills it; others take less.
    usual: Duration,
}

impl Round {
    fn new(seed: u64) -> Self {
        let rig = if seed.is_multiple_of(2) { Rig::in_memory() } else { Rig::new() };
        sample(&rig.data(), seed);
        ballast(&rig.data(), seed, 400_000);
        let (saved, open) = (BTreeMap::new(), BTreeMap::new());
        let (random, usual) = (Seeded::new(seed), Duration::ZERO);
        let mut round = Self { rig, random, saved, open, copies: 0, usual };
        for _ in 0..4 {
            round.change();
            let began = Instant::now();
            let id = round.rig.backup().expect(0).id();
            round.usual = began.elapsed();
            round.note(id);
        }
        round
    }

    /// A day of the application, and a file that comes and goes.
    fn change(&mut self) {
        let data = self.rig.data();
        evolve(&data, 1, self.random.next_u64()).unwrap();
        let bytes = Seeded::new(self.random.below(3)).bytes(90_000);
        fs::write(data.join("ballast/returns.bin"), bytes).unwrap();
    }

    fn note(&mut self, id: String) {
        let copy = self.rig.at(&format!("frozen-{}", self.copies));
        self.copies += 1;
        freeze(&self.rig.data(), &copy);
        self.saved.insert(id, copy);
    }

    /// A command line, the directories of the repository that it changes, and its share of the time that a backup takes.
    fn command(&mut self) -> (Vec<String>, &'static [&'static str], u32) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.random.below(5) {
            0 | 1 if self.saved.len() > 2 => {
                let id = self.give_up();
                (vec!["forget".into(), id], &["facts", "snapshots", "trash"], 5)
            }
            2 if !self.open.is_empty() => {
                let id = self.open.keys().next().unwrap().clone();
                (vec!["forget".into(), "--undo".into(), id], &["sessions", "packs"], 5)
            }
            3 => {
                self.change();
                let mut command: Vec<String> = words(&["backup", "--json"]);
                command.push(self.rig.data().to_str().unwrap().to_owned());
                (command, &["tmp", "sessions", "packs", "index", "snapshots"], 1)
            }
            _ => {
                if self.saved.len() > 2 {
                    let id = self.give_up();
                    self.rig.run(["forget", &id]).expect(0);
                }
                let grace = ["0", "24h"][usize::from(self.random.percent(50))];
                let changes = &["sessions", "index", "trash", "packs"];
                (words(&["prune", "--grace", grace]), changes, 4)
            }
        }
    }

    /// A snapshot that is forgotten next: from now on it may be there or not.
    fn give_up(&mut self) -> String {
        let at = usize::try_from(self.random.below(self.saved.len() as u64)).unwrap();
        let id = self.saved.keys().nth(at).unwrap().clone();
        let copy = self.saved.remove(&id).unwrap();
        self.open.insert(id.clone(), copy);
        id
    }

    fn moment(&mut self, changes: &'static [&'static str], share: u32) -> Moment {
        if self.random.percent(60) {
            let at = usize::try_from(self.random.below(changes.len() as u64)).unwrap();
            return Moment::Changed(changes[at]);
        }
        let all = u64::try_from((self.usual / share).as_micros()).unwrap();
        Moment::After(Duration::from_micros(self.random.below(all)))
    }

    /// True when the kill met a running command.
    fn kill_one(&mut self) -> bool {
        let (words, changes, share) = self.command();
        let moment = self.moment(changes, share);
        let said = self.rig.at("said");
        let mut command = self.rig.larder(&words);
        command.stdout(File::create(&said).unwrap()).stderr(File::create("/dev/null").unwrap());
        let repo = self.rig.repo();
        let names = |dir: &str| super::names(&repo.join(dir));
        let before = if let Moment::Changed(dir) = moment { names(dir) } else { Vec::new() };
        let began = Instant::now();
        let mut process = Process::spawn(&mut command);
        wait_until("the moment of a kill", || {
            let reached = match moment {
                Moment::After(delay) => began.elapsed() >= delay,
                Moment::Changed(dir) => names(dir) != before,
            };
            reached || !process.is_running()
        });
        process.signal(Signal::KILL);
        let status = process.end();
        let said = if words[0] == "backup" { fs::read(&said).unwrap() } else { Vec::new() };
        for line in lines_of(&said) {
            if let Some(id) = line["snapshot"]["id"].as_str() {
                self.note(id.to_owned());
            }
        }
        status.signal().is_some()
    }

    /// All that must hold, without any step of repair.
    fn assert_nothing_is_lost(&mut self) {
        self.rig.check_is_clean();
        let listed = self.rig.snapshots();
        for id in self.saved.keys() {
            assert!(listed.contains(id), "{id} was saved");
        }
        for id in listed {
            let known = self.saved.get(&id).or_else(|| self.open.get(&id));
            // Saved and not reported: it holds the source as it is.
            let source = known.cloned().unwrap_or_else(|| self.rig.data());
            let restored = self.rig.restore(&id, "restored");
            assert_eq!(unlike(&source, &restored), [""; 0], "{id}");
            fs::remove_dir_all(restored).unwrap();
            if !self.saved.contains_key(&id) {
                match self.open.remove(&id) {
                    Some(copy) => drop(self.saved.insert(id, copy)),
                    None => self.note(id),
                }
            }
        }
    }

    fn assert_goes_on(&mut self) {
        let ran = self.rig.backup().expect(0);
        assert_eq!(ran.last()["damage_total"], 0);
        self.note(ran.id());
        self.rig.run(["prune", "--grace", "0", "--unfinished", "0"]).expect(0);
        self.assert_nothing_is_lost();
        assert_eq!(self.rig.stored("tmp"), [""; 0]);
        assert_eq!(self.rig.stored("sessions"), [""; 0]);
        assert_eq!(self.rig.stored("trash"), [""; 0]);
    }
}

#[test]
fn killed_maintenance_loses_nothing() {
    let (mut met, mut kills) = (0, 0);
    for seed in seeds("killed-maintenance", 10) {
        let mut round = Round::new(seed);
        for _ in 0..KILLS {
            met += u64::from(round.kill_one());
            kills += 1;
            round.assert_nothing_is_lost();
        }
        round.assert_goes_on();
    }
    eprintln!("{met} of {kills} kills met a running command");
    assert!(met * 3 >= kills, "only {met} of {kills} kills met a running command");
}
