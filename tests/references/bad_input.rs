//! Rows and databases that are not as one would wish: the snapshot is saved, and says so.

use std::fs;
use std::io;

use larder::codec::snapshot::{FindingKind, Outcome};
use larder::ops::backup::BackupOptions;
use larder::sqlite::captured::CaptureError;
use larder::sqlite::questions::{Answer, BaseDir, ReferenceQuery};

use crate::references::rig::{DATABASE, Rig, Scripted, first_set, named, query, rows, said};

#[test]
fn values_that_are_no_paths_below_the_base_are_said_by_name() {
    let rig = Rig::new(121, &[("a", "one")]);
    fs::write(rig.path("outside"), "x").unwrap();
    let bad = ["/etc/passwd", "../outside", "a//b", "x\0y", "./a"];
    let files = bad.iter().chain(["a"].iter()).map(|path| (*path, None, None));
    let answer = named(files);
    let report = rig.night(&Scripted::new(|_| vec![answer.clone()]));
    assert_eq!(report.record.outcome, Outcome::WithFindings);
    let said_of = said(&report, FindingKind::Row);
    assert_eq!(said_of.len(), bad.len(), "{said_of:?}");
    assert!(said_of[0].starts_with("a.db: reference docs: a row's path \"/etc/passwd\""));
    assert_eq!((first_set(&report).named, first_set(&report).present), (1, 1));
}

#[test]
fn many_bad_values_are_counted() {
    let rig = Rig::new(122, &[]);
    let values: Vec<String> = (0..5000).map(|n| format!("../{n}")).collect();
    let answer = match named(values.iter().map(|path| (path.as_str(), None, None))) {
        Answer::Named { files, .. } => Answer::Named { files, without_text: 7 },
        other => other,
    };
    let report = rig.night(&Scripted::new(|_| vec![answer.clone()]));
    let said_of = said(&report, FindingKind::Reference);
    assert_eq!(said(&report, FindingKind::Row).len(), 20);
    assert_eq!(said_of.len(), 2, "{said_of:?}");
    assert_eq!(said_of[0], "a.db: reference docs: 4980 more values are refused");
    assert_eq!(said_of[1], "a.db: reference docs: the path of 7 rows is no text");
}

#[test]
fn a_query_that_fails_is_a_finding_of_a_saved_snapshot() {
    let rig = Rig::new(123, &[("a", "one")]);
    let failed = Answer::Failed("no such column: path".into());
    let options = rig.options(vec![query("docs"), query("more")]);
    let capture = Scripted::new(|_| vec![failed.clone(), rows(&[("a", None)])]);
    let report = rig.night_with(&capture, &options, &|| {});
    assert!(report.id.is_some() && report.record.outcome == Outcome::WithFindings);
    let what = "a.db: reference docs: no such column: path";
    assert_eq!(said(&report, FindingKind::Reference), [what]);
    let sets = &report.record.databases[0].references;
    assert_eq!(sets[0].failure.as_deref(), Some("no such column: path"));
    assert_eq!((sets[1].named, sets[1].present, &sets[1].failure), (1, 1, &None));
}

/// With several sources in a repository a query may be meant for another one's database, unless this one had it.
#[test]
fn a_query_of_another_source_is_no_finding() {
    let rig = Rig::new(127, &[]);
    fs::copy(rig.path("a.db"), rig.path("b.db")).unwrap();
    let meant = ReferenceQuery { database: Some(b"b.db".to_vec()), ..query("meant") };
    let night = |source: &str| {
        let source = Some(source.to_owned());
        let options = BackupOptions { source, ..rig.options(vec![meant.clone()]) };
        rig.night_with(&Scripted::new(|_| vec![rows(&[])]), &options, &|| {})
    };
    let none = ["b.db: reference meant: there is no database at this path"];
    assert_eq!(said(&night("first"), FindingKind::Reference), [""; 0]);
    fs::remove_file(rig.path("b.db")).unwrap();
    assert_eq!(said(&night("first"), FindingKind::Reference), none, "it had one");
    // The other one never had it, and nobody knows for whom the query is.
    assert_eq!(said(&night("second"), FindingKind::Reference), [""; 0]);
    assert_eq!(said(&night("first"), FindingKind::Reference), none, "an earlier one counts");
}

#[test]
fn a_database_that_cannot_be_asked_is_one_that_its_own_query_fails_on() {
    let rig = Rig::new(124, &[]);
    let meant = ReferenceQuery { database: Some(b"a.db".to_vec()), ..query("meant") };
    let elsewhere = ReferenceQuery { database: Some(b"b.db".to_vec()), ..query("elsewhere") };
    let options = rig.options(vec![query("docs"), meant, elsewhere]);
    let report = rig.night_with(&Scripted::new(|_| Vec::new()), &options, &|| {});
    let what = "a.db: reference meant: the database could not be asked";
    let none = "b.db: reference elsewhere: there is no database at this path";
    assert_eq!(said(&report, FindingKind::Reference), [what, none]);
}

#[test]
fn two_sets_that_disagree_about_a_size_are_both_named() {
    let rig = Rig::new(125, &[("a", "one")]);
    let options = rig.options(vec![query("left"), query("right")]);
    let capture = Scripted::new(|_| vec![rows(&[("a", Some(3))]), rows(&[("a", Some(4))])]);
    let report = rig.night_with(&capture, &options, &|| {});
    let what = "files/a: rows of a.db (left) and a.db (right) disagree about its size";
    assert_eq!(said(&report, FindingKind::Row), [what]);
    let size = "files/a: named by a row of a.db (right); its size is not the one that the row says";
    assert_eq!(said(&report, FindingKind::Dangling), [size]);
    let sets = &report.record.databases[0].references;
    assert_eq!((sets[0].present, sets[1].present), (1, 0));
}

#[test]
fn a_database_that_disappears_between_two_rounds_is_saved_as_it_was() {
    let rig = Rig::new(126, &[("a", "one")]);
    let bytes = fs::read(rig.path(DATABASE)).unwrap();
    let capture = Scripted::failing(|round| {
        if round == 1 {
            return Ok(vec![rows(&[("a", Some(3)), ("gone", None)])]);
        }
        let path = rig.path(DATABASE);
        fs::remove_file(&path).unwrap_or_default();
        Err(CaptureError::Source { path, source: io::ErrorKind::NotFound.into() })
    });
    let report = rig.night(&capture);
    assert!(report.id.is_some());
    let said_of = said(&report, FindingKind::Reference);
    assert!(
        matches!(&said_of[..], [one] if one.starts_with("a.db: not captured again: ")
            && one.ends_with("an earlier state of it is saved")),
        "{said_of:?}"
    );
    assert_eq!(said(&report, FindingKind::Dangling).len(), 1);
    assert_eq!(fs::read(rig.world.restore("restored").join(DATABASE)).unwrap(), bytes);
    rig.world.assert_sound();
}

#[test]
fn a_base_outside_of_the_root_fails() {
    let rig = Rig::new(127, &[]);
    let outside = ReferenceQuery { base: BaseDir::BelowRoot(b"../x".to_vec()), ..query("docs") };
    let capture = Scripted::new(|_| vec![rows(&[("a", None)])]);
    let report = rig.night_with(&capture, &rig.options(vec![outside]), &|| {});
    let what = "a.db: reference docs: its directory is no path below the root of the database";
    assert_eq!(said(&report, FindingKind::Reference), [what]);
}

#[test]
fn names_that_no_record_could_hold_are_refused_before_anything_is_read() {
    let rig = Rig::new(128, &[]);
    let too_many = (0..65).map(|n| query(&format!("q{n}"))).collect();
    for bad in [vec![query("")], vec![query("a\nb")], vec![query("a"), query("a")], too_many] {
        let options = rig.options(bad);
        let capture = Scripted::new(|_| panic!("nothing is captured"));
        let host = rig.host(&|| {});
        let refused = larder::ops::backup::backup(
            &rig.world.repository(),
            &options,
            &capture,
            &host,
            &larder::observe::Unobserved,
        );
        assert_eq!(refused.unwrap_err().kind(), larder::error::ErrorKind::Usage);
    }
}

#[test]
fn a_file_of_another_root_is_not_the_one_that_a_row_names() {
    let rig = Rig::new(129, &[]);
    let other = rig.world.path("other");
    fs::create_dir_all(other.join("files")).unwrap();
    fs::write(other.join("files/a"), "one").unwrap();
    let options = BackupOptions {
        roots: vec![rig.world.path("source"), other],
        source: Some("two".into()),
        ..rig.options(vec![query("docs")])
    };
    let capture = Scripted::new(|_| vec![rows(&[("a", Some(3))])]);
    let report = rig.night_with(&capture, &options, &|| {});
    let dangling = said(&report, FindingKind::Dangling);
    assert_eq!(dangling.len(), 1);
    assert!(dangling[0].contains("source/files/a: named by"), "{dangling:?}");
    assert_eq!(first_set(&report).orphans, 0);
}

#[test]
fn more_missing_files_than_a_record_lists_are_counted() {
    let rig = Rig::new(130, &[]);
    let names: Vec<String> = (0..12_000).map(|n| format!("{n:05}")).collect();
    let answer = named(names.iter().map(|name| (name.as_str(), None, None)));
    let report = rig.night(&Scripted::new(|_| vec![answer.clone()]));
    let record = &report.record;
    assert_eq!((record.findings.len(), record.findings_total), (1000, 12_000));
    assert_eq!((first_set(&report).named, first_set(&report).present), (12_000, 0));
}
