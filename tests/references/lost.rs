//! A database that is lost between two steps: what is in the snapshot of it has a record all the same.

use std::fs;
use std::io;

use larder::codec::snapshot::{DatabaseLabel, FindingKind, Outcome};
use larder::ops::backup::BackupReport;
use larder::sqlite::captured::CaptureError;
use larder::sqlite::questions::Answer;

use crate::references::rig::{Rig, Scripted, rows, said};

/// The database went, and so there is no capture of it.
fn gone(rig: &Rig, name: &str) -> Result<Vec<Answer>, CaptureError> {
    let path = rig.path(name);
    fs::remove_file(&path).unwrap();
    Err(CaptureError::Source { path, source: io::ErrorKind::NotFound.into() })
}

fn labels(report: &BackupReport) -> Vec<(String, DatabaseLabel)> {
    let label = |it: &larder::codec::snapshot::DatabaseRecord| {
        (String::from_utf8_lossy(&it.path).into_owned(), it.label)
    };
    report.record.databases.iter().map(label).collect()
}

/// It is taken over from the parent, then to be asked again because of what another one's rows brought, and gone by then.
#[test]
fn a_database_that_was_taken_over_keeps_its_record() {
    let rig = Rig::new(171, &[("a", "one")]);
    fs::copy(rig.path("a.db"), rig.path("b.db")).unwrap();
    let files = || vec![rows(&[("a", Some(3))])];
    let first = rig.night(&Scripted::new(|_| files()).at_rest());
    assert_eq!(first.record.outcome, Outcome::Clean);
    let connection = rusqlite::Connection::open(rig.path("b.db")).unwrap();
    connection.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    connection.close().unwrap();
    let kept = fs::read(rig.path("a.db")).unwrap();
    let capture = Scripted::failing(|round| match round {
        1 => {
            rig.write("new", "fresh");
            Ok(vec![rows(&[("a", Some(3)), ("new", Some(5))])])
        }
        _ => gone(&rig, "a.db"),
    })
    .at_rest();
    let second = rig.night(&capture);
    assert_eq!(capture.captures(), 2);
    let committed = |name: &str| (name.to_owned(), DatabaseLabel::Committed);
    assert_eq!(labels(&second), [committed("a.db"), committed("b.db")]);
    let said = said(&second, FindingKind::Reference);
    assert!(said.len() == 1 && said[0].contains("a.db: not captured again"), "{said:?}");
    assert_eq!(fs::read(rig.world.restore("back").join("a.db")).unwrap(), kept);
}

/// A database that only its log gives away was read like any file before anybody knew; then it went.
#[test]
fn a_database_that_the_walk_took_for_a_file_is_labelled() {
    let rig = Rig::new(172, &[("sealed", "nothing that anybody can read")]);
    let log: Vec<u8> = [0x37, 0x7f, 0x06, 0x82].into_iter().chain([1; 60]).collect();
    fs::write(rig.path("files/sealed-wal"), log).unwrap();
    let capture = Scripted::failing(|round| match round {
        1 => Ok(vec![rows(&[])]),
        _ => gone(&rig, "files/sealed"),
    });
    let report = rig.night(&capture);
    let opaque = ("files/sealed".to_owned(), DatabaseLabel::Opaque);
    assert_eq!(labels(&report), [("a.db".to_owned(), DatabaseLabel::Committed), opaque]);
    assert_eq!(report.record.outcome, Outcome::WithFindings);
    let said = said(&report, FindingKind::Database);
    assert!(said.len() == 1 && said[0].contains("as the walk read them"), "{said:?}");
    let back = rig.world.restore("back").join("files/sealed");
    assert_eq!(fs::read(back).unwrap(), b"nothing that anybody can read");
}
