//! Files that another process changes all the while they are read.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use larder_testkit::seed::Seeded;

use super::processes::{Process, wait_until};
use super::{Ran, Rig};

/// Long enough that reading one overlaps with what is done to it.
const LEN: usize = 6_000_000;

/// A source with two files to take bytes from, and a shell that works on it for ever.
struct Moving {
    rig: Rig,
    shell: Process,
}

impl Moving {
    /// `script` is repeated in the source, where `a` and `b` lie beside it in `../here`.
    fn new(script: &str) -> Self {
        let rig = Rig::new();
        for (name, seed) in [("a", 1), ("b", 2)] {
            fs::write(rig.at("here").join(name), Seeded::new(seed).bytes(LEN)).unwrap();
        }
        fs::write(rig.data().join("still"), "still").unwrap();
        let script = format!("A=../here/a; B=../here/b; while :; do {script}; done");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(rig.data()).stderr(Stdio::null());
        let shell = Process::spawn(&mut command);
        Self { rig, shell }
    }

    /// Saves the source some times while it moves, then stops it and saves once more.
    fn saved(mut self) -> (Rig, Vec<Ran>) {
        wait_until("the first change", || fs::read_dir(self.rig.data()).unwrap().count() > 1);
        let runs = (0..4).map(|_| self.rig.backup().expect_one_of(&[0, 3])).collect();
        assert!(self.shell.is_running());
        drop(self.shell);
        self.rig.backup().expect(0);
        self.rig.check_is_clean();
        (self.rig, runs)
    }
}

/// Findings and notes are about this file and say one of these things; returns whether there was a finding.
fn said_only(ran: &Ran, file: &str, messages: &[&str]) -> bool {
    let findings = ran.warnings("finding");
    assert_eq!(ran.code == Some(3), !findings.is_empty());
    for (path, message) in findings.iter().chain(&ran.warnings("note")) {
        let expected = messages.iter().any(|it| message.contains(it));
        assert!(path.starts_with(file) && expected, "{path}: {message}");
    }
    !findings.is_empty()
}

fn assert_restores(rig: &Rig, ran: &Ran, name: &str) -> std::path::PathBuf {
    let restored = rig.restore(&ran.id(), name);
    assert_eq!(fs::read_to_string(restored.join("still")).unwrap(), "still");
    restored
}

fn is_one_of(rig: &Rig, path: &Path) -> bool {
    let bytes = fs::read(path).unwrap();
    ["a", "b"].iter().any(|name| fs::read(rig.at("here").join(name)).unwrap() == bytes)
}

const UNSTABLE: &str = "kept changing while it was read";
const VANISHED: &str = "vanished";

/// A file that holds still for one of a few attempts is simply read, so it takes some runs to meet one that never does.
#[test]
fn a_file_that_is_rewritten_in_place_is_saved_and_flagged() {
    let moving =
        Moving::new("dd if=$A of=f bs=64k conv=notrunc; dd if=$B of=f bs=64k conv=notrunc");
    wait_until("the file", || moving.rig.data().join("f").exists());
    let mut flagged = 0;
    for n in 0..60 {
        let ran = moving.rig.backup().expect_one_of(&[0, 3]);
        let finding = said_only(&ran, "f", &[UNSTABLE]);
        let restored = assert_restores(&moving.rig, &ran, &format!("r{n}"));
        assert!(restored.join("f").exists());
        flagged += usize::from(finding);
        if n >= 3 && flagged > 0 {
            break;
        }
    }
    assert!(flagged > 0, "it never moved while it was read");
    drop(moving.shell);
    moving.rig.backup().expect(0);
}

#[test]
fn a_file_that_is_replaced_whole_is_saved_whole() {
    let script = "cp $A new; mv new f; cp $B new; mv new f";
    let (rig, runs) = Moving::new(script).saved();
    for (n, ran) in runs.iter().enumerate() {
        said_only(ran, "new", &[UNSTABLE, VANISHED]);
        let restored = assert_restores(&rig, ran, &format!("r{n}"));
        if restored.join("f").exists() {
            assert!(is_one_of(&rig, &restored.join("f")), "neither the one nor the other");
        }
    }
}

#[test]
fn a_file_that_shrinks_and_grows_never_ends_the_run() {
    let script = "cat $A > f; truncate -s 1000 f; truncate -s 9000000 f; : > f";
    let (rig, runs) = Moving::new(script).saved();
    for (n, ran) in runs.iter().enumerate() {
        said_only(ran, "f", &[UNSTABLE]);
        assert_restores(&rig, ran, &format!("r{n}"));
    }
}

#[test]
fn a_file_that_comes_and_goes_is_there_or_not() {
    let (rig, runs) = Moving::new("cp $A f; rm f").saved();
    for (n, ran) in runs.iter().enumerate() {
        said_only(ran, "f", &[UNSTABLE, VANISHED]);
        assert_restores(&rig, ran, &format!("r{n}"));
    }
}

/// Whoever may write in a source must not have anything outside of it saved, or written when it is restored.
#[test]
fn a_directory_that_turns_into_a_link_leads_nowhere() {
    let script =
        "mkdir d; echo inside > d/f; mv d e; ln -s ../here d; rm d; mv e d; rm -r d; :> d; rm d";
    let (rig, runs) = Moving::new(script).saved();
    let replaced = "turned into something else";
    for (n, ran) in runs.iter().enumerate() {
        for (path, message) in ran.warnings("finding") {
            assert!(message.contains(replaced) || message.contains(UNSTABLE), "{path}: {message}");
        }
        let restored = assert_restores(&rig, ran, &format!("r{n}"));
        for dir in ["d", "e"].map(|name| restored.join(name)) {
            if dir.symlink_metadata().is_ok_and(|it| it.is_dir()) {
                assert!(
                    super::names(&dir).iter().all(|name| name == "f"),
                    "{:?}",
                    super::names(&dir)
                );
            }
        }
    }
}

/// `find` cannot be made to wait; a pipe can: whoever opens one for reading stands still for ever.
#[test]
fn what_is_no_file_is_never_waited_for() {
    let (rig, runs) = Moving::new("rm -f f; mkfifo f; rm f; cp $A f").saved();
    for (n, ran) in runs.iter().enumerate() {
        for (path, message) in ran.warnings("finding").iter().chain(&ran.warnings("note")) {
            let ordinary = [UNSTABLE, VANISHED, "turned into something else"];
            assert!(path == "f" && ordinary.iter().any(|it| message.contains(it)), "{message}");
        }
        assert_restores(&rig, ran, &format!("r{n}"));
    }
}
