//! Ctrl-C and its like: finished work is kept, the exit code says which signal it was, a second one does not wait.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use super::processes::{Process, wait_until};
use super::sources::{ballast, sample, unlike};
use super::{Ran, Rig, lines_of};

/// Enough that most of it is stored before anybody has looked.
const BALLAST_BYTES: usize = 24_000_000;

/// Stored before the interruption, at least: what must be reused.
const STORED_BYTES: u64 = 4_000_000;

fn rig() -> Rig {
    let rig = Rig::new();
    sample(&rig.data(), 3);
    ballast(&rig.data(), 3, BALLAST_BYTES);
    rig
}

/// What the packs of unfinished sessions hold so far, in bytes.
fn staged_bytes(rig: &Rig) -> u64 {
    let stages = rig.stored("tmp").into_iter().map(|stage| rig.repo().join("tmp").join(stage));
    let files = stages.flat_map(|stage| fs::read_dir(stage).into_iter().flatten());
    files.filter_map(|file| file.ok()?.metadata().ok()).map(|it| it.len()).sum()
}

/// Interrupts a first backup when it has stored something; `None` when it was done before that.
fn interrupted(rig: &Rig, signal: Signal) -> Option<Ran> {
    let (out, err) = (rig.at("out"), rig.at("err"));
    let mut command = rig.larder(["backup"]);
    command.arg(rig.data()).stdout(File::create(&out).unwrap());
    command.stderr(File::create(&err).unwrap());
    let mut backup = Process::spawn(&mut command);
    wait_until("something stored", || staged_bytes(rig) > STORED_BYTES || !backup.is_running());
    backup.signal(signal);
    let code = backup.end().code();
    let ran = Ran { code, out: fs::read(out).unwrap(), err: fs::read_to_string(err).unwrap() };
    (code != Some(0)).then_some(ran)
}

/// The same until the signal comes in time.
fn in_time(signal: Signal) -> (Rig, Ran) {
    for _ in 0..20 {
        let rig = rig();
        if let Some(ran) = interrupted(&rig, signal) {
            return (rig, ran);
        }
    }
    panic!("no signal came in time");
}

#[test]
fn an_interrupted_backup_keeps_what_is_finished() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (rig, ran) = in_time(signal);
        let ran = ran.expect(code);
        assert!(ran.err.contains("hint: run the same command again"), "{}", ran.err);
        assert_eq!(ran.text(), "");
        rig.check_is_clean();
        assert_eq!(rig.snapshots(), [""; 0]);
        assert_eq!(rig.stored("tmp"), [""; 0]);
        let resumed = rig.backup().expect(0);
        let record = &resumed.last()["snapshot"];
        let new = record["new_stored_bytes"].as_u64().unwrap();
        let all = record["size_bytes"].as_u64().unwrap();
        assert!(new + STORED_BYTES < all, "stored {new} of {all} again");
        let restored = rig.restore(&resumed.id(), "restored");
        assert_eq!(unlike(&rig.data(), &restored), [""; 0]);
        assert_eq!(super::names(&rig.spool()), [""; 0]);
    }
}

/// A pipe that nobody reads and that is full: whoever writes to it waits for ever.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(error) = writer.write(&[b'x'; 512]) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_second_interrupt_does_not_wait_for_anything() {
    let rig = rig();
    let (reader, writer) = full_pipe();
    let mut command = rig.larder(["backup"]);
    command.arg(rig.data()).stdout(Stdio::null()).stderr(writer);
    let mut backup = Process::spawn(&mut command);
    drop(command);
    wait_until("something stored", || staged_bytes(&rig) > STORED_BYTES);
    backup.signal(Signal::INT);
    // It cannot say that it was interrupted, so it stands still, with all that it had finished in place.
    wait_until("what was finished", || !rig.stored("index").is_empty());
    assert!(backup.is_running());
    let mut sent = 1;
    while backup.is_running() {
        backup.signal(Signal::INT);
        sent += 1;
        assert!(sent < 500, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(backup.end().code(), Some(130));
    drop(reader);
    rig.check_is_clean();
    rig.backup().expect(0);
}

/// Whatever has a name has all its bytes.
fn assert_whole(source: &Path, restored: &Path) {
    for name in super::names(restored) {
        let (there, here) = (source.join(&name), restored.join(&name));
        if here.symlink_metadata().unwrap().is_dir() {
            assert_whole(&there, &here);
        } else if here.is_file() {
            assert!(fs::read(&there).unwrap() == fs::read(&here).unwrap(), "{}", here.display());
        }
    }
}

#[test]
fn an_interrupted_restore_leaves_whole_files_and_nothing_else() {
    let rig = rig();
    let id = rig.backup().expect(0).id();
    for attempt in 0..20 {
        let target = rig.at(&format!("target-{attempt}"));
        let mut command = rig.larder(["restore", "--json", &id, "--target"]);
        command.arg(&target).stdout(File::create(rig.at("out")).unwrap());
        let mut restore = Process::spawn(&mut command);
        wait_until("the target", || target.exists() || !restore.is_running());
        restore.signal(Signal::INT);
        if restore.end().code() == Some(130) {
            let last = lines_of(&fs::read(rig.at("out")).unwrap()).pop().unwrap();
            assert_eq!(last["kind"], "interrupted");
            assert_whole(&rig.data(), &target);
            return;
        }
    }
    panic!("no signal came in time");
}
