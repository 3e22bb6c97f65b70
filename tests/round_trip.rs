//! The main job on real file systems: back up, restore, compare.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::codec::snapshot::{Finding, Outcome};
use larder::error::{Error, ErrorKind};
use larder::host::Host;
use larder::observe::{Observer, Unobserved};
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, check};
use larder::ops::open::{init_local, open_local};
use larder::ops::restore::{RestoreRequest, restore};
use larder::repo::repository::{InitOptions, Repository};
use larder::repo::space::MinFree;
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::capture::capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::options::{CaptureOptions, HelperCommand};
use larder::sqlite::questions::ReferenceQuery;
use larder_testkit::compare::differences;
use larder_testkit::host::TestHost;
use larder_testkit::trees::plant;

/// A repository, a source and a place for restores, in one temporary directory.
pub(crate) struct World {
    dir: tempfile::TempDir,
    host: TestHost,
}

pub(crate) struct Helper<'a> {
    pub(crate) command: HelperCommand,
    pub(crate) spool_dir: PathBuf,
    pub(crate) host: &'a TestHost,
}

impl Capture for Helper<'_> {
    fn capture(&self, path: &Path, questions: &[ReferenceQuery]) -> Result<Captured, CaptureError> {
        let now_ns = || self.host.now_ns();
        let options = CaptureOptions {
            helper: &self.command,
            spool_dir: &self.spool_dir,
            wait: Duration::from_secs(10),
            silence: Duration::from_mins(1),
            min_free_bytes: 0,
            questions,
            now_ns: &now_ns,
            elapsed: &|| Duration::ZERO,
            observer: &Unobserved,
        };
        capture(&options, path)
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["source", "spool"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        // The future, so that nothing in the source is racily new.
        let host = TestHost::seeded(seed);
        host.advance_ns(1 << 60);
        init_local(&dir.path().join("repo"), InitOptions::default(), &host).unwrap();
        Self { dir, host }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn repository(&self) -> Repository {
        open_local(&self.path("repo")).unwrap()
    }

    pub(crate) fn options(&self) -> BackupOptions {
        BackupOptions {
            min_free: MinFree { asked_bytes: Some(0) },
            workers: 2,
            ..BackupOptions::new(vec![self.path("source")], self.path("spool"))
        }
    }

    pub(crate) fn backup(&self) -> BackupReport {
        self.try_backup(&self.options(), &self.helper(), &Unobserved).unwrap()
    }

    /// An hour later.
    pub(crate) fn try_backup(
        &self,
        options: &BackupOptions,
        capture: &dyn Capture,
        observer: &dyn Observer,
    ) -> Result<BackupReport, Error> {
        self.host.advance_ns(3_600_000_000_000);
        backup(&self.repository(), options, capture, &self.host, observer)
    }

    pub(crate) fn helper(&self) -> Helper<'_> {
        Helper {
            command: HelperCommand::of(env!("CARGO_BIN_EXE_larder")),
            spool_dir: self.path("spool"),
            host: &self.host,
        }
    }

    /// Restores all of the newest snapshot into a new directory.
    pub(crate) fn restore(&self, name: &str) -> PathBuf {
        let repository = self.repository();
        let catalog = Catalog::open(&repository).unwrap();
        let snapshot = catalog.select("latest", None, &jiff::tz::TimeZone::UTC).unwrap();
        let request = RestoreRequest {
            paths: Vec::new(),
            target: Some(self.path(name)),
            overwrite: false,
            time: "now".into(),
            threads: 2,
        };
        let restored =
            restore(&catalog.reader().unwrap(), snapshot, &request, &Unobserved).unwrap();
        assert!(restored[0].report.is_complete(), "{:?}", restored[0].report);
        self.path(name)
    }

    pub(crate) fn assert_sound(&self) {
        let repository = self.repository();
        let catalog = Catalog::open(&repository).unwrap();
        let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved).unwrap();
        assert!(report.is_clean(), "{report:?}");
        let data = report.data.unwrap();
        assert_eq!(data.blobs, data.sound_blobs);
        assert!(report.blobs > 0 && data.blobs >= report.blobs, "{report:?}");
    }
}

#[test]
fn a_tree_with_everything_in_it_comes_back_as_it_was() {
    let world = World::new(1);
    plant(&world.path("source"), 1).unwrap();
    let first = world.backup();
    assert_eq!(first.record.outcome, Outcome::Clean, "{:?}", first.record.findings);
    let restored = world.restore("restored");
    assert_eq!(differences(&world.path("source"), &restored), Vec::<String>::new());
    world.assert_sound();
}

#[test]
fn an_unchanged_source_makes_the_same_manifest_and_stores_nothing() {
    let world = World::new(2);
    plant(&world.path("source"), 2).unwrap();
    let first = world.backup();
    let second = world.backup();
    assert_eq!(first.record.manifest, second.record.manifest);
    let counts = second.record.counts;
    assert_eq!((counts.new_files, counts.changed_files, counts.removed_files), (0, 0, 0));
    assert_eq!(counts.new_stored_bytes, 0);
    assert_eq!(second.record.parent, first.id);
    assert_eq!(second.record.sequence, first.record.sequence + 1);
}

#[test]
fn changes_are_counted_and_come_back() {
    let world = World::new(3);
    let source = world.path("source");
    for name in ["kept", "edited", "gone"] {
        fs::write(source.join(name), name.repeat(1000)).unwrap();
    }
    world.backup();
    fs::write(source.join("edited"), "now something else").unwrap();
    fs::remove_file(source.join("gone")).unwrap();
    fs::write(source.join("new"), "new").unwrap();
    let counts = world.backup().record.counts;
    assert_eq!((counts.new_files, counts.changed_files, counts.removed_files), (1, 1, 1));
    assert_eq!(differences(&source, &world.restore("restored")), Vec::<String>::new());
    world.assert_sound();
}

#[test]
fn a_partshub_is_saved_with_its_database_and_without_its_log() {
    let world = World::new(4);
    let source = world.path("source");
    larder_sample::make(&larder_sample::Spec::tiny(), &source).unwrap();
    larder_sample::evolve(&source, 1, 7).unwrap();
    assert!(source.join("partshub.db-wal").exists());
    let report = world.backup();
    assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", report.record.findings);
    assert_eq!(report.record.source, "partshub");
    assert_eq!(report.record.databases.len(), 1);
    let restored = world.restore("restored");
    assert!(!restored.join("partshub.db-wal").exists());
    larder_sample::oracle::check(&restored.join("partshub.db")).unwrap();
    let attachments = |root: &Path| root.join("attachments");
    assert_eq!(differences(&attachments(&source), &attachments(&restored)), Vec::<String>::new());
    world.assert_sound();
    // Nobody has written since: the database is not even read.
    let again = world.backup();
    assert_eq!(again.record.manifest, report.record.manifest);
    assert_eq!(again.record.databases, report.record.databases);
}

#[test]
fn a_name_that_stands_for_other_roots_is_refused_unless_they_moved() {
    let world = World::new(5);
    fs::write(world.path("source").join("a"), "a").unwrap();
    world.backup();
    fs::rename(world.path("source"), world.path("elsewhere")).unwrap();
    let moved = |moved| {
        let roots = vec![world.path("elsewhere")];
        let source = Some("source".to_owned());
        let options = BackupOptions { roots, source, moved, ..world.options() };
        let helper = Helper {
            command: HelperCommand::of(env!("CARGO_BIN_EXE_larder")),
            spool_dir: world.path("spool"),
            host: &world.host,
        };
        backup(&world.repository(), &options, &helper, &world.host, &Unobserved)
    };
    assert_eq!(moved(false).unwrap_err().kind(), ErrorKind::Usage);
    let report = moved(true).unwrap();
    assert_eq!(report.record.counts.new_files, 0, "files are compared by relative path");
}

#[test]
fn what_was_a_database_is_saved_as_what_it_is_now() {
    let world = World::new(6);
    let source = world.path("source");
    larder_sample::make(&larder_sample::Spec::tiny(), &source).unwrap();
    fs::write(world.path("secret"), "not for the backup").unwrap();
    assert_eq!(world.backup().record.databases.len(), 1);
    for (number, replace) in [
        (
            1,
            Box::new(|path: &Path| std::os::unix::fs::symlink("../secret", path).unwrap())
                as Box<dyn Fn(&Path)>,
        ),
        (2, Box::new(|path: &Path| fs::create_dir(path).unwrap())),
        (3, Box::new(|path: &Path| fs::write(path, "plain text").unwrap())),
    ] {
        let database = source.join("partshub.db");
        let _ = fs::remove_file(&database).or_else(|_| fs::remove_dir(&database));
        replace(&database);
        let report = world.backup();
        assert!(report.record.databases.is_empty());
        // It is in the snapshot like any other file, and that it was a database is said: nothing else is found.
        assert_eq!(report.record.outcome, Outcome::WithFindings);
        let said = |finding: &Finding| (finding.subject.to_vec(), finding.message.clone());
        let lost = "no database any more; it was one in a snapshot before";
        let expected = [(b"partshub.db".to_vec(), lost.to_owned())];
        assert_eq!(report.record.findings.iter().map(said).collect::<Vec<_>>(), expected);
        let restored = world.restore(&format!("restored-{number}"));
        assert_eq!(differences(&source, &restored), Vec::<String>::new());
    }
}

#[test]
fn a_database_that_only_a_late_log_gives_away_is_captured_with_it() {
    let world = World::new(7);
    let source = world.path("source");
    fs::write(source.join("sealed.db"), [0x5a; 8192]).unwrap();
    assert!(world.backup().record.databases.is_empty());
    // A header of a write-ahead log is enough to make its neighbour a database.
    let mut log = vec![0x37, 0x7f, 0x06, 0x82];
    log.resize(4096, 1);
    fs::write(source.join("sealed.db-wal"), log).unwrap();
    let report = world.backup();
    assert_eq!(report.record.databases.len(), 1, "{:?}", report.record);
    assert_eq!(report.record.outcome, Outcome::WithFindings);
    let restored = world.restore("restored");
    assert_eq!(differences(&source, &restored), Vec::<String>::new());
}

#[test]
fn blobs_without_any_snapshot_are_said() {
    let world = World::new(8);
    fs::write(world.path("source").join("a"), "a").unwrap();
    let id = world.backup().id.unwrap();
    fs::remove_file(world.path("repo").join(format!("snapshots/{id}"))).unwrap();
    let repository = world.repository();
    let catalog = Catalog::open(&repository).unwrap();
    let report = check(&catalog, CheckOptions { read_data: false }, &Unobserved).unwrap();
    assert!(report.notes.iter().any(|note| note.contains("no snapshot")), "{report:?}");
}
