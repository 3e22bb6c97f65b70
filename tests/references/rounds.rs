//! The protocol round by round: what the application does between two steps, and what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::codec::snapshot::{FindingKind, Outcome};
use larder::observe::Unobserved;
use larder::ops::backup::backup;

use crate::references::rig::{Rig, Scripted, first_set, query, rows, said};

const MISSING: &str = "named by a row of a.db (docs); it is missing at the source too";

fn texts(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn everything_there_takes_one_capture() {
    let rig = Rig::new(101, &[("a", "one"), ("sub/b", "three"), ("orphan", "x")]);
    let capture = Scripted::new(|_| vec![rows(&[("sub/b", Some(5)), ("a", Some(3)), ("a", None)])]);
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, 1));
    let set = first_set(&report);
    assert_eq!((set.name.as_str(), &*set.base), ("docs", &b"files"[..]));
    let counts = (set.named, set.present, set.accepted, set.newer, set.orphans, set.rounds);
    assert_eq!(counts, (2, 2, 0, 0, 1, 1));
}

#[test]
fn a_file_that_came_after_the_walk_is_fetched_with_its_directories() {
    let rig = Rig::new(102, &[("a", "one")]);
    let capture = Scripted::new(|_| {
        rig.write("new/deep/b", "fresh");
        vec![rows(&[("a", Some(3)), ("new/deep/b", Some(5))])]
    });
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, 1));
    assert_eq!(rig.restored("restored"), texts(&[("a", "one"), ("new/deep/b", "fresh")]));
    assert_eq!(report.record.counts.new_files, 3, "the database and two files");
    rig.world.assert_sound();
}

#[test]
fn a_file_whose_row_goes_too_costs_a_round() {
    let rig = Rig::new(103, &[("a", "one")]);
    let capture = Scripted::new(|round| {
        // Written after the walk, and gone before anybody looked.
        let all = [("a", Some(3)), ("brief", Some(5))];
        vec![rows(if round == 1 { &all } else { &all[..1] })]
    });
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, 2));
    assert_eq!((first_set(&report).rounds, first_set(&report).named), (2, 1));
}

#[test]
fn a_file_that_went_after_it_was_saved_is_kept_for_its_row() {
    let rig = Rig::new(104, &[("a", "one"), ("b", "two")]);
    let capture = Scripted::new(|round| {
        if round == 1 {
            rig.remove("b");
        }
        vec![rows(&[("a", Some(3)), ("b", Some(3))])]
    });
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, 1));
    assert_eq!(rig.restored("restored"), texts(&[("a", "one"), ("b", "two")]));
}

#[test]
fn a_file_that_changed_after_it_was_saved_is_saved_again() {
    let rig = Rig::new(105, &[("a", "one")]);
    let capture = Scripted::new(|_| {
        rig.write("a", "longer");
        vec![rows(&[("a", Some(6))])]
    });
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, 1));
    assert_eq!(rig.restored("restored"), texts(&[("a", "longer")]));
    assert_eq!(report.record.counts.new_files, 2, "the database and a file, once");
}

#[test]
fn a_file_that_is_rewritten_in_place_waits_for_its_row() {
    let rig = Rig::new(106, &[("a", "one")]);
    let capture = Scripted::new(|round| {
        // The file first, then the row: the first capture has the old row.
        rig.write("a", "longer");
        vec![rows(&[("a", Some(if round == 1 { 3 } else { 6 }))])]
    });
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::Clean, 2));
}

#[test]
fn what_is_missing_at_the_source_too_ends_the_rounds_and_is_said_alike_every_night() {
    let rig = Rig::new(107, &[("a", "one"), ("short", "12")]);
    let files = [("a", Some(3)), ("gone", Some(4)), ("short", Some(9)), ("gone/too", None)];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let capture = Scripted::new(|_| vec![rows(&files)]);
        let report = rig.night(&capture);
        assert_eq!(report.record.outcome, Outcome::WithFindings);
        assert!((2..=4).contains(&capture.captures()), "{}", capture.captures());
        let size = "named by a row of a.db (docs); its size is not the one that the row says";
        assert_eq!(
            said(&report, FindingKind::Dangling),
            [
                format!("files/gone: {MISSING}"),
                format!("files/gone/too: {MISSING}"),
                format!("files/short: {size}"),
            ]
        );
        let set = first_set(&report);
        assert_eq!((set.named, set.present), (4, 1));
        let repository = rig.world.repository();
        let id = |finding: &larder::codec::snapshot::Finding| {
            repository.keys().finding_id(&finding.said())
        };
        ids.push(report.record.findings.iter().map(id).collect::<Vec<_>>());
    }
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_row_before_its_file_is_waited_for() {
    let rig = Rig::new(108, &[]);
    let pauses = AtomicU32::new(0);
    let write_late = || {
        if pauses.fetch_add(1, Ordering::Relaxed) == 3 {
            rig.write("late", "here");
        }
    };
    let capture = Scripted::new(|_| vec![rows(&[("late", Some(4))])]);
    let options = rig.options(vec![query("docs")]);
    let report = rig.night_with(&capture, &options, &write_late);
    assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", report.record.findings);
    assert!(pauses.load(Ordering::Relaxed) >= 4);
    // Nobody waits for ever, nor shorter than promised.
    let host = rig.host(&|| {});
    let capture = Scripted::new(|_| vec![rows(&[("never", Some(4))])]);
    backup(&rig.world.repository(), &options, &capture, &host, &Unobserved).unwrap();
    let waited = host.paused_ms.load(Ordering::Relaxed);
    assert!((2000..3000).contains(&waited), "{waited} ms");
}

#[test]
fn an_unchanged_database_is_not_captured_again_while_it_is_waited() {
    let rig = Rig::new(109, &[]);
    let capture = Scripted::new(|_| vec![rows(&[("never", None)])]).at_rest();
    let report = rig.night(&capture);
    assert_eq!((report.record.outcome, capture.captures()), (Outcome::WithFindings, 1));
    assert_eq!(first_set(&report).rounds, 1);
}

#[test]
fn a_source_that_never_holds_still_ends_after_eight_rounds_with_the_last_list() {
    let rig = Rig::new(110, &[("a", "one")]);
    let capture = Scripted::new(|round| {
        let name = format!("brief-{round}");
        vec![rows(&[("a", Some(3)), (&name, Some(1))])]
    });
    let report = rig.night(&capture);
    assert_eq!(report.record.outcome, Outcome::WithFindings);
    let last = format!("files/brief-{}: {MISSING}", capture.captures());
    assert_eq!(said(&report, FindingKind::Dangling), [last]);
    assert_eq!((capture.captures(), first_set(&report).rounds), (8, 8));
}

#[test]
fn what_is_excluded_is_not_fetched_and_said() {
    let rig = Rig::new(111, &[("private/x", "secret"), ("cache/y", "z"), ("a.tmp", "t")]);
    let tag = "Signature: 8a477f597d28d172789f06886806bc55";
    rig.write("cache/CACHEDIR.TAG", tag);
    let excludes = vec!["files/private".to_owned(), "*.tmp".to_owned()];
    let options = larder::ops::backup::BackupOptions {
        excludes,
        exclude_caches: true,
        ..rig.options(vec![query("docs")])
    };
    let files = [("private/x", Some(6)), ("cache/y", None), ("a.tmp", None)];
    let capture = Scripted::new(|_| vec![rows(&files)]);
    let report = rig.night_with(&capture, &options, &|| panic!("nothing is waited for"));
    assert_eq!(capture.captures(), 1);
    let excluded = "named by a row of a.db (docs); it is excluded from the snapshot";
    assert_eq!(
        said(&report, FindingKind::Dangling),
        [
            format!("files/a.tmp: {excluded}"),
            "files/cache/y: named by a row of a.db (docs); it lies in a directory that is not entered"
                .to_owned(),
            format!("files/private/x: {excluded}"),
        ]
    );
    assert_eq!(rig.restored("restored"), texts(&[("cache/CACHEDIR.TAG", tag)]));
}

#[test]
fn links_and_directories_are_no_files() {
    let rig = Rig::new(112, &[("a", "one"), ("dir/b", "two")]);
    std::os::unix::fs::symlink("a", rig.path("files/link")).unwrap();
    std::os::unix::fs::symlink("dir", rig.path("files/linked")).unwrap();
    let files = [("link", None), ("dir", None), ("linked/b", None), ("a/below", None)];
    let report = rig.night(&Scripted::new(|_| vec![rows(&files)]));
    let dangling = said(&report, FindingKind::Dangling);
    assert_eq!(dangling.len(), 4, "{dangling:?}");
    let no_file = |it: &&String| it.ends_with("it is not a regular file");
    assert_eq!(dangling.iter().filter(no_file).count(), 4, "{dangling:?}");
}

#[test]
fn what_was_a_directory_may_be_a_file_by_now() {
    let rig = Rig::new(113, &[("x/child", "old"), ("z", "end")]);
    let capture = Scripted::new(|round| {
        if round == 1 {
            fs::remove_dir_all(rig.path("files/x")).unwrap();
            rig.write("x", "now a file");
        }
        vec![rows(&[("x", Some(10)), ("z", Some(3))])]
    });
    let report = rig.night(&capture);
    assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", report.record.findings);
    assert_eq!(rig.restored("restored"), texts(&[("x", "now a file"), ("z", "end")]));
    rig.world.assert_sound();
}

#[test]
fn a_file_that_nothing_is_said_about_may_be_newer() {
    let rig = Rig::new(114, &[("a", "one"), ("b", "two")]);
    let mut capture = Scripted::new(|_| vec![rows(&[("a", None), ("b", Some(3))])]);
    // Captured before any of the files was written.
    capture.started_ns = 1;
    let report = rig.night(&capture);
    assert_eq!(report.record.outcome, Outcome::Clean);
    assert_eq!((first_set(&report).present, first_set(&report).newer), (2, 1));
}

#[test]
fn a_database_that_a_row_names_is_captured() {
    let rig = Rig::new(115, &[("a", "one")]);
    let capture = Scripted::new(|round| {
        if round == 1 {
            fs::copy(rig.path("a.db"), rig.path("files/inner.db")).unwrap();
        }
        match round {
            // The second capture is that of the file.
            2 => vec![rows(&[])],
            _ => vec![rows(&[("a", Some(3)), ("inner.db", None)])],
        }
    });
    let report = rig.night(&capture);
    assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", report.record.findings);
    assert_eq!(report.record.databases.len(), 2);
    rig.world.assert_sound();
}

#[test]
fn a_database_that_a_fetch_finds_is_looked_up_itself() {
    let rig = Rig::new(119, &[]);
    let capture = Scripted::new(|capture| {
        if capture == 1 {
            fs::copy(rig.path("a.db"), rig.path("files/b.db")).unwrap();
            return vec![rows(&[("b.db", None)])];
        }
        rig.write("files/x", "one");
        vec![rows(&[("x", Some(3))])]
    });
    let report = rig.night(&capture.at_rest());
    assert_eq!(report.record.outcome, Outcome::Clean, "{:?}", report.record.findings);
    assert_eq!(
        fs::read_to_string(rig.world.restore("restored").join("files/files/x")).unwrap(),
        "one"
    );
}
