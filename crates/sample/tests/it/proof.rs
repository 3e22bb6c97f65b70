//! The oracle: it knows a commit when it sees one, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use larder_sample::oracle::{self, Torn};
use larder_sample::writer::{Mix, Pace, Writer};
use larder_sample::{ATTACHMENTS, close};
use rusqlite::Connection;
use rusqlite::backup::Backup;
use tempfile::TempDir;

use crate::tree::{database, tiny};

const PAGE: usize = 4_096;

fn backup(from: &Path, to: &Path) {
    let source = Connection::open(from).unwrap();
    // Held, so that a busy writer does not make the copy start again.
    source.execute_batch("BEGIN; SELECT count(*) FROM writer_log").unwrap();
    let mut copy = Connection::open(to).unwrap();
    Backup::new(&source, &mut copy).unwrap().step(-1).unwrap();
}

#[test]
fn backups_of_a_busy_database_are_commits_that_led_to_it() {
    let (dir, _) = tiny(1);
    let copies = TempDir::new().unwrap();
    let stop = AtomicBool::new(false);
    let boundaries: Vec<_> = thread::scope(|scope| {
        let mut writer = Writer::open(dir.path(), 1).unwrap();
        let stop = &stop;
        let run = scope.spawn(move || writer.run(Pace::FlatOut, || stop.load(Ordering::Relaxed)));
        let take = |number: usize| {
            let copy = copies.path().join(format!("{number}.db"));
            backup(&database(&dir), &copy);
            oracle::check(&copy)
        };
        let found = (0..12).map(take).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(run.join().unwrap().errors, 0);
        found
    });
    for boundary in boundaries {
        assert!(oracle::led_to(&boundary.unwrap(), &database(&dir)).unwrap());
    }
}

/// The same sample before and after some commits, both without a log.
fn before_and_after(steps: usize) -> (TempDir, Vec<u8>, Vec<u8>) {
    let (dir, _) = tiny(1);
    let before = fs::read(database(&dir)).unwrap();
    let mut writer = Writer::open(dir.path(), 1).unwrap();
    for _ in 0..steps {
        writer.step().unwrap();
    }
    drop(writer);
    close(dir.path()).unwrap();
    let after = fs::read(database(&dir)).unwrap();
    assert!(after.len() >= before.len());
    (dir, before, after)
}

fn verdict(dir: &TempDir, bytes: &[u8]) -> Result<oracle::Boundary, Torn> {
    let copy: PathBuf = dir.path().join("copy of 100%?#.db");
    fs::write(&copy, bytes).unwrap();
    oracle::check(&copy)
}

/// What `cp` makes of a database while a checkpoint runs: old pages up to a point, new ones behind it.
/// Few steps leave the size and most pages as they were, many change nearly everything.
#[test]
fn a_copy_torn_at_any_page_is_rejected() {
    let mut kinds = BTreeMap::new();
    for steps in [1, 3, 40] {
        let (dir, before, after) = before_and_after(steps);
        for cut in (PAGE..before.len()).step_by(PAGE) {
            let copy = [&before[..cut], &after[cut..]].concat();
            let reverse = [&after[..cut], &before[cut..]].concat();
            for mixture in [copy, reverse] {
                if mixture == before || mixture == after {
                    continue;
                }
                let torn = verdict(&dir, &mixture).expect_err("old pages and new ones");
                *kinds.entry(kind(&torn)).or_insert(0) += 1;
            }
        }
        assert_eq!(verdict(&dir, &before).unwrap().commits, 0);
        assert!(verdict(&dir, &after).unwrap().commits >= steps as u64);
    }
    // SQLite alone would have let the others pass.
    let found: usize = kinds.values().sum();
    assert!(found > 200 && kinds["ledger"] > 50, "{kinds:?}");
}

/// Pages that arrive in any order (a copy through the page cache, a disk that lost writes).
#[test]
fn copies_of_randomly_mixed_pages_are_rejected() {
    let mut seed = 1_u64;
    let mut coin = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 63 == 1
    };
    let (dir, before, mut after) = before_and_after(3);
    after.truncate(before.len());
    for _ in 0..200 {
        let pages = before.chunks(PAGE).zip(after.chunks(PAGE));
        let mixture = pages.map(|(old, new)| if coin() { new } else { old });
        let mixture: Vec<u8> = mixture.flatten().copied().collect();
        if mixture != before && mixture != after {
            assert!(verdict(&dir, &mixture).is_err());
        }
    }
}

fn kind(torn: &Torn) -> &'static str {
    match torn {
        Torn::Unreadable(_) => "unreadable",
        Torn::Integrity(_) | Torn::ForeignKey(_) => "integrity",
        _ => "ledger",
    }
}

/// The main file alone is an old commit: the oracle names it, and so shows what the copy lost.
#[test]
fn a_copy_without_the_log_shows_the_boundary_it_lost() {
    let (dir, _) = tiny(1);
    let mut writer = Writer::open(dir.path(), 1).unwrap();
    writer.keep_wal().unwrap();
    for _ in 0..20 {
        writer.step().unwrap();
    }
    let live = oracle::check(&database(&dir)).unwrap();
    let alone = verdict(&dir, &fs::read(database(&dir)).unwrap()).unwrap();
    assert_eq!((live.commits, alone.commits), (writer.report().commits, 0));
    assert!(oracle::led_to(&alone, &database(&dir)).unwrap());
    assert!(!oracle::led_to(&live, &dir.path().join("copy of 100%?#.db")).unwrap());
    drop(writer);
    assert_eq!(oracle::check(&database(&dir)).unwrap(), live, "the log was left and counts");
}

#[test]
fn each_contradiction_has_its_name() {
    let (dir, _, after) = before_and_after(40);
    let tampered = |sql: &str| {
        let copy = dir.path().join("tampered.db");
        fs::write(&copy, &after).unwrap();
        let conn = Connection::open(&copy).unwrap();
        conn.execute_batch(sql).unwrap();
        conn.close().unwrap();
        oracle::check(&copy).unwrap_err().to_string()
    };
    for (sql, complaint) in [
        ("UPDATE writer_account SET quantity = quantity + 1 WHERE id = 3", "balance: "),
        (
            "UPDATE writer_account SET quantity = quantity + id * 2 - 9 WHERE id IN (4, 5)",
            "an account: ",
        ),
        ("DELETE FROM writer_log WHERE seq = 5", "commits: "),
        ("UPDATE writer_log SET seq = 100000 WHERE seq = 5", "log line 5 "),
        ("UPDATE writer_log SET credit = 0 WHERE seq = 7", "log line 7 "),
        ("UPDATE writer_log SET kind = kind + 1 WHERE seq = 7", "the chain of "),
        ("DROP TRIGGER writer_counts_stock_delete; DELETE FROM stock_transactions", "stock rows: "),
        ("DROP TRIGGER writer_counts_attachment_delete; DELETE FROM attachments", "attachments: "),
        (
            "DROP TRIGGER writer_counts_units_update;
          UPDATE component_locations SET quantity_on_hand = quantity_on_hand + 1",
            "pieces in stock: ",
        ),
        ("PRAGMA foreign_keys = OFF; DELETE FROM components", "a row of "),
        ("DROP TABLE writer_log", "sqlite cannot read it"),
    ] {
        let found = tampered(sql);
        assert!(found.starts_with(complaint), "{sql}: {found}");
    }
    assert!(verdict(&dir, &after).is_ok(), "without tampering it passes");
}

#[test]
fn what_is_no_database_is_unreadable() {
    let (dir, before, _) = before_and_after(40);
    let zeroed = [&before[..PAGE], &vec![0; before.len() - PAGE][..]].concat();
    for bytes in [&b""[..], b"no database", &before[..PAGE], &zeroed] {
        assert!(verdict(&dir, bytes).is_err());
    }
    assert!(matches!(oracle::check(&dir.path().join("absent.db")), Err(Torn::Unreadable(_))));
}

#[test]
fn the_oracle_leaves_no_trace() {
    let (dir, _) = tiny(1);
    let names = || -> Vec<_> {
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let (before, bytes) = (names(), fs::read(database(&dir)).unwrap());
    oracle::check(&database(&dir)).unwrap();
    oracle::dangling_in(dir.path()).unwrap();
    assert_eq!((names(), fs::read(database(&dir)).unwrap()), (before, bytes));
}

#[test]
fn rows_without_their_files_are_listed() {
    let (dir, made) = tiny(1);
    let root = dir.path().join(ATTACHMENTS);
    let size = fs::metadata(root.join(&made.landmark)).unwrap().len();
    fs::File::options().write(true).open(root.join(&made.landmark)).unwrap().set_len(9).unwrap();
    let found = oracle::dangling_in(dir.path()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].recorded_bytes, found[0].found_bytes), (Some(size), Some(9)));
    assert_eq!((found[0].column, &found[0].path), ("file_path", &made.landmark));
    fs::remove_dir_all(&root).unwrap();
    let all = oracle::dangling_in(dir.path()).unwrap();
    assert_eq!(all.len(), made.files - made.orphans);
    assert!(all.iter().any(|row| row.column == "thumbnail_path" && row.recorded_bytes.is_none()));
}

/// A copy of the database without the files of its moment has rows that dangle: the reason for the check.
#[test]
fn a_late_copy_of_the_files_dangles() {
    let (dir, _) = tiny(1);
    let early = dir.path().join("early.db");
    fs::copy(database(&dir), &early).unwrap();
    let mut writer = Writer::open(dir.path(), 1).unwrap().with_mix(Mix::files_heavy());
    for _ in 0..60 {
        writer.step().unwrap();
    }
    let root = dir.path().join(ATTACHMENTS);
    let size_of = |path: &str| fs::metadata(root.join(path)).ok().map(|file| file.len());
    assert!(!oracle::dangling(&early, size_of).unwrap().is_empty());
    assert_eq!(oracle::dangling(&database(&dir), size_of).unwrap(), []);
}
