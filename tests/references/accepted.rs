//! What a person has seen and accepted does not count when it comes again; everything else does.

use larder::codec::fact::{Statement, Subject};
use larder::codec::snapshot::{FindingKind, Outcome};
use larder::ops::accept::{accept, is_acceptable};
use larder::ops::backup::BackupReport;
use larder::ops::catalog::Catalog;
use larder::sqlite::questions::Answer;

use crate::references::rig::{Rig, Scripted, first_set, named, query, rows, said};

/// Accepts the newest snapshot: findings that are accepted from now on, accepted before, not listed, and not acceptable.
pub(super) fn accept_newest(rig: &Rig) -> [u64; 4] {
    let repository = rig.world.repository();
    let catalog = Catalog::open(&repository).unwrap();
    let snapshot = catalog.select("latest", None, &jiff::tz::TimeZone::UTC).unwrap();
    let report = accept(&catalog, snapshot, &rig.host(&|| {})).unwrap();
    assert_eq!(report.braked, None);
    [report.accepted, report.already, report.unlisted, report.unacceptable]
}

fn open(report: &BackupReport) -> Vec<String> {
    let findings = report.record.findings.iter().filter(|finding| !finding.accepted);
    findings.map(|it| it.subject.escape_ascii().to_string()).collect()
}

#[test]
fn accepted_findings_no_longer_count_and_new_ones_do() {
    let rig = Rig::new(141, &[("a", "one")]);
    let night = |files: &[(&str, Option<u64>)]| {
        let capture = Scripted::new(|_| vec![rows(files)]);
        (rig.night(&capture), capture.captures())
    };
    let (first, _) = night(&[("a", Some(3)), ("gone", None), ("lost", Some(2))]);
    assert_eq!(first.record.outcome, Outcome::WithFindings);
    assert_eq!(accept_newest(&rig), [2, 0, 0, 0]);
    // Accepted once is accepted: nothing is written again.
    let facts = std::fs::read_dir(rig.world.path("repo/facts")).unwrap().count();
    assert_eq!(accept_newest(&rig), [0, 2, 0, 0]);
    assert_eq!(std::fs::read_dir(rig.world.path("repo/facts")).unwrap().count(), facts);

    let (second, captures) = night(&[("a", Some(3)), ("gone", None), ("lost", Some(2))]);
    assert_eq!((second.record.outcome, captures), (Outcome::Clean, 1), "nobody waits for them");
    assert_eq!(open(&second), [""; 0]);
    assert_eq!(second.record.findings_total, 2, "they are said all the same");
    assert_eq!((first_set(&second).present, first_set(&second).accepted), (1, 2));

    let (third, _) = night(&[("gone", None), ("lost", Some(3)), ("new", None)]);
    assert_eq!(third.record.outcome, Outcome::WithFindings);
    assert_eq!(open(&third), ["files/new"]);
    assert_eq!(accept_newest(&rig), [1, 2, 0, 0]);
    // The file is there again, as another one: that is nothing that anybody has seen.
    rig.write("gone", "not what it was");
    let (fourth, _) = night(&[("gone", Some(4))]);
    assert_eq!(open(&fourth), ["files/gone"]);
}

#[test]
fn what_a_record_does_not_list_cannot_be_accepted() {
    let rig = Rig::new(142, &[]);
    let names: Vec<String> = (0..1003).map(|n| format!("{n:04}")).collect();
    let all = || named(names.iter().map(|name| (name.as_str(), None, None)));
    let night = |answer: &Answer| rig.night(&Scripted::new(|_| vec![answer.clone()]));
    night(&all());
    assert_eq!(accept_newest(&rig), [1000, 0, 3, 0]);
    let second = night(&all());
    assert_eq!(second.record.outcome, Outcome::WithFindings);
    assert_eq!(
        open(&second),
        ["files/1000", "files/1001", "files/1002"],
        "those that count come first"
    );
    assert_eq!(accept_newest(&rig)[0], 3);
    assert_eq!(night(&all()).record.outcome, Outcome::Clean);
}

#[test]
fn another_source_has_findings_of_its_own() {
    let rig = Rig::new(143, &[]);
    let capture = || Scripted::new(|_| vec![rows(&[("gone", None)])]);
    rig.night(&capture());
    accept_newest(&rig);
    let options = larder::ops::backup::BackupOptions {
        source: Some("other".into()),
        ..rig.options(vec![query("docs")])
    };
    let first =
        larder::ops::backup::BackupOptions { source: Some("source".into()), ..options.clone() };
    let other = rig.night_with(&capture(), &options, &|| {});
    assert_eq!(other.record.outcome, Outcome::WithFindings);
    assert_eq!(said(&other, FindingKind::Dangling).len(), 1);
    let again = rig.night_with(&capture(), &first, &|| {});
    assert_eq!(again.record.outcome, Outcome::Clean);
}

#[test]
fn what_was_not_looked_up_counts_every_night() {
    let rig = Rig::new(144, &[]);
    let failed = || Scripted::new(|_| vec![Answer::Failed("it takes too long".to_owned())]);
    rig.night(&failed());
    let report = accept_newest(&rig);
    assert_eq!(report, [0, 0, 0, 1]);
    let later = rig.night(&failed());
    assert_eq!(later.record.outcome, Outcome::WithFindings, "nothing was looked up at all");
}

#[test]
fn a_fact_that_accepts_a_failed_query_is_not_followed() {
    let rig = Rig::new(146, &[]);
    let failed = || Scripted::new(|_| vec![Answer::Failed("it takes too long".to_owned())]);
    let first = rig.night(&failed());
    let repository = rig.world.repository();
    let catalog = Catalog::open(&repository).unwrap();
    let finding = repository.keys().finding_id(&first.record.findings[0].said());
    let subject = Subject::Accepted { snapshot: first.id.unwrap() };
    let statement =
        Statement::Findings { source: first.record.source.clone(), findings: vec![finding] };
    catalog.facts().publish(&repository, vec![(subject, statement)], &rig.host(&|| {})).unwrap();
    let later = rig.night(&failed());
    assert_eq!(later.record.outcome, Outcome::WithFindings);
    assert_eq!(open(&later), ["a.db"]);
}

#[test]
fn only_kinds_that_say_the_whole_state_of_a_thing_are_acceptable() {
    let all = [
        (FindingKind::Source, false),
        (FindingKind::Database, false),
        (FindingKind::Dangling, true),
        (FindingKind::Reference, false),
        (FindingKind::Unreadable, true),
        (FindingKind::Opaque, true),
        (FindingKind::Row, true),
    ];
    for (kind, expected) in all {
        assert_eq!(is_acceptable(kind), expected, "{kind:?}");
    }
}

#[test]
fn rows_that_are_refused_by_name_can_be_accepted() {
    let rig = Rig::new(147, &[]);
    let night =
        |path: &'static str| rig.night(&Scripted::new(move |_| vec![rows(&[(path, None)])]));
    night("/etc/passwd");
    assert_eq!(accept_newest(&rig)[0], 1);
    assert_eq!(night("/etc/passwd").record.outcome, Outcome::Clean);
    assert_eq!(night("/etc/shadow").record.outcome, Outcome::WithFindings, "another value");
}

#[test]
fn an_accepted_size_does_not_hide_a_wrong_hash() {
    let rig = Rig::new(145, &[("a", "one")]);
    let good = blake3::hash(b"one").to_hex().to_string();
    let answer = || named([("a", Some(2), None), ("a", Some(3), Some(good.as_str()))]);
    let night = || rig.night(&Scripted::new(|_| vec![answer()]));
    night();
    accept_newest(&rig);
    assert_eq!(night().record.outcome, Outcome::Clean);
    rig.write("a", "eno");
    let report = night();
    assert_eq!(report.record.outcome, Outcome::WithFindings, "the second row's hash is wrong now");
    assert_eq!(open(&report).len(), 1);
    assert_eq!(first_set(&report).accepted, 0);
}
