//! Transactions over several databases: the journal of each names a super-journal, and the transaction was committed exactly
//! when that is gone. The recovery happens in a private copy, and must judge by the original and leave it alone.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use rusqlite::Connection;

use crate::sqlite_rig::{Rig, make_ledger, prove};

const PAGE_SIZE: u32 = 4096;
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// A database with the pages of its second transaction, and the journal with the old ones: a crash just before the journal went.
fn at_the_moment_of_commit(rig: &Rig, super_journal: &Path) -> PathBuf {
    let elsewhere = tempfile::tempdir().unwrap();
    let made = elsewhere.path().join("a.db");
    make_ledger(&made, "DELETE", PAGE_SIZE);
    let connection = Connection::open(&made).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = 5; BEGIN;
             UPDATE account SET balance = balance - 5, moves = moves + 1 WHERE id = 7;
             UPDATE account SET balance = balance + 5, moves = moves + 1 WHERE id = 9;
             UPDATE account SET note = hex(randomblob(60)); UPDATE counter SET n = n + 1;",
        )
        .unwrap();
    let mut journal = fs::read(elsewhere.path().join("a.db-journal")).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    journal.extend(record_of(super_journal));
    fs::write(rig.path("a.db-journal"), journal).unwrap();
    fs::copy(&made, rig.path("a.db")).unwrap();
    rig.path("a.db")
}

/// The end of a journal that belongs to a super-journal.
fn record_of(super_journal: &Path) -> Vec<u8> {
    let name = super_journal.as_os_str().as_bytes();
    let sum = name
        .iter()
        .fold(0_u32, |sum, byte| sum.wrapping_add(i32::from(byte.cast_signed()).cast_unsigned()));
    let length = u32::try_from(name.len()).unwrap();
    let lock_page = 0x4000_0000 / PAGE_SIZE + 1;
    [&lock_page.to_be_bytes(), name, &length.to_be_bytes(), &sum.to_be_bytes(), &JOURNAL_MAGIC]
        .concat()
}

fn list_of(journals: &[&Path]) -> Vec<u8> {
    journals.iter().flat_map(|path| [path.as_os_str().as_bytes(), &[0]].concat()).collect()
}

fn transactions(rig: &Rig, path: &Path) -> i64 {
    let captured = rig.capture_at_rest(path);
    assert_eq!(
        (captured.label, &captured.check),
        (DatabaseLabel::Recovered, &CheckResult::QuickOk)
    );
    assert_eq!(captured.method, CaptureMethod::PrivateRecovery);
    prove(&captured)
}

#[test]
fn a_transaction_whose_super_journal_is_there_was_not_committed() {
    let rig = Rig::new();
    let super_journal = rig.path("a.db-mj01234590A");
    let path = at_the_moment_of_commit(&rig, &super_journal);
    let journals = list_of(&[&rig.path("a.db-journal"), &rig.path("b.db-journal")]);
    fs::write(&super_journal, journals).unwrap();
    assert_eq!(transactions(&rig, &path), 0);
}

#[test]
fn a_transaction_whose_super_journal_is_gone_was_committed() {
    let rig = Rig::new();
    let path = at_the_moment_of_commit(&rig, &rig.path("a.db-mj01234590A"));
    assert_eq!(transactions(&rig, &path), 1);
}

/// Whoever wrote the journal may have named any file: it is not larder that deletes it.
#[test]
fn a_journal_that_names_somebody_elses_file_takes_nothing_away() {
    let victims = tempfile::tempdir().unwrap();
    // To SQLite an empty super-journal is none.
    for (name, content, committed) in [
        ("precious", Vec::new(), 0),
        ("precious-mj01234590A", b"letters\0".to_vec(), 0),
        ("empty-mj01234590A", Vec::new(), 1),
        ("list-mj01234590A", list_of(&[Path::new("/nonexistent/copy-journal")]), 0),
    ] {
        let rig = Rig::new();
        let victim = victims.path().join(OsStr::new(name));
        fs::write(&victim, &content).unwrap();
        let path = at_the_moment_of_commit(&rig, &victim);
        assert_eq!(transactions(&rig, &path), committed, "{name}");
        assert_eq!(fs::read(&victim).unwrap(), content);
    }
}
