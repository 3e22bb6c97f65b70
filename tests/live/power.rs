//! Real file systems that stop in the middle: what the next mount finds is what a power loss leaves.
//!
//! The kernel is told to give up a mounted file system without writing its log
//! (`EXT4_IOC_SHUTDOWN`, `XFS_IOC_GOINGDOWN`). Needs root, a loop device, the
//! tools of the file system, and perl for the call; elsewhere it is skipped, and says so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder_testkit::campaign::seeds;
use larder_testkit::compare::differences;
use larder_testkit::seed::Seeded;

use super::processes::{Process, wait_until};
use super::sources::freeze;
use super::{Ran, Rig, lines_of};
use crate::private_mounts::{elsewhere, mount};

/// `_IOR('X', 125, __u32)` with "do not write the log", the same on both.
const SHUT_DOWN: &str = r#"open(my $d, "<", $ARGV[0]) or die "$!"; my $how = pack("L", 2);
    ioctl($d, 0x8004587d, $how) or die "$!""#;

fn is_there(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// One image, mounted, with a repository on it; the source lies elsewhere.
struct Machine {
    rig: Rig,
    random: Seeded,
    saved: Vec<(String, PathBuf)>,
    /// A run that was to forget it was cut off.
    open: Vec<(String, PathBuf)>,
    copies: usize,
}

impl Machine {
    /// `None` where a loop device cannot be had.
    fn new(mkfs: &str, seed: u64) -> Option<Self> {
        let rig = Rig::bare();
        let image = rig.at("image");
        File::create(&image).unwrap().set_len(400 << 20).unwrap();
        let made = Command::new(mkfs).arg("-q").arg(&image).status().unwrap();
        assert!(made.success());
        fs::create_dir(rig.at("disk")).unwrap();
        let (saved, open, random) = (Vec::new(), Vec::new(), Seeded::new(seed));
        let machine = Self { rig, random, saved, open, copies: 0 };
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&image).arg(machine.disk()).stderr(Stdio::null());
        if !mount.status().unwrap().success() {
            return None;
        }
        machine.run(&["init"]).expect(0);
        Some(machine)
    }

    fn disk(&self) -> PathBuf {
        self.rig.at("disk")
    }

    fn larder(&self, words: &[&str]) -> Command {
        let mut command = self.rig.larder(words);
        command.env("LARDER_REPO", self.disk().join("repo"));
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.larder(words).output().unwrap())
    }

    fn change(&mut self) {
        for _ in 0..4 {
            let bytes = Seeded::new(self.random.below(12)).bytes(40_000);
            fs::write(self.rig.data().join(self.random.below(9).to_string()), bytes).unwrap();
        }
    }

    fn note(&mut self, id: String) {
        let copy = self.rig.at(&format!("frozen-{}", self.copies));
        self.copies += 1;
        freeze(&self.rig.data(), &copy);
        self.saved.push((id, copy));
    }

    fn words(&mut self) -> Vec<String> {
        match self.random.below(4) {
            0 if self.saved.len() > 2 => {
                let forgets = self.saved.remove(0);
                self.open.push(forgets.clone());
                vec!["forget".into(), forgets.0]
            }
            1 => vec!["prune".into(), "--grace".into(), "0".into()],
            _ => {
                self.change();
                let data = self.rig.data().to_str().unwrap().to_owned();
                vec!["backup".into(), "--json".into(), data]
            }
        }
    }

    /// Runs something, and stops the file system under it at any moment; true when that was in its middle.
    fn lose_power(&mut self) -> bool {
        let words = self.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = self.rig.at("said");
        let mut command = self.larder(&words);
        command.stdout(File::create(&said).unwrap()).stderr(Stdio::null());
        let (began, delay) = (Instant::now(), Duration::from_micros(self.random.below(40_000)));
        let mut process = Process::spawn(&mut command);
        wait_until("the moment of a power loss", || {
            began.elapsed() >= delay || !process.is_running()
        });
        let in_its_middle = process.is_running();
        self.shut_down();
        process.end();
        let said = if words[0] == "backup" { fs::read(&said).unwrap() } else { Vec::new() };
        for line in lines_of(&said) {
            if let Some(id) = line["snapshot"]["id"].as_str() {
                self.note(id.to_owned());
            }
        }
        self.mount_again();
        in_its_middle
    }

    fn shut_down(&self) {
        let done = Command::new("perl").args(["-e", SHUT_DOWN]).arg(self.disk()).status().unwrap();
        assert!(done.success(), "the file system does not stop");
        let refused = fs::write(self.disk().join("after"), "the end");
        assert!(refused.is_err(), "the file system did not stop");
    }

    fn mount_again(&self) {
        let unmounted = Command::new("umount").arg(self.disk()).status().unwrap();
        assert!(unmounted.success());
        let image = self.rig.at("image");
        mount(&["-o", "loop", image.to_str().unwrap()], &self.disk());
    }

    fn assert_nothing_is_lost(&mut self) {
        self.run(&["check", "--read-data", "--json"]).expect(0);
        let listed = self.run(&["snapshots", "--json"]).expect(0).document();
        let listed = listed["snapshots"].as_array().unwrap().iter();
        let listed: Vec<_> = listed.map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        for (id, _) in &self.saved {
            assert!(listed.contains(id), "{id} was reported as saved");
        }
        let open = std::mem::take(&mut self.open);
        for id in listed {
            let known = self.saved.iter().chain(&open).find(|(known, _)| *known == id).cloned();
            let source = known.as_ref().map_or_else(|| self.rig.data(), |(_, copy)| copy.clone());
            self.assert_restores(&id, &source);
            match known {
                None => self.note(id),
                Some(known) if open.contains(&known) => self.saved.insert(0, known),
                Some(_) => {}
            }
        }
    }

    fn assert_restores(&self, id: &str, source: &Path) {
        let target = self.rig.at("restored");
        self.run(&["restore", id, "--target", target.to_str().unwrap()]).expect(0);
        assert_eq!(differences(source, &target), [""; 0], "{id}");
        fs::remove_dir_all(target).unwrap();
    }

    fn assert_goes_on(&mut self) {
        let data = self.rig.data();
        let ran = self.run(&["backup", "--json", data.to_str().unwrap()]).expect(0);
        assert_eq!(ran.last()["damage_total"], 0);
        self.note(ran.id());
        self.run(&["prune"]).expect(0);
        self.run(&["check", "--read-data", "--json"]).expect(0);
    }
}

fn lose_power_on(mkfs: &str) {
    if !is_there(mkfs) || !is_there("perl") {
        eprintln!("SKIPPED: needs {mkfs} and perl");
        return;
    }
    let seeds = seeds("shutdown", 20);
    let Some(mut machine) = Machine::new(mkfs, seeds.start) else {
        eprintln!("SKIPPED: loop mounts are not available here");
        return;
    };
    let mut in_the_middle = 0;
    for _ in seeds.clone() {
        in_the_middle += u64::from(machine.lose_power());
        machine.assert_nothing_is_lost();
        machine.assert_goes_on();
    }
    eprintln!("{in_the_middle} of {} power losses met a running command", seeds.end - seeds.start);
    assert!(in_the_middle > 0);
}

#[test]
fn shutdown_of_ext4_under_a_running_command_loses_nothing() {
    if elsewhere("live::power::shutdown_of_ext4_under_a_running_command_loses_nothing") {
        return;
    }
    lose_power_on("mkfs.ext4");
}

#[test]
fn shutdown_of_xfs_under_a_running_command_loses_nothing() {
    if elsewhere("live::power::shutdown_of_xfs_under_a_running_command_loses_nothing") {
        return;
    }
    lose_power_on("mkfs.xfs");
}
