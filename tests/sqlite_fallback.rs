//! Databases that cannot be captured where they are: saved all the same, with a label that says what the bytes are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use larder::sqlite::captured::Captured;
use larder::sqlite::recognise::{Recognised, SideFiles, recognise};
use rusqlite::Connection;

use crate::sqlite_rig::{Application, Rig, bytes, make_ledger, prove, restored};

fn assert_recovered(captured: &Captured, label: DatabaseLabel) {
    assert_eq!(captured.label, label, "{:?}", captured.check);
    assert_eq!(captured.method, CaptureMethod::PrivateRecovery);
    assert_eq!(captured.check, CheckResult::QuickOk);
    assert!(!captured.needs_side_files());
}

/// The raw label: the bytes of the file as it is, side files beside it.
fn assert_raw(captured: &Captured, label: DatabaseLabel, path: &Path) {
    assert_eq!(captured.label, label, "{:?}", captured.check);
    assert_eq!(captured.method, CaptureMethod::RawCopy);
    assert_ne!(captured.check, CheckResult::QuickOk);
    assert!(captured.needs_side_files());
    assert!(bytes(captured) == fs::read(path).unwrap());
}

/// Bytes that repeat for a seed and look like nothing (xorshift).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| step()).collect()
}

/// What a crash in the middle of a commit leaves: pages of it are in the database, the old ones in the journal.
fn interrupt_a_commit(rig: &Rig) -> std::path::PathBuf {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("hot.db");
    make_ledger(&path, "DELETE", 4096);
    let application = Application::start("spill-half-a-transaction", &path);
    for name in ["hot.db", "hot.db-journal"] {
        fs::copy(elsewhere.path().join(name), rig.path(name)).unwrap();
    }
    drop(application);
    rig.path("hot.db")
}

#[test]
fn a_hot_journal_is_played_back_in_a_private_copy() {
    let rig = Rig::new();
    let path = interrupt_a_commit(&rig);
    // The trap: without its journal the file reads well, and shows what was never committed.
    let dir = tempfile::tempdir().unwrap();
    fs::copy(&path, dir.path().join("bare.db")).unwrap();
    let bare = Connection::open(dir.path().join("bare.db")).unwrap();
    let torn: i64 = bare
        .query_row("SELECT count(*) FROM account WHERE balance = 77", [], |row| row.get(0))
        .unwrap();
    assert!(torn > 0, "no page of the transaction was written: the case proves nothing");

    let captured = rig.capture_at_rest(&path);
    assert_recovered(&captured, DatabaseLabel::Recovered);
    assert_eq!(prove(&captured), 0);
}

#[test]
fn a_log_without_an_index_is_recovered_without_one_appearing() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    Application::start("commit-into-the-log", &path).kill();
    fs::remove_file(rig.path("a.db-shm")).unwrap();
    let captured = rig.capture_at_rest(&path);
    assert_recovered(&captured, DatabaseLabel::Recovered);
    assert_eq!(prove(&captured), 20);
}

#[test]
fn an_empty_database_with_everything_in_its_log_is_recovered() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 8192);
    Application::start("rewrite-into-the-log", &path).kill();
    fs::write(&path, b"").unwrap();
    assert_eq!(recognise(b"", SideFiles::beside(&path)), Some(Recognised::BySideFiles));
    let captured = rig.capture_at_rest(&path);
    assert_recovered(&captured, DatabaseLabel::Recovered);
    assert_eq!(captured.page_size, 8192);
    assert_eq!(prove(&captured), 0);
}

#[test]
fn an_empty_database_with_too_little_in_its_log_is_kept_with_the_log() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    Application::start("commit-into-the-log", &path).kill();
    fs::write(&path, b"").unwrap();
    let captured = rig.capture_at_rest(&path);
    assert_raw(&captured, DatabaseLabel::SourceCorrupt, &path);
    assert!(SideFiles::beside(&path).wal, "the log is still there to be stored");
}

#[test]
fn a_database_that_never_saw_a_commit_is_empty() {
    let rig = Rig::new();
    let path = rig.path("new.db");
    fs::write(&path, b"").unwrap();
    fs::write(rig.path("new.db-journal"), [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7])
        .unwrap();
    assert_eq!(recognise(b"", SideFiles::beside(&path)), Some(Recognised::BySideFiles));
    let captured = rig.capture_at_rest(&path);
    assert_eq!((captured.label, captured.len), (DatabaseLabel::Committed, 0));
}

#[test]
fn a_lock_that_is_never_let_go_gives_a_crash_image() {
    let rig = Rig { wait: Duration::from_millis(200), ..Rig::new() };
    for (what, journal_mode, transactions) in
        [("lock-exclusively", "WAL", 20), ("spill-half-a-transaction", "DELETE", 0)]
    {
        let path = rig.path(&format!("{what}.db"));
        make_ledger(&path, journal_mode, 4096);
        let application = Application::start(what, &path);
        let captured = rig.capture_at_rest(&path);
        assert_recovered(&captured, DatabaseLabel::CrashImage);
        assert_eq!(prove(&captured), transactions, "{what}");
        application.stop();
        assert_eq!(rig.capture(&path).label, DatabaseLabel::Committed);
    }
}

#[test]
fn a_name_too_long_for_sqlite_gives_a_crash_image() {
    let rig = Rig::new();
    let dir = rig.path(&format!("{0}/{0}/{0}", "d".repeat(200)));
    fs::create_dir_all(&dir).unwrap();
    let made = rig.path("made.db");
    make_ledger(&made, "DELETE", 4096);
    let path = dir.join("deep.db");
    fs::rename(&made, &path).unwrap();
    let captured = rig.capture_at_rest(&path);
    assert_recovered(&captured, DatabaseLabel::CrashImage);
    assert_eq!(prove(&captured), 0);
}

#[test]
fn a_broken_page_is_found_and_kept() {
    let rig = Rig::new();
    for journal_mode in ["WAL", "DELETE"] {
        let path = rig.path("broken.db");
        let _ = fs::remove_file(&path);
        make_ledger(&path, journal_mode, 4096);
        let mut source = fs::read(&path).unwrap();
        source[8 * 4096..9 * 4096].copy_from_slice(&noise(3, 4096));
        fs::write(&path, &source).unwrap();
        let captured = rig.capture_at_rest(&path);
        assert_eq!(captured.label, DatabaseLabel::SourceCorrupt);
        assert!(matches!(&captured.check, CheckResult::Failed(text) if !text.is_empty()));
        assert_eq!(bytes(&captured)[4096..], source[4096..], "the broken page is saved as it is");
    }
}

#[test]
fn a_cut_database_is_saved_as_it_is() {
    let rig = Rig::new();
    let path = rig.path("cut.db");
    make_ledger(&path, "DELETE", 4096);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2 + 100).unwrap();
    assert_raw(&rig.capture_at_rest(&path), DatabaseLabel::SourceCorrupt, &path);
}

#[test]
fn noise_behind_the_magic_is_saved_as_it_is() {
    let rig = Rig::new();
    let path = rig.path("noise.db");
    for seed in 1..12 {
        let mut content = noise(seed, 9000);
        content[..16].copy_from_slice(b"SQLite format 3\0");
        fs::write(&path, content).unwrap();
        assert_raw(&rig.capture_at_rest(&path), DatabaseLabel::SourceCorrupt, &path);
    }
    for len in [16, 17, 99, 100, 511] {
        fs::write(&path, [b"SQLite format 3\0".as_slice(), &noise(9, len)].concat()).unwrap();
        assert_raw(&rig.capture_at_rest(&path), DatabaseLabel::SourceCorrupt, &path);
    }
}

/// Whatever is wrong with a database, its capture ends with bytes and a label, and a label of `committed` is proved.
#[test]
fn mutated_databases_never_fail_a_capture() {
    let rig = Rig::new();
    let path = rig.path("mutated.db");
    make_ledger(&path, "WAL", 1024);
    let sound = fs::read(&path).unwrap();
    let mut failed = 0;
    for seed in 1..40_u64 {
        let mut content = sound.clone();
        for (byte, place) in noise(seed, 6).into_iter().zip(noise(seed + 1000, 12).chunks(2)) {
            let at = usize::from(place[0]) * usize::from(place[1]) % content.len();
            // Every other round hits the header and the first pages.
            let at = if seed % 2 == 0 { at % 1200 } else { at };
            content[at] = byte;
        }
        fs::write(&path, content).unwrap();
        let captured = rig.capture_at_rest(&path);
        match captured.label {
            DatabaseLabel::Committed => assert_eq!(captured.check, CheckResult::QuickOk),
            _ => failed += 1,
        }
        if matches!(captured.check, CheckResult::Failed(_)) {
            assert_eq!(captured.label, DatabaseLabel::SourceCorrupt);
        }
    }
    assert!(failed > 5, "the mutations are too mild to prove anything: {failed}");
}

#[test]
fn a_sealed_database_is_saved_with_its_log() {
    let rig = Rig::new();
    let path = rig.path("sealed.db");
    let content = noise(5, 3 * 4096);
    fs::write(&path, &content).unwrap();
    let beside = SideFiles::beside(&path);
    assert_eq!(recognise(&content, beside), None, "alone it is a file like any other");
    let log = [&[0x37, 0x7f, 0x06, 0x82], noise(6, 4000).as_slice()].concat();
    fs::write(rig.path("sealed.db-wal"), log).unwrap();
    assert_eq!(recognise(&content, SideFiles::beside(&path)), Some(Recognised::BySideFiles));
    assert_raw(&rig.capture_at_rest(&path), DatabaseLabel::Opaque, &path);
}

const UNPRIVILEGED: &str = "LARDER_TEST_UNPRIVILEGED";
const NOBODY: u32 = 65_534;

/// In a directory where nothing can be created: at rest it is read as it is, a log left behind is recovered aside,
/// and a log with a readable index is read without writing to it.
#[test]
fn an_unwritable_directory_is_captured_unprivileged() {
    let source = tempfile::tempdir().unwrap();
    for (name, what) in [
        ("rest", None),
        ("left", Some("commit-into-the-log")),
        ("index", Some("commit-into-the-log")),
    ] {
        let path = source.path().join(name);
        make_ledger(&path, "WAL", 4096);
        if let Some(what) = what {
            Application::start(what, &path).kill();
        }
    }
    fs::remove_file(source.path().join("left-shm")).unwrap();
    for entry in fs::read_dir(source.path()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(source.path(), fs::Permissions::from_mode(0o555)).unwrap();

    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "sqlite_fallback::unprivileged", "--ignored", "--nocapture"])
        .env(UNPRIVILEGED, source.path())
        .current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    match command.output() {
        Err(error) => eprintln!("SKIPPED: user {NOBODY} cannot run the tests here: {error}"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
        }
    }
    fs::set_permissions(source.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Not a test of its own: the part of the one above that runs without privileges.
#[test]
#[ignore = "run by another test, as another user"]
fn unprivileged() {
    let Some(source) = std::env::var_os(UNPRIVILEGED) else { return };
    let source = Path::new(&source);
    assert!(fs::write(source.join("probe"), "").is_err(), "the directory is writable");
    let rig = Rig::new();
    for (name, label, method, transactions) in [
        ("rest", DatabaseLabel::Committed, CaptureMethod::Immutable, 0),
        ("left", DatabaseLabel::Recovered, CaptureMethod::PrivateRecovery, 20),
        ("index", DatabaseLabel::Committed, CaptureMethod::OnlineBackup, 20),
    ] {
        let names = || fs::read_dir(source).unwrap().count();
        let before = names();
        let captured = rig.capture(&source.join(name));
        assert_eq!((captured.label, captured.method), (label, method), "{name}");
        assert_eq!(prove(&captured), transactions);
        assert_eq!(names(), before);
    }
}

/// A restore of a capture behaves as the original did: it goes on in WAL mode.
#[test]
fn a_restored_capture_can_be_written() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    let (_dir, connection) = restored(&rig.capture(&path));
    crate::sqlite_rig::transact(&connection, 1).unwrap();
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
