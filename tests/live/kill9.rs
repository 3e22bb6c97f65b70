//! `kill -9` of a backup, at any moment: nothing saved is lost, and nobody has to repair anything.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use larder_sample::evolve;
use larder_testkit::campaign::seeds;
use larder_testkit::seed::Seeded;
use rustix::process::{Pid, Signal, kill_process};

use super::processes::{Process, is_gone, wait_until};
use super::sources::{Untouched, ballast, freeze, sample, unlike};
use super::{Rig, lines_of};

/// Bytes beside the sample: enough that a backup takes a moment.
const BALLAST_BYTES: usize = 3_000_000;

/// Which backup is killed.
#[derive(Debug, Clone, Copy)]
enum Night {
    First,
    Second,
    Changed,
}

/// When it is killed.
#[derive(Debug)]
enum Moment {
    After(Duration),
    /// As soon as this directory of the repository has one name more.
    Grown(&'static str),
    /// As soon as a helper runs.
    Helper,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victims {
    Backup,
    BackupAndHelper,
}

/// One repository and its source, and what every snapshot of it must hold.
struct Round {
    rig: Rig,
    random: Seeded,
    /// Ids that were printed, with a frozen copy of the source at that time.
    saved: Vec<(String, PathBuf)>,
    copies: usize,
    kills: usize,
}

impl Round {
    /// Half of the rounds wait for a real disk.
    fn new(seed: u64, night: Night) -> Self {
        let rig = if seed.is_multiple_of(2) { Rig::in_memory() } else { Rig::new() };
        sample(&rig.data(), seed);
        ballast(&rig.data(), seed, BALLAST_BYTES);
        let random = Seeded::new(seed);
        let mut round = Self { rig, random, saved: Vec::new(), copies: 0, kills: 0 };
        if !matches!(night, Night::First) {
            let id = round.rig.backup().expect(0).id();
            round.note(id);
        }
        if matches!(night, Night::Changed) {
            round.change();
        }
        round
    }

    /// A day of the application, and other changes beside it.
    fn change(&mut self) {
        let data = self.rig.data();
        evolve(&data, 1, self.random.next_u64()).unwrap();
        let dir = data.join("ballast");
        fs::write(dir.join("1.bin"), self.random.bytes(BALLAST_BYTES / 4)).unwrap();
        fs::rename(dir.join("2.bin"), dir.join("moved.bin")).unwrap();
        fs::remove_file(dir.join("3.bin")).unwrap();
        fs::create_dir(dir.join("new")).unwrap();
    }

    fn note(&mut self, id: String) {
        let copy = self.rig.at(&format!("frozen-{}", self.copies));
        self.copies += 1;
        freeze(&self.rig.data(), &copy);
        self.saved.push((id, copy));
    }

    fn moment(&mut self, usual: Duration) -> Moment {
        let all = u64::try_from(usual.as_micros()).unwrap() * 6 / 5;
        match self.random.below(8) {
            0 => Moment::Grown("tmp"),
            1 => Moment::Grown("sessions"),
            2 => Moment::Grown("packs"),
            3 => Moment::Grown("index"),
            4 => Moment::Grown("snapshots"),
            5 => Moment::Helper,
            _ => Moment::After(Duration::from_micros(self.random.below(all))),
        }
    }

    /// Starts a backup and kills it. An id that it printed before is a promise.
    fn kill_a_backup(&mut self, usual: Duration) {
        let moment = self.moment(usual);
        let with_helper = self.random.percent(30);
        let victims = if with_helper { Victims::BackupAndHelper } else { Victims::Backup };
        let said = self.rig.at("said");
        let mut command = self.rig.larder(["backup", "--json"]);
        command.arg(self.rig.data()).stdout(File::create(&said).unwrap());
        let growth = self.growth();
        let mut backup = Process::spawn(&mut command);
        wait_for(&moment, growth, &mut backup);
        let helpers = kill(&mut backup, victims);
        let status = backup.end();
        wait_until("the end of an orphaned helper", || helpers.iter().all(|pid| is_gone(*pid)));
        for line in lines_of(&fs::read(&said).unwrap()) {
            if let Some(id) = line["snapshot"]["id"].as_str() {
                self.note(id.to_owned());
            }
        }
        // It may have been done before.
        self.kills += usize::from(status.signal().is_some());
    }

    /// How many names a directory of the repository has more than now.
    fn growth(&self) -> impl Fn(&str) -> usize + use<> {
        let repo = self.rig.repo();
        let size = move |dir: &str| fs::read_dir(repo.join(dir)).unwrap().count();
        let dirs = ["tmp", "sessions", "packs", "index", "snapshots"];
        let before: HashMap<_, _> = dirs.map(|dir| (dir, size(dir))).into();
        move |dir| size(dir).saturating_sub(before[dir])
    }

    /// All that must hold, without any step of repair.
    fn assert_nothing_is_lost(&mut self) {
        self.rig.check_is_clean();
        let listed = self.rig.snapshots();
        for (id, _) in &self.saved {
            assert!(listed.contains(id), "{id} was reported as saved");
        }
        for id in listed {
            self.assert_restores(&id);
        }
    }

    /// A snapshot whose record was in place without having been reported holds the source as it is now.
    fn assert_restores(&self, id: &str) {
        let frozen = self.saved.iter().find(|(saved, _)| saved == id);
        let source = frozen.map_or_else(|| self.rig.data(), |(_, copy)| copy.clone());
        let restored = self.rig.restore(id, "restored");
        assert_eq!(unlike(&source, &restored), [""; 0]);
        fs::remove_dir_all(restored).unwrap();
    }

    /// The next backup goes through and tidies up.
    fn assert_goes_on(&mut self) {
        let ran = self.rig.backup().expect(0);
        assert_eq!(ran.last()["damage_total"], 0);
        self.assert_restores(&ran.id());
        assert_eq!(self.rig.stored("tmp"), [""; 0]);
        assert!(self.rig.stored("sessions").len() <= self.kills);
        assert_eq!(super::names(&self.rig.spool()), [""; 0], "the spool directory");
        self.rig.check_is_clean();
    }
}

/// Comes back at the moment, or when there will be none.
fn wait_for(moment: &Moment, growth: impl Fn(&str) -> usize, backup: &mut Process) {
    let began = Instant::now();
    wait_until("the moment of a kill", || {
        let reached = match moment {
            Moment::After(delay) => began.elapsed() >= *delay,
            Moment::Grown(dir) => growth(dir) > 0,
            Moment::Helper => !backup.children().is_empty(),
        };
        reached || !backup.is_running()
    });
}

/// Kills the backup, and its helper with it or not; returns the helpers.
fn kill(backup: &mut Process, victims: Victims) -> Vec<Pid> {
    // Stopped first, so that who is its child stays so until it is killed.
    backup.signal(Signal::STOP);
    let helpers = backup.children();
    backup.signal(Signal::KILL);
    if victims == Victims::BackupAndHelper {
        for helper in &helpers {
            // It may have ended by itself.
            let _ = kill_process(*helper, Signal::KILL);
        }
    }
    helpers
}

const NIGHTS: [Night; 3] = [Night::First, Night::Second, Night::Changed];

/// How long each backup takes when nobody kills it, in memory and on a disk.
fn usual_times() -> [[Duration; 3]; 2] {
    let usual = |seed, night| {
        let round = Round::new(seed, night);
        let began = Instant::now();
        round.rig.backup().expect(0);
        began.elapsed()
    };
    [0, 1].map(|seed| NIGHTS.map(|night| usual(seed, night)))
}

/// One round; returns how many of its kills met a running backup.
fn round(seed: u64, usual: [[Duration; 3]; 2]) -> usize {
    let (medium, which) = ((seed % 2) as usize, (seed % 3) as usize);
    let mut round = Round::new(seed, NIGHTS[which]);
    let before = Untouched::of(&round.rig.data());
    for _ in 0..=round.random.below(2) {
        round.kill_a_backup(usual[medium][which]);
    }
    round.assert_nothing_is_lost();
    round.assert_goes_on();
    assert_eq!(Untouched::of(&round.rig.data()), before);
    round.kills
}

/// Rounds wait for the disk most of the time, so several run side by side.
const SIDE_BY_SIDE: usize = 4;

#[test]
fn kill9_of_a_backup_loses_nothing() {
    let usual = usual_times();
    let seeds = seeds("kill9", 50);
    let asked = usize::try_from(seeds.end - seeds.start).unwrap();
    let rest = Mutex::new(seeds);
    let met: usize = thread::scope(|scope| {
        let work = || {
            let next = || rest.lock().unwrap().next();
            let rounds = std::iter::from_fn(next).map(|seed| {
                let met = catch_unwind(|| round(seed, usual));
                met.unwrap_or_else(|_| panic!("seed {seed}; the reason stands above"))
            });
            rounds.sum::<usize>()
        };
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    eprintln!("{met} kills met a running backup in {asked} rounds");
    assert!(met * 2 >= asked, "only {met} kills met a running backup in {asked} rounds");
}

/// Kills the helpers of a running backup, the first only or each that comes; returns how many there were.
fn kill_helpers(backup: &mut Process, most: usize) -> usize {
    let mut killed = Vec::new();
    wait_until("the end of a backup", || {
        for helper in backup.children() {
            // It may have ended by itself.
            if killed.len() < most
                && !killed.contains(&helper)
                && kill_process(helper, Signal::KILL).is_ok()
            {
                killed.push(helper);
            }
        }
        !backup.is_running()
    });
    killed.len()
}

#[test]
fn kill9_of_helpers_costs_a_label_at_most() {
    let rig = Rig::new();
    sample(&rig.data(), 9);
    for most in [1, usize::MAX, 1, usize::MAX] {
        let said = rig.at("said");
        let mut command = rig.larder(["backup", "--json"]);
        command.arg(rig.data()).stdout(File::create(&said).unwrap());
        let mut backup = Process::spawn(&mut command);
        let killed = kill_helpers(&mut backup, most);
        let code = backup.end().code();
        let last = lines_of(&fs::read(&said).unwrap()).pop().unwrap();
        let label = last["snapshot"]["databases"][0]["label"].as_str().unwrap();
        match label {
            "committed" => assert_eq!(code, Some(0)),
            _ => assert_eq!((code, label, killed), (Some(3), "opaque", 2)),
        }
        // Nobody wrote meanwhile, so even a plain copy is the application's database.
        let restored = rig.restore(last["snapshot"]["id"].as_str().unwrap(), "restored");
        assert_eq!(unlike(&rig.data(), &restored), [""; 0]);
        fs::remove_dir_all(restored).unwrap();
        evolve(&rig.data(), 1, 9).unwrap();
    }
    rig.check_is_clean();
    assert_eq!(rig.backup().expect(0).last()["snapshot"]["databases"][0]["label"], "committed");
    assert_eq!(super::names(&rig.spool()), [""; 0]);
}
