//! Whose locks a capture touches, and whom it keeps waiting.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::codec::snapshot::DatabaseLabel;
use larder::sqlite::capture::capture;
use larder::sqlite::captured::Captured;
use larder::sqlite::in_use::holders;
use larder::sqlite::options::HelperCommand;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::sqlite_rig::{Application, Rig, make_ledger, now_ns, prove, transact};

/// M13: reading a database takes nobody's locks away. The application holds them before and after.
#[test]
fn the_locks_of_an_application_stay() {
    let rig = Rig { wait: Duration::from_millis(100), ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    let application = Application::start("lock-exclusively", &path);
    for _ in 0..3 {
        assert_eq!(rig.capture(&path).label, DatabaseLabel::CrashImage);
        let second = Connection::open(&path).unwrap();
        second.busy_timeout(Duration::ZERO).unwrap();
        let refused = second.execute_batch("UPDATE counter SET n = 77").unwrap_err();
        assert!(refused.to_string().contains("locked"), "{refused}");
    }
    application.stop();
    let captured = rig.capture(&path);
    assert_eq!((captured.label, prove(&captured)), (DatabaseLabel::Committed, 20));
}

/// The process that has the database open, stopped where it stands.
fn freeze(path: &Path) -> Option<Pid> {
    let found = holders(path).unwrap();
    let helper = found.into_iter().find(|it| it.pid != std::process::id())?;
    let pid = Pid::from_raw(i32::try_from(helper.pid).unwrap())?;
    kill_process(pid, Signal::STOP).ok()?;
    // It may have been through just before.
    if holders(path).unwrap().iter().any(|it| it.pid == helper.pid) {
        return Some(pid);
    }
    kill_process(pid, Signal::CONT).unwrap();
    None
}

/// Captures, and does `work` while the helper is frozen in its transaction; `None` when it was through too soon.
fn frozen(rig: &Rig, path: &Path, work: impl Fn() + Sync) -> Option<Captured> {
    let (asked, caught) = (AtomicU64::new(0), AtomicU64::new(0));
    // The second time is asked for when the transaction has begun.
    let clock = || {
        if asked.fetch_add(1, Ordering::Relaxed) == 1
            && let Some(helper) = freeze(path)
        {
            work();
            caught.fetch_add(1, Ordering::Relaxed);
            kill_process(helper, Signal::CONT).unwrap();
        }
        now_ns()
    };
    let captured = capture(&rig.options(&clock), path).unwrap();
    (caught.into_inner() > 0).then_some(captured)
}

/// The real helper; what it says of its capture is written to this file too.
fn overheard(to: &Path) -> HelperCommand {
    let program = env!("CARGO_BIN_EXE_larder");
    let script = format!("'{program}' capture-helper | tee /dev/fd/3 3> '{}'", to.display());
    HelperCommand { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] }
}

/// However long a capture takes, a WAL writer that waits for nothing gets every lock; and nothing of what it writes is captured.
#[test]
fn a_writer_never_waits_for_a_capture_in_wal_mode() {
    let said = tempfile::NamedTempFile::new().unwrap();
    let rig = Rig { helper: overheard(said.path()), ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 512);
    let application = Application::start("look", &path);
    let grow = "CREATE TABLE filler (b); INSERT INTO filler VALUES (zeroblob(30000000));
         PRAGMA wal_checkpoint(TRUNCATE); UPDATE counter SET n = 0";
    Connection::open(&path).unwrap().execute_batch(grow).unwrap();
    let write = || {
        let writer = Connection::open(&path).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        (0..50).for_each(|turn| transact(&writer, turn).unwrap());
    };
    let transactions = |captured: &Captured| {
        assert_eq!(captured.label, DatabaseLabel::Committed);
        prove(captured)
    };
    let before = transactions(&rig.capture(&path));
    let mut attempts = (0..20).filter_map(|_| frozen(&rig, &path, write));
    let captured = attempts.next().expect("the helper was never met in its transaction");
    assert_eq!(transactions(&captured), before, "what was committed later was captured");
    let done = fs::read_to_string(said.path()).unwrap();
    assert!(
        !done.contains("\"log_grew_bytes\":0"),
        "50 commits did not make the log longer: {done}"
    );
    assert_eq!(transactions(&rig.capture(&path)), before + 50);
    application.stop();
}

/// In the other modes a reader is in the way of a commit: a writer waits for as long as a copy at full speed takes, and no longer.
#[test]
fn a_rollback_writer_waits_for_the_copy_alone() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "DELETE", 512);
    let grow = "CREATE TABLE filler (b); INSERT INTO filler VALUES (zeroblob(30000000))";
    Connection::open(&path).unwrap().execute_batch(grow).unwrap();
    let try_to_write = || {
        let writer = Connection::open(&path).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        let refused = transact(&writer, 1).unwrap_err();
        assert!(refused.to_string().contains("locked"), "{refused}");
        writer.execute_batch("ROLLBACK").unwrap();
    };
    let mut attempts = (0..20).filter_map(|_| frozen(&rig, &path, try_to_write));
    let captured = attempts.next().expect("the helper was never met in its transaction");
    assert_eq!((captured.label, prove(&captured)), (DatabaseLabel::Committed, 0));
    let writer = Connection::open(&path).unwrap();
    writer.busy_timeout(Duration::ZERO).unwrap();
    transact(&writer, 1).unwrap();
}
