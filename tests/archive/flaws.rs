//! What makes a snapshot less than clean is said, and what can be saved is saved.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use larder::codec::snapshot::{CheckResult, DatabaseLabel, Outcome};
use larder::observe::{Observer, Phase, Total, Unobserved, Warning};
use larder::ops::backup::BackupReport;
use larder::snapshot::archive::ArchiveError;
use larder::snapshot::archive::capture::Capture;
use larder::snapshot::source::error::SourceError;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::options::HelperCommand;
use larder::sqlite::questions::ReferenceQuery;
use larder_testkit::compare::differences;
use rusqlite::Connection;

use crate::archive::rig::{NoCapture, Rig, Sink};
use crate::round_trip::{Helper, World};

fn database(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1);").unwrap();
    connection.close().unwrap();
}

fn messages(report: &BackupReport) -> Vec<String> {
    let findings = report.record.findings.iter();
    findings.map(|it| format!("{}: {}", it.subject.escape_ascii(), it.message)).collect()
}

#[test]
fn a_database_without_a_helper_or_a_spool_is_saved_as_it_lies() {
    let nothing = HelperCommand { program: "/nowhere/larder".into(), args: Vec::new() };
    for (seed, command, spool) in [(21, Some(nothing), "spool"), (22, None, "nowhere")] {
        let world = World::new(seed);
        let source = world.path("source");
        database(&source.join("a.db"));
        let usual = world.helper();
        let broken = Helper {
            command: command.unwrap_or(HelperCommand::of(env!("CARGO_BIN_EXE_larder"))),
            spool_dir: world.path(spool),
            ..usual
        };
        let report = world.try_backup(&world.options(), &broken, &Unobserved).unwrap();
        assert_eq!(report.record.outcome, Outcome::WithFindings);
        let said = messages(&report);
        assert!(
            matches!(&said[..], [one] if one.starts_with("a.db: not captured: ")
                && one.ends_with("its bytes were saved as they are")),
            "{said:?}"
        );
        assert_eq!(report.record.databases[0].label, DatabaseLabel::Opaque);
        assert_eq!(differences(&source, &world.restore("as-it-lay")), Vec::<String>::new());
        // The next night it is a database again.
        let report = world.backup();
        assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", messages(&report));
        assert_eq!(report.record.databases[0].label, DatabaseLabel::Committed);
    }
}

/// Captures as usual, and says that nothing was checked.
struct Unchecked<'a>(Helper<'a>);

impl Capture for Unchecked<'_> {
    fn capture(&self, path: &Path, questions: &[ReferenceQuery]) -> Result<Captured, CaptureError> {
        let check = CheckResult::NotRun("interrupted".to_owned());
        Ok(Captured { check, ..self.0.capture(path, questions)? })
    }
}

#[test]
fn a_committed_state_that_was_not_checked_is_said_every_night() {
    let world = World::new(23);
    database(&world.path("source").join("a.db"));
    for _ in 0..2 {
        let capture = Unchecked(world.helper());
        let report = world.try_backup(&world.options(), &capture, &Unobserved).unwrap();
        assert_eq!(report.record.databases[0].label, DatabaseLabel::Committed);
        let expected = "a.db: saved, but not checked: quick_check did not run: interrupted";
        assert_eq!(messages(&report), [expected]);
    }
}

#[test]
fn further_names_of_a_database_with_a_log_are_said() {
    let world = World::new(24);
    let path = world.path("source").join("a.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a);").unwrap();
    connection.close().unwrap();
    fs::hard_link(&path, path.with_file_name("b.db")).unwrap();
    let said = messages(&world.backup());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|it| it.contains("has other names (hard links)")), "{said:?}");
}

/// ext4 refuses attributes of this size; where it does, there is nothing to be seen.
#[test]
fn attributes_that_are_too_large_are_said_of_databases_too() {
    let world = World::new(25);
    let source = world.path("source");
    database(&source.join("a.db"));
    fs::write(source.join("plain"), "x").unwrap();
    for name in ["a.db", "plain"] {
        let file = File::open(source.join(name)).unwrap();
        for number in 0..40 {
            let (name, value) = (format!("user.{number}"), [7; 3000]);
            let set = rustix::fs::fsetxattr(&file, name, &value, rustix::fs::XattrFlags::empty());
            if let Err(error) = set {
                eprintln!("SKIPPED: no large attributes here: {error}");
                return;
            }
        }
    }
    let said = messages(&world.backup());
    let about =
        |name: &str| said.iter().any(|it| it.starts_with(name) && it.contains("attributes"));
    assert!(about("a.db: ") && about("plain: "), "{said:?}");
}

/// Takes the root away when the walk has come to its first file.
struct TakesAway {
    root: PathBuf,
    asked: AtomicU32,
}

impl Observer for TakesAway {
    fn begin(&self, _: Phase, _: Option<Total>) {}

    fn advance(&self, _: u64, _: u64) {}

    fn warn(&self, _: Warning) {}

    fn cancelled(&self) -> bool {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 1 {
            fs::rename(&self.root, self.root.with_file_name("elsewhere")).unwrap();
        }
        false
    }
}

#[test]
fn a_root_that_is_gone_at_the_end_is_no_snapshot() {
    let (rig, sink) = (Rig::new(), Sink::new());
    fs::write(rig.path("a"), "a").unwrap();
    let root = rig.path("").parent().unwrap().join("source");
    let observer = TakesAway { root, asked: AtomicU32::new(0) };
    let ended = rig.archive(&sink, (&|| 1, &NoCapture), &observer);
    assert!(matches!(ended, Err(ArchiveError::Source(SourceError::Root { .. }))), "{ended:?}");
}

#[test]
fn the_image_of_a_disk_with_a_database_in_it_is_a_file() {
    let world = World::new(26);
    let source = world.path("source");
    database(&world.path("a.db"));
    let image = File::create(source.join("disk.img")).unwrap();
    image.set_len(4 << 20).unwrap();
    image.write_all_at(&fs::read(world.path("a.db")).unwrap(), 1 << 20).unwrap();
    let blocks = image.metadata().unwrap().blocks();
    let report = world.backup();
    assert!(report.record.databases.is_empty(), "{blocks} blocks: {:?}", report.record.databases);
    assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", messages(&report));
    assert_eq!(differences(&source, &world.restore("restored")), Vec::<String>::new());
}
