//! A database that has not changed is read again only when the answer could be another one.

use std::fs;

use larder::codec::snapshot::{FindingKind, Outcome};
use larder::ops::backup::BackupReport;

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
