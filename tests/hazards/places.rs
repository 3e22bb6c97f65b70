//! Where a database is, and under how many names.

use std::fs;
use std::path::Path;
use std::process::Command;

use larder::codec::snapshot::{CaptureMethod, DatabaseLabel};
use larder::sqlite::in_use::holders;

use crate::private_mounts::{elsewhere, mount};
use crate::sqlite_rig::{Application, Rig, make_ledger, prove};

/// Databases are written at one place and seen read-only at another, as a container's volume may be.
#[test]
fn a_read_only_mount_is_captured_with_and_without_a_live_writer() {
    if elsewhere("hazards::places::a_read_only_mount_is_captured_with_and_without_a_live_writer") {
        return;
    }
    let rig = Rig::new();
    for (name, journal_mode) in
        [("live", "WAL"), ("busy", "DELETE"), ("rest", "WAL"), ("quiet", "DELETE")]
    {
        make_ledger(&rig.path(name), journal_mode, 4096);
    }
    for name in ["left", "index"] {
        make_ledger(&rig.path(name), "WAL", 4096);
        Application::start("commit-into-the-log", &rig.path(name)).kill();
    }
    fs::remove_file(rig.path("left-shm")).unwrap();
    let seen = tempfile::tempdir().unwrap();
    mount(&["--bind", rig.source.path().to_str().unwrap()], seen.path());
    mount(&["-o", "remount,bind,ro"], seen.path());
    assert!(fs::write(seen.path().join("probe"), "").is_err());

    let writers = ["live", "busy"].map(|name| Application::start("write", &rig.path(name)));
    for (name, label, method) in [
        ("live", DatabaseLabel::Committed, CaptureMethod::OnlineBackup),
        ("busy", DatabaseLabel::Committed, CaptureMethod::OnlineBackup),
        ("rest", DatabaseLabel::Committed, CaptureMethod::Immutable),
        ("quiet", DatabaseLabel::Committed, CaptureMethod::OnlineBackup),
        ("left", DatabaseLabel::Recovered, CaptureMethod::PrivateRecovery),
        ("index", DatabaseLabel::Committed, CaptureMethod::OnlineBackup),
    ] {
        let captured = rig.capture(&seen.path().join(name));
        assert_eq!((captured.label, captured.method), (label, method), "{name}");
        let transactions = prove(&captured);
        match name {
            "left" | "index" => assert_eq!(transactions, 20, "{name}"),
            "rest" | "quiet" => assert_eq!(transactions, 0, "{name}"),
            _ => {}
        }
    }
    for writer in writers {
        assert!(writer.stop().contains(" 0 "), "a writer was refused something");
    }
    assert!(Command::new("umount").arg(seen.path()).status().unwrap().success());
}

/// Q5: the log stands beside one name only. Under the other its commits are out of sight, and that is said by the label.
#[test]
fn a_database_in_use_under_its_other_name_is_no_committed_state() {
    let rig = Rig::new();
    let (path, other) = (rig.path("a.db"), rig.path("other/b.db"));
    make_ledger(&path, "WAL", 4096);
    fs::create_dir(rig.path("other")).unwrap();
    fs::hard_link(&path, &other).unwrap();
    let application = Application::start("commit-into-the-log", &path);
    let captured = rig.capture_at_rest(&other);
    assert_eq!(captured.label, DatabaseLabel::CrashImage);
    assert_eq!(fs::read_dir(rig.path("other")).unwrap().count(), 1, "a second log appeared");
    let captured = rig.capture_at_rest(&path);
    assert_eq!((captured.label, prove(&captured)), (DatabaseLabel::Committed, 20));
    application.stop();
}

#[test]
fn who_has_a_database_open_is_named() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    assert_eq!(holders(&path).unwrap(), []);
    let application = Application::start("look", &path);
    let found = holders(&path).unwrap();
    assert!(found.len() == 1 && found[0].pid != std::process::id(), "{found:?}");
    application.stop();
    assert_eq!(holders(&path).unwrap(), []);
}

/// Q3: two copies of `SQLite` in one process take each other's locks away.
#[test]
fn there_is_one_sqlite_in_the_program() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let linked = packages.iter().filter(|package| package["links"] == "sqlite3");
    let names: Vec<_> = linked.map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["libsqlite3-sys"]);
}
