//! A database that has not changed is read again only when the answer could be another one.

use std::fs;

use larder::codec::snapshot::{FindingKind, Outcome};
use larder::ops::backup::BackupReport;
use larder::sqlite::questions::{BaseDir, ReferenceQuery};

use crate::references::accepted::accept_newest;
use crate::references::rig::{Rig, Scripted, first_set, query, rows, said};

/// A night of a database that nobody writes; how often it was captured.
fn quiet(rig: &Rig, files: &[(&str, Option<u64>)]) -> (BackupReport, u32) {
    let capture = Scripted::new(|_| vec![rows(files)]).at_rest();
    (rig.night(&capture), capture.captures())
}

#[test]
fn nothing_changed_nothing_is_asked() {
    let rig = Rig::new(151, &[("a", "one"), ("b", "two"), ("orphan", "x")]);
    let files = [("a", Some(3)), ("b", Some(3))];
    let (first, captures) = quiet(&rig, &files);
    assert_eq!((first.record.outcome, captures), (Outcome::Clean, 1));
    // Elsewhere: no row of this set can name it.
    fs::write(rig.path("elsewhere"), "new").unwrap();
    let (second, captures) = quiet(&rig, &files);
    assert_eq!((second.record.outcome, captures), (Outcome::Clean, 0));
    assert_eq!(second.record.databases, first.record.databases);
    assert_eq!(first_set(&second).orphans, 1);
}

#[test]
fn a_removed_file_is_noticed_though_the_database_is_the_same() {
    let rig = Rig::new(152, &[("a", "one"), ("b", "two")]);
    let files = [("a", Some(3)), ("b", Some(3))];
    quiet(&rig, &files);
    rig.remove("b");
    for night in 0..2 {
        let (report, captures) = quiet(&rig, &files);
        assert_eq!((report.record.outcome, captures), (Outcome::WithFindings, 1), "{night}");
        assert_eq!(said(&report, FindingKind::Dangling).len(), 1);
    }
    rig.write("b", "two");
    let (report, captures) = quiet(&rig, &files);
    assert_eq!((report.record.outcome, captures), (Outcome::Clean, 1));
    assert_eq!(quiet(&rig, &files).1, 0);
}

#[test]
fn a_file_that_came_or_changed_is_looked_at() {
    let rig = Rig::new(153, &[("a", "one")]);
    let files = [("a", Some(3))];
    quiet(&rig, &files);
    rig.write("orphan", "x");
    let (report, captures) = quiet(&rig, &files);
    assert_eq!((captures, first_set(&report).orphans), (1, 1));
    rig.write("a", "longer");
    let (report, captures) = quiet(&rig, &files);
    assert_eq!((report.record.outcome, captures), (Outcome::WithFindings, 1));
}

/// Rows that somebody has accepted do not make an unchanged database be read, and are said all the same.
#[test]
fn what_was_accepted_is_not_asked_again() {
    let rig = Rig::new(156, &[("a", "one"), ("b", "longer")]);
    let files = [("a", Some(3)), ("b", Some(3)), ("gone", None)];
    for _ in 0..2 {
        let (report, captures) = quiet(&rig, &files);
        assert_eq!((report.record.outcome, captures), (Outcome::WithFindings, 1), "not accepted");
    }
    accept_newest(&rig);
    for night in 0..3 {
        let (report, captures) = quiet(&rig, &files);
        assert_eq!((report.record.outcome, captures), (Outcome::Clean, 0), "{night}");
        let set = first_set(&report);
        assert_eq!((set.named, set.present, set.accepted), (3, 1, 2));
        assert_eq!(said(&report, FindingKind::Dangling).len(), 2, "{night}");
        assert!(report.record.findings.iter().all(|finding| finding.accepted));
    }
    // The file is there again: what was accepted is not so any more.
    rig.write("gone", "back");
    let (report, captures) = quiet(&rig, &files);
    assert_eq!((report.record.outcome, captures), (Outcome::Clean, 1));
    assert_eq!((first_set(&report).present, first_set(&report).accepted), (2, 1));
}

/// A database in the directory that its own rows start from does not count as a file that changed; what is beside it does.
#[test]
fn a_base_may_contain_the_database() {
    let rig = Rig::new(157, &[("a", "one")]);
    let below_root = BaseDir::BelowRoot(Vec::new());
    let options = rig.options(vec![ReferenceQuery { base: below_root, ..query("docs") }]);
    let night = || {
        let capture = Scripted::new(|_| vec![rows(&[("files/a", Some(3))])]).at_rest();
        let report = rig.night_with(&capture, &options, &|| {});
        (report.record.outcome, first_set(&report).orphans, capture.captures())
    };
    // An application at work: its log comes and goes with it.
    let log = [0x37, 0x7f, 0x06, 0x82].iter().chain(&[0; 60]).copied().collect::<Vec<u8>>();
    assert_eq!(night(), (Outcome::Clean, 0, 1));
    assert_eq!(night(), (Outcome::Clean, 0, 0));
    fs::write(rig.path("a.db-wal"), &log).unwrap();
    assert_eq!(night(), (Outcome::Clean, 0, 1), "the log is part of the database");
    assert_eq!(night(), (Outcome::Clean, 0, 0));
    fs::write(rig.path("a.db-shm"), vec![0; 32_768]).unwrap();
    assert_eq!(night(), (Outcome::Clean, 0, 0), "the index of a log says nothing");
    fs::write(rig.path("elsewhere"), "new").unwrap();
    assert_eq!(night(), (Outcome::Clean, 1, 1));
    assert_eq!(night(), (Outcome::Clean, 1, 0));
}

/// A file beside one database that is saved after all is a file that others may name.
#[test]
fn a_file_that_came_beside_another_database_is_looked_at() {
    let rig = Rig::new(158, &[]);
    fs::copy(rig.path("a.db"), rig.path("files/b.db")).unwrap();
    let base = BaseDir::BelowRoot(b"files".to_vec());
    let options = rig.options(vec![ReferenceQuery { base, ..query("docs") }]);
    let night = || {
        let capture = Scripted::new(|_| vec![rows(&[("b.db-wal", None)])]).at_rest();
        (rig.night_with(&capture, &options, &|| {}), capture.captures())
    };
    assert_eq!(night().0.record.outcome, Outcome::WithFindings);
    accept_newest(&rig);
    let (report, captures) = night();
    assert_eq!((said(&report, FindingKind::Dangling).len(), captures), (2, 0));
    fs::write(rig.path("files/b.db-wal"), "not a log").unwrap();
    let (report, captures) = night();
    assert_eq!((said(&report, FindingKind::Dangling).len(), captures), (0, 2));
    assert_eq!(report.record.outcome, Outcome::Clean);
}

#[test]
fn another_question_is_asked() {
    let rig = Rig::new(154, &[("a", "one")]);
    quiet(&rig, &[("a", Some(3))]);
    for (options, captures) in [
        (rig.options(vec![query("docs"), query("more")]), 1),
        (rig.options(vec![query("docs"), query("more")]), 0),
        (rig.options(Vec::new()), 0),
    ] {
        let answers = vec![rows(&[("a", Some(3))]); options.references.len()];
        let capture = Scripted::new(|_| answers.clone()).at_rest();
        let report = rig.night_with(&capture, &options, &|| {});
        assert_eq!(capture.captures(), captures);
        assert_eq!(report.record.outcome, Outcome::Clean);
        assert_eq!(report.record.databases[0].references.len(), options.references.len());
    }
}

#[test]
fn a_query_that_did_not_apply_is_not_asked_again() {
    let rig = Rig::new(155, &[]);
    for captures in [1, 0] {
        let answers = vec![larder::sqlite::questions::Answer::DoesNotApply];
        let capture = Scripted::new(|_| answers.clone()).at_rest();
        let report = rig.night(&capture);
        assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, captures));
        assert_eq!(report.record.databases[0].references, []);
    }
}
