use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::rig::Rig;

/// A source whose database is locked, so that a backup waits; and the lock.
fn waiting() -> (Rig, Connection) {
    let rig = Rig::saved();
    let database = Connection::open(rig.path("app/locked.db")).unwrap();
    database
        .execute_batch("CREATE TABLE t(a); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1);")
        .unwrap();
    (rig, database)
}

/// Starts a backup and comes back when it waits for the database.
fn start(rig: &Rig) -> (Child, BufReader<ChildStdout>) {
    let mut child = rig.command(&["--json", "backup", &rig.arg("app")]).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"phase\":\"databases\"") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended before it waited");
    }
    (child, output)
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_signal_stops_at_a_safe_point_and_the_next_run_goes_on() {
    let (rig, database) = waiting();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (mut child, output) = start(&rig);
        send(&child, signal);
        let last: Value = serde_json::from_str(&output.lines().last().unwrap().unwrap()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!((&last["kind"], &last["exit_code"]), (&"interrupted".into(), &code.into()));
        assert_eq!(last["hint"], "run the same command again; what was stored is reused");
    }
    drop(database);
    rig.run(&["backup", "-q", &rig.arg("app")]).out_of(0);
    rig.run(&["check", "--read-data"]).out_of(0);
}

#[test]
fn a_second_signal_ends_at_once() {
    // SQLite's helper answers an interruption within a moment, so the second signal comes with the first.
    let (rig, _database) = waiting();
    let (mut child, output) = start(&rig);
    send(&child, Signal::INT);
    send(&child, Signal::TERM);
    drop(output);
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
}
