//! Snapshots of a database that another process writes all the while.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use larder_sample::oracle::{self, Boundary};
use larder_sample::writer::{Mix, Pace, Writer, run_until_closed};
use larder_sample::{ATTACHMENTS, DATABASE, WriterReport};
use larder_testkit::campaign::seeds;

use super::processes::{LiveWriter, wait_until};
use super::sources::{Untouched, freeze, sample, unlike};
use super::{Ran, Rig};

/// Commits a second that the writer aims at, ...
const RATE: u32 = 300;

/// ... and that it must come to.
const NEEDED_RATE: u64 = 200;

/// Tells this test program, started again, which directory it works on.
const HEAVY_WRITER_DIR: &str = "LARDER_TEST_HEAVY_WRITER";

/// What may be said about files of an application that writes them in place.
const DOCUMENTED: &str = "kept changing while it was read";

/// How a finding about a row begins whose file is not there, or not as the row says.
const DANGLING: &str = "named by a row of ";

/// A backup under load: saved, and what it remarks on is an attachment that was being written, or removed before its row.
fn backup_under_load(rig: &Rig) -> Ran {
    let ran = rig.backup().expect_one_of(&[0, 3]);
    let findings = ran.warnings("finding");
    assert_eq!(ran.code == Some(3), !findings.is_empty(), "{findings:?}");
    for (path, message) in findings {
        let is_known = message.contains(DOCUMENTED) || message.starts_with(DANGLING);
        assert!(path.starts_with(ATTACHMENTS) && is_known, "{path}: {message}");
    }
    for (path, message) in ran.warnings("note") {
        assert!(path.starts_with(ATTACHMENTS) && message.contains("vanished"), "{path}: {message}");
    }
    let database = &ran.last()["snapshot"]["databases"][0];
    assert_eq!(database["label"], "committed", "{database}");
    assert_eq!(database["check"], "quick_check_ok", "{database}");
    ran
}

/// The commit in a snapshot, which is none before the backup began and none after it ended.
fn boundary(rig: &Rig) -> Boundary {
    let live = rig.data().join(DATABASE);
    let before = oracle::check(&live).unwrap();
    let id = backup_under_load(rig).id();
    let after = oracle::check(&live).unwrap();
    let saved = oracle::check(&rig.cat(&id, DATABASE, "captured.db")).unwrap();
    let range = before.commits..=after.commits;
    assert!(range.contains(&saved.commits), "commit {} is not of {range:?}", saved.commits);
    saved
}

fn assert_undisturbed(report: &WriterReport) {
    eprintln!("writer: {report}");
    assert_eq!((report.errors, report.first_error.as_str()), (0, ""));
    assert!(report.commits_per_second() >= NEEDED_RATE, "{report}");
}

#[test]
fn live_writer_every_snapshot_is_a_commit() {
    let rig = Rig::new();
    let seeds = seeds("live-writer", 60);
    sample(&rig.data(), seeds.start);
    let writer = LiveWriter::start(&rig.data(), seeds.start, RATE);
    let boundaries: Vec<Boundary> = seeds.map(|_| boundary(&rig)).collect();
    let report = writer.finish();
    assert_undisturbed(&report);
    let last = rig.data().join(DATABASE);
    for boundary in &boundaries {
        assert!(
            oracle::led_to(boundary, &last).unwrap(),
            "{boundary:?} is no commit of the writer"
        );
    }
    let moved = boundaries.windows(2).filter(|pair| pair[0].commits < pair[1].commits).count();
    assert!(moved * 2 > boundaries.len(), "the writer stood still");
    rig.check_is_clean();
    assert_restores_as_captured(&rig, &boundaries);
}

/// A restored directory holds the same commit as the file that was read on its own, and nothing beside it.
fn assert_restores_as_captured(rig: &Rig, boundaries: &[Boundary]) {
    for (n, (id, boundary)) in rig.snapshots().iter().zip(boundaries).enumerate().step_by(10) {
        let restored = rig.restore(id, &format!("restored-{n}"));
        assert_eq!(oracle::check(&restored.join(DATABASE)).unwrap(), *boundary);
        assert_eq!(super::names(&restored), [ATTACHMENTS, DATABASE]);
    }
    let id = rig.backup().expect(0).id();
    let restored = rig.restore(&id, "restored-last");
    assert_eq!(unlike(&rig.data(), &restored), [""; 0]);
}

#[test]
fn live_writer_of_many_files_is_saved_as_far_as_it_goes() {
    let rig = Rig::new();
    let seeds = seeds("live-writer", 12);
    sample(&rig.data(), seeds.start);
    let writer = heavy_writer(&rig.data());
    let saved: Vec<(Ran, Boundary)> = seeds
        .map(|_| {
            let ran = backup_under_load(&rig);
            let boundary = oracle::check(&rig.cat(&ran.id(), DATABASE, "captured.db")).unwrap();
            (ran, boundary)
        })
        .collect();
    let report = writer.finish();
    assert_undisturbed(&report);
    assert!(report.uploads > 10 && report.deletes > 10, "{report}");
    for (n, (ran, boundary)) in saved.iter().enumerate() {
        assert!(oracle::led_to(boundary, &rig.data().join(DATABASE)).unwrap());
        let restored = rig.restore(&ran.id(), &format!("restored-{n}"));
        assert_begun(&rig.data(), &restored);
        assert_listed(ran, &restored);
    }
    rig.check_is_clean();
}

/// Every row has its file, but for those that the backup has listed.
fn assert_listed(ran: &Ran, restored: &Path) {
    let findings = ran.warnings("finding").into_iter();
    let listed = findings.filter(|(_, message)| message.starts_with(DANGLING));
    let listed: BTreeSet<String> = listed.map(|(path, _)| path).collect();
    let rows = oracle::dangling_in(restored).unwrap().into_iter();
    let dangling: BTreeSet<String> =
        rows.map(|row| format!("{ATTACHMENTS}/{}", row.path)).collect();
    assert_eq!(listed, dangling);
}

/// The application writes each file once, from its beginning: whatever a snapshot caught of one is the beginning of what it became.
fn assert_begun(live: &Path, restored: &Path) {
    let mut dirs = vec![Path::new(ATTACHMENTS).to_owned()];
    while let Some(dir) = dirs.pop() {
        for name in super::names(&restored.join(&dir)) {
            let path = dir.join(name);
            if restored.join(&path).is_dir() {
                dirs.push(path);
                continue;
            }
            match fs::read(live.join(&path)) {
                Ok(whole) => {
                    let caught = fs::read(restored.join(&path)).unwrap();
                    assert!(whole.starts_with(&caught), "{}: other bytes", path.display());
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
            }
        }
    }
}

/// This test program again, as an application that uploads and deletes most of the time.
fn heavy_writer(data: &Path) -> LiveWriter {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["live::live_writer::heavy_writer_process", "--exact", "--nocapture"]);
    LiveWriter::run(command.args(["--ignored", "-q"]).env(HEAVY_WRITER_DIR, data))
}

#[test]
#[ignore = "the application of another test, in a process of its own"]
fn heavy_writer_process() {
    let Some(data) = std::env::var_os(HEAVY_WRITER_DIR) else { return };
    let writer = Writer::open(Path::new(&data), 7).unwrap().with_mix(Mix::files_heavy());
    let pace = Pace::CommitsPerSecond(RATE);
    run_until_closed(writer, pace, io::stdin(), &mut io::stdout()).unwrap();
}

#[test]
fn live_writer_that_has_stopped_finds_everything_as_it_was() {
    let rig = Rig::new();
    sample(&rig.data(), 5);
    // Without a log, as an application that ended properly leaves it; then with one, as a killed one does.
    assert_untouched(&rig, &[DATABASE], 0);
    let writer = LiveWriter::start(&rig.data(), 5, RATE);
    let (log, shared) = (format!("{DATABASE}-wal"), format!("{DATABASE}-shm"));
    wait_until("a log of some length", || {
        fs::metadata(rig.data().join(&log)).is_ok_and(|log| log.len() > 100_000)
    });
    writer.kill();
    assert_untouched(&rig, &[DATABASE, &shared, &log], 0);
    // And a log whose index was lost, as in a copy of the directory: reading that in place would make a new one.
    fs::remove_file(rig.data().join(&shared)).unwrap();
    assert_untouched(&rig, &[DATABASE, &log], 3);
}

/// Two backups leave no trace; what they saved is what the application would find.
fn assert_untouched(rig: &Rig, databases: &[&str], code: i32) {
    let here = |dir: &Path| {
        let names = super::names(dir).into_iter();
        names.filter(|name| name.starts_with(DATABASE)).collect::<Vec<_>>()
    };
    assert_eq!(here(&rig.data()), databases);
    let before = Untouched::of(&rig.data());
    let saved = [rig.backup().expect(code), rig.backup().expect(code)];
    assert_eq!(Untouched::of(&rig.data()), before);
    let copy = rig.at(&format!("copy-{}", databases.len()));
    freeze(&rig.data(), &copy);
    let found = oracle::check(&copy.join(DATABASE)).unwrap();
    for (n, ran) in saved.iter().enumerate() {
        let findings = ran.warnings("finding");
        assert!(
            findings.iter().all(|(_, message)| message.starts_with("recovered")),
            "{findings:?}"
        );
        let restored = rig.restore(&ran.id(), &format!("restored-{}-{n}", databases.len()));
        assert_eq!(oracle::check(&restored.join(DATABASE)).unwrap(), found);
        assert_eq!(here(&restored), [DATABASE]);
    }
}
