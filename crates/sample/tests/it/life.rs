//! The live application and its days.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use larder_sample::writer::{Mix, Pace, Writer, run_until_closed};
use larder_sample::{ATTACHMENTS, WriterReport, close, delete_attachment, evolve, oracle};

use crate::decode;
use crate::tree::{self, database, tiny};

#[test]
fn a_writer_is_fast_and_sees_no_error() {
    let (dir, made) = tiny(1);
    let mut writer = Writer::open(dir.path(), 1).unwrap();
    let mut asked = 0;
    let report = writer.run(Pace::FlatOut, || {
        asked += 1;
        asked > 300
    });
    assert_eq!((report.errors, report.first_error.as_str()), (0, ""));
    assert!(report.commits >= 300 && report.commits_per_second() >= 100, "{report}");
    assert!(report.moves > 100 && report.logins > 50 && report.uploads > 0, "{report}");
    drop(writer);
    let boundary = oracle::check(&database(&dir)).unwrap();
    assert_eq!(boundary.commits, report.commits);
    let attachments = made.attachments as u64 + report.uploads - report.deletes;
    assert_eq!(boundary.attachment_rows, attachments);
}

#[test]
fn a_pace_is_kept() {
    let (dir, _) = tiny(1);
    let mut writer = Writer::open(dir.path(), 1).unwrap();
    let began = Instant::now();
    let report = writer.run(Pace::CommitsPerSecond(500), || began.elapsed().as_millis() >= 200);
    let due = Duration::from_micros((report.commits.saturating_sub(4)) * 2_000);
    assert!(began.elapsed() >= due && report.commits >= 20, "{report}");
}

#[test]
fn files_that_come_and_go_leave_no_row_without_file() {
    let (dir, made) = tiny(4);
    let mut writer = Writer::open(dir.path(), 4).unwrap().with_mix(Mix::files_heavy());
    for _ in 0..150 {
        writer.step().unwrap();
    }
    let report = writer.report().clone();
    assert!(report.uploads > 20 && report.deletes > 20, "{report}");
    assert_eq!(oracle::dangling_in(dir.path()).unwrap(), []);
    let files = tree::files(&dir.path().join(ATTACHMENTS));
    assert!(files.contains_key(std::path::Path::new(&made.landmark)));
    for (name, (bytes, _)) in &files {
        decode::by_name(name.to_str().unwrap(), bytes);
    }
}

#[test]
fn two_writers_and_a_passing_day_share_one_ledger() {
    let (dir, _) = tiny(1);
    let run = |seed| {
        let mut writer = Writer::open(dir.path(), seed).unwrap();
        let mut left = 60;
        writer.run(Pace::FlatOut, || {
            left -= 1;
            left == 0
        })
    };
    let (one, two, day) = thread::scope(|scope| {
        let (one, two) = (scope.spawn(|| run(1)), scope.spawn(|| run(2)));
        let day = evolve(dir.path(), 1, 1).unwrap();
        (one.join().unwrap(), two.join().unwrap(), day)
    });
    assert_eq!((one.errors, two.errors), (0, 0), "{one} / {two}");
    assert!(day.transactions > 0);
    let commits = oracle::check(&database(&dir)).unwrap().commits;
    assert!(commits > one.commits + two.commits);
}

#[test]
fn a_writer_ends_with_its_input_and_reports_one_line() {
    let (dir, _) = tiny(1);
    let (input, keeper) = io::pipe().unwrap();
    let writer = Writer::open(dir.path(), 1).unwrap();
    let mut out = Vec::new();
    let report = thread::scope(|scope| {
        let run = scope.spawn(|| run_until_closed(writer, Pace::FlatOut, input, &mut out));
        while oracle::check(&database(&dir)).is_ok_and(|boundary| boundary.commits == 0) {
            thread::yield_now();
        }
        drop(keeper);
        run.join().unwrap().unwrap()
    });
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "ready"));
    assert_eq!(lines[1].parse::<WriterReport>().unwrap(), report);
    assert!(report.commits > 0 && report.errors == 0);
    assert!(!dir.path().join("partshub.db-wal").exists(), "closed cleanly");
}

#[test]
fn days_differ_and_repeat_for_a_seed() {
    let ((one, _), (two, _)) = (tiny(9), tiny(9));
    let mut last = tree::dump(&database(&one));
    for day in 1..=7 {
        let report = evolve(one.path(), day, 9).unwrap();
        assert_eq!(evolve(two.path(), day, 9).unwrap(), report);
        assert!(report.transactions > 0 && report.uploads > 0);
        for dir in [&one, &two] {
            assert!(dir.path().join("partshub.db-wal").metadata().unwrap().len() > 0);
            close(dir.path()).unwrap();
            assert!(!dir.path().join("partshub.db-wal").exists());
            assert_eq!(oracle::dangling_in(dir.path()).unwrap(), []);
        }
        let now = tree::dump(&database(&one));
        assert_eq!(now, tree::dump(&database(&two)));
        assert_ne!(now, last);
        last = now;
    }
    let attachments = |dir: &tempfile::TempDir| tree::files(&dir.path().join(ATTACHMENTS));
    assert_eq!(attachments(&one), attachments(&two));
}

#[test]
fn a_day_that_is_lived_twice_repeats_no_id() {
    let (dir, _) = tiny(1);
    for _ in 0..2 {
        evolve(dir.path(), 1, 1).unwrap();
        Writer::open(dir.path(), 1).unwrap().step().unwrap();
    }
    oracle::check(&database(&dir)).unwrap();
}

#[test]
fn an_accident_takes_row_and_file() {
    let (dir, made) = tiny(1);
    let file = dir.path().join(ATTACHMENTS).join(&made.landmark);
    assert!(!delete_attachment(dir.path(), "no/such.pdf").unwrap());
    assert!(file.exists() && delete_attachment(dir.path(), &made.landmark).unwrap());
    assert!(!file.exists() && !delete_attachment(dir.path(), &made.landmark).unwrap());
    let boundary = oracle::check(&database(&dir)).unwrap();
    assert_eq!((boundary.commits, boundary.attachment_rows), (1, made.attachments as u64 - 1));
    assert_eq!(oracle::dangling_in(dir.path()).unwrap(), []);
}

/// The report says what went wrong and the writer goes on, as the application does.
#[test]
fn a_writer_counts_its_errors() {
    let (dir, _) = tiny(1);
    let mut writer = Writer::open(dir.path(), 1).unwrap();
    let conn = rusqlite::Connection::open(database(&dir)).unwrap();
    conn.execute_batch("DROP TABLE writer_log").unwrap();
    let mut asked = 0;
    let report = writer.run(Pace::FlatOut, || {
        asked += 1;
        asked > 3
    });
    assert_eq!((report.commits, report.errors), (0, 3));
    let expected = "cannot write the ledger line: no such table: writer_log";
    assert!(report.first_error.starts_with(expected), "{report}");
    assert_eq!(report.to_string().parse(), Ok(report));
}
