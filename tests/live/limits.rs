//! What the machine refuses: room, the right to write, the lock that another run holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use larder_sample::DATABASE;
use larder_testkit::compare::differences;
use larder_testkit::seed::Seeded;
use rusqlite::Connection;

use super::processes::{Process, wait_until};
use super::sources::{Untouched, ballast, sample, unlike};
use super::{Rig, names};
use crate::private_mounts::{elsewhere, mount};

#[test]
fn a_full_disk_keeps_what_was_saved_and_goes_on_when_there_is_room() {
    if elsewhere("live::limits::a_full_disk_keeps_what_was_saved_and_goes_on_when_there_is_room") {
        return;
    }
    // The reserve is kept with its default; without it the disk fills up to the last byte.
    for reserve in [&[][..], &["--min-free", "0"]] {
        let rig = Rig::bare();
        fs::create_dir(rig.repo()).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=20m", "none"], &rig.repo());
        rig.run(["init"]).expect(0);
        sample(&rig.data(), 1);
        let backup = || {
            let data = rig.data();
            let words = ["backup", "--json"].iter().chain(reserve).map(AsRef::as_ref);
            rig.run(words.chain([data.as_os_str()]))
        };
        let first = backup().expect(0).id();
        let frozen = rig.restore(&first, "frozen");
        ballast(&rig.data(), 1, 30_000_000);
        for _ in 0..2 {
            let ran = backup().expect(22);
            assert_eq!(ran.last()["kind"], "no_space");
            assert!(ran.last()["hint"].as_str().unwrap().starts_with("make room"));
            assert_eq!(rig.snapshots(), std::slice::from_ref(&first));
            rig.check_is_clean();
            assert_eq!(differences(&frozen, &rig.restore(&first, "again")), [""; 0]);
            fs::remove_dir_all(rig.at("again")).unwrap();
            assert_eq!(names(&rig.spool()), [""; 0]);
        }
        mount(&["-o", "remount,size=60m"], &rig.repo());
        let ran = backup().expect(0);
        assert_eq!(unlike(&rig.data(), &rig.restore(&ran.id(), "whole")), [""; 0]);
        assert_eq!(rig.stored("tmp"), [""; 0]);
        rig.check_is_clean();
    }
}

#[test]
fn a_spool_without_room_is_said() {
    if elsewhere("live::limits::a_spool_without_room_is_said") {
        return;
    }
    let rig = Rig::new();
    mount(&["-t", "tmpfs", "-o", "size=1m", "none"], &rig.spool());
    let database = Connection::open(rig.data().join("large.db")).unwrap();
    database.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(4000000))").unwrap();
    drop(database);
    let ran = rig.backup().expect(22);
    assert!(ran.last()["message"].as_str().unwrap().contains("spool"), "{ran:?}");
    assert_eq!(names(&rig.spool()), [""; 0]);
    let words = ["backup".as_ref(), "--spool".as_ref(), rig.base().as_os_str()];
    rig.run(words.into_iter().chain([rig.data().as_os_str()])).expect(0);
}

/// Every reading command, on a repository that this user cannot change.
fn assert_readable(rig: &Rig, id: &str) {
    let before = names(&rig.repo());
    rig.run(["snapshots"]).expect(0);
    rig.run(["ls", id]).expect(0);
    rig.run(["diff", id, id]).expect(0);
    rig.run(["check", "--read-data"]).expect(0);
    rig.cat(id, DATABASE, "here/database");
    let restored = rig.restore(id, "here/restored");
    assert!(restored.join(DATABASE).exists());
    let refused = rig.run(["tag", id, "+kept"]).expect(1);
    assert!(refused.err.contains("error: "), "{}", refused.err);
    rig.backup().expect(1);
    assert_eq!(names(&rig.repo()), before);
}

#[test]
fn a_repository_without_the_right_to_write_can_be_read() {
    let Some(mut rig) = Rig::of_nobody() else {
        eprintln!("SKIPPED: only root can make what others may not write");
        return;
    };
    sample(&rig.data(), 2);
    let id = rig.own(Rig::backup).expect(0).id();
    // As a repository that somebody else keeps and lets us read.
    let owned = Command::new("chown").args(["-R", "root:root"]).arg(rig.repo()).status().unwrap();
    assert!(owned.success());
    let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(rig.repo()).status().unwrap();
    assert!(opened.success());
    let before = Untouched::of(&rig.repo());
    assert_readable(&rig, &id);
    assert_eq!(Untouched::of(&rig.repo()), before);
}

#[test]
fn a_repository_on_a_read_only_disk_can_be_read() {
    if elsewhere("live::limits::a_repository_on_a_read_only_disk_can_be_read") {
        return;
    }
    let rig = Rig::new();
    sample(&rig.data(), 2);
    let id = rig.backup().expect(0).id();
    let repo = rig.repo().to_str().unwrap().to_owned();
    mount(&["--bind", &repo], &rig.repo());
    mount(&["-o", "remount,ro,bind"], &rig.repo());
    assert_readable(&rig, &id);
}

#[test]
fn of_two_backups_at_once_the_second_says_who_is_first() {
    let rig = Rig::new();
    sample(&rig.data(), 3);
    ballast(&rig.data(), 3, 1_000_000);
    // The first waits for a database that its application has locked.
    let held = Connection::open(rig.data().join("locked.db")).unwrap();
    held.execute_batch("CREATE TABLE t(a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)").unwrap();
    let mut command = rig.larder(["backup", "-q"]);
    let mut first = Process::spawn(command.arg(rig.data()).stdout(Stdio::null()));
    wait_until("a helper at work", || !first.children().is_empty());
    let second = rig.backup().expect(11).last();
    assert_eq!(second["kind"], "locked");
    let message = second["message"].as_str().unwrap();
    let pid = first.inner().id().to_string();
    assert!(message.contains("partshub") && message.contains(&pid), "{message} ({pid})");
    // Another source is nobody's business, and reading goes on.
    let other = rig.at("other");
    fs::create_dir(&other).unwrap();
    rig.run(["backup".as_ref(), other.as_os_str()]).expect(0);
    rig.check_is_clean();
    held.execute_batch("COMMIT").unwrap();
    drop(held);
    assert_eq!(first.end().code(), Some(0));
    rig.backup().expect(0);
}

/// The bytes of a database without the counters of its header, which a copy through `SQLite` sets anew.
fn comparable(mut bytes: Vec<u8>) -> Vec<u8> {
    for counter in [24..28, 40..44, 92..100] {
        bytes[counter].fill(0);
    }
    bytes
}

#[test]
fn a_corrupt_database_is_saved_as_it_is_and_said() {
    let rig = Rig::new();
    sample(&rig.data(), 4);
    let path = rig.data().join(DATABASE);
    let good = rig.backup().expect(0).id();
    let mut bytes = fs::read(&path).unwrap();
    let noise = Seeded::new(4).bytes(4096 * 40);
    bytes[4096 * 20..4096 * 60].copy_from_slice(&noise);
    fs::write(&path, &bytes).unwrap();
    let before = Untouched::of(&rig.data());
    for _ in 0..2 {
        let ran = rig.backup().expect(3);
        let database = &ran.last()["snapshot"]["databases"][0];
        assert_eq!(
            (&database["label"], &database["check"]),
            (&"source-corrupt".into(), &"failed".into())
        );
        let findings = ran.warnings("finding");
        // Neither is it sound, nor could its rows be asked which files they name.
        let about = findings.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>();
        assert_eq!(about, [DATABASE, DATABASE], "{findings:?}");
        assert!(findings[0].1.starts_with("the database itself is corrupt"), "{findings:?}");
        assert!(findings[1].1.starts_with("reference partshub: "), "{findings:?}");
        let saved = rig.cat(&ran.id(), DATABASE, "saved");
        assert!(comparable(fs::read(&saved).unwrap()) == comparable(bytes.clone()));
        assert_eq!(Untouched::of(&rig.data()), before);
    }
    // The good one of the night before is where it was.
    let restored = rig.cat(&good, DATABASE, "good");
    larder_sample::oracle::check(&restored).unwrap();
    rig.check_is_clean();
}

#[test]
fn a_repository_of_files_alone_keeps_others_out() {
    let rig = Rig::new();
    sample(&rig.data(), 5);
    rig.backup().expect(0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&rig.repo()), 0o700);
    for dir in ["packs", "index", "snapshots"] {
        assert_eq!(mode(&rig.repo().join(dir)), 0o700, "{dir}");
        for name in rig.stored(dir) {
            let mode = mode(&rig.repo().join(dir).join(&name));
            assert_eq!(mode & 0o177, 0, "{dir}/{name}: {mode:o}");
        }
    }
}
