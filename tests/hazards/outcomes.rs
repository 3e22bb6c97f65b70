//! What the binary says about each kind of database: its label, and the exit code that goes with it.

use std::fs;
use std::path::Path;

use crate::live::{LARDER, Rig, names};
use crate::sqlite_rig::{Application, make_ledger};

/// Label, method and exit code of a backup of what is in the source now; the same once more.
fn outcome(rig: &Rig, wait: &str) -> (String, String, i32) {
    let words = ["backup", "--json", "--db-wait", wait];
    let backup = || {
        let data = rig.data();
        let words = words.iter().map(AsRef::as_ref).chain([data.as_os_str()]);
        let ran = rig.run(words).expect_one_of(&[0, 3]);
        let code = ran.code.unwrap();
        assert_eq!(code == 3, !ran.warnings("finding").is_empty(), "{}", ran.text());
        let databases = ran.last()["snapshot"]["databases"].clone();
        assert_eq!(databases.as_array().unwrap().len(), 1, "{databases}");
        let text = |field: &str| databases[0][field].as_str().unwrap().to_owned();
        (text("label"), text("method"), code)
    };
    let first = backup();
    assert_eq!(backup(), first, "the second night says something else");
    assert_eq!(names(&rig.spool()), [""; 0]);
    first
}

fn expect(rig: &Rig, label: &str, method: &str, code: i32) {
    assert_eq!(outcome(rig, "1s"), (label.to_owned(), method.to_owned(), code));
}

fn ledger(rig: &Rig, journal_mode: &str) -> std::path::PathBuf {
    let path = rig.data().join("a.db");
    make_ledger(&path, journal_mode, 4096);
    path
}

fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn a_committed_state_is_0() {
    assert!(Path::new(LARDER).is_absolute());
    let rig = Rig::new();
    let path = ledger(&rig, "WAL");
    expect(&rig, "committed", "immutable", 0);
    let application = Application::start("commit-into-the-log", &path);
    expect(&rig, "committed", "online_backup", 0);
    // Killed, not stopped: the log stays, and is taken into account.
    application.kill();
    expect(&rig, "committed", "online_backup", 0);
}

#[test]
fn a_recovered_one_is_3() {
    let rig = Rig::new();
    let path = ledger(&rig, "DELETE");
    Application::start("spill-half-a-transaction", &path).kill();
    expect(&rig, "recovered", "private_recovery", 3);
    let rig = Rig::new();
    let path = ledger(&rig, "WAL");
    Application::start("rewrite-into-the-log", &path).kill();
    fs::write(&path, b"").unwrap();
    expect(&rig, "recovered", "private_recovery", 3);
}

#[test]
fn a_crash_image_is_3() {
    let rig = Rig::new();
    let path = ledger(&rig, "WAL");
    let application = Application::start("lock-exclusively", &path);
    expect(&rig, "crash-image", "private_recovery", 3);
    application.stop();
    expect(&rig, "committed", "immutable", 0);
}

#[test]
fn a_corrupt_one_is_3() {
    let rig = Rig::new();
    let path = ledger(&rig, "WAL");
    let mut content = fs::read(&path).unwrap();
    content[8 * 4096..9 * 4096].fill(0xa5);
    fs::write(&path, content).unwrap();
    expect(&rig, "source-corrupt", "immutable", 3);
}

#[test]
fn an_opaque_one_is_3() {
    let rig = Rig::new();
    let path = rig.data().join("sealed.db");
    fs::write(&path, [0x5a; 3 * 4096]).unwrap();
    fs::write(beside(&path, "-wal"), [0x37, 0x7f, 0x06, 0x82]).unwrap();
    expect(&rig, "opaque", "raw_copy", 3);
}

#[test]
fn a_name_like_an_address_is_0() {
    let rig = Rig::new();
    let path = ledger(&rig, "WAL");
    fs::rename(&path, rig.data().join("file:x.db?immutable=1&mode=memory")).unwrap();
    expect(&rig, "committed", "immutable", 0);
}
