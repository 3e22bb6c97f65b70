//! A database beyond 1 GiB, where one page holds the locks and nothing else. Nearly all of it is free pages, which are holes in
//! its file; its capture is not, so this writes 1.2 GB.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use larder::codec::snapshot::{CheckResult, DatabaseLabel};
use larder::sqlite::questions::{Answer, BaseDir, ReferenceQuery};
use larder_testkit::campaign::seeds;
use rusqlite::Connection;

use crate::sqlite_rig::Rig;

const PAGE_SIZE: u32 = 65_536;
const LOCK_PAGE: u32 = 0x4000_0000 / PAGE_SIZE + 1;
const PAGES: u32 = LOCK_PAGE + 1000;
const LEAVES_PER_TRUNK: usize = 8000;

/// Appends free pages up to [`PAGES`]; those behind the lock page are first in the list, so that they are taken first.
fn append_free_pages(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let first = u32::try_from(file.metadata().unwrap().len() / u64::from(PAGE_SIZE)).unwrap() + 1;
    let free: Vec<u32> = (first..=PAGES).rev().filter(|page| *page != LOCK_PAGE).collect();
    let (behind, before) = free.split_at(usize::try_from(PAGES - LOCK_PAGE).unwrap());
    let trunks: Vec<&[u32]> =
        std::iter::once(behind).chain(before.chunks(LEAVES_PER_TRUNK)).collect();
    for (place, pages) in trunks.iter().enumerate() {
        let (trunk, leaves) = pages.split_first().unwrap();
        let next = trunks.get(place + 1).map_or(0, |pages| pages[0]);
        let words = [next, u32::try_from(leaves.len()).unwrap()];
        let bytes: Vec<u8> = words.iter().chain(leaves).flat_map(|it| it.to_be_bytes()).collect();
        file.write_all_at(&bytes, u64::from(trunk - 1) * u64::from(PAGE_SIZE)).unwrap();
    }
    file.set_len(u64::from(PAGES) * u64::from(PAGE_SIZE)).unwrap();
    let count = u32::try_from(free.len()).unwrap();
    for (offset, word) in [(28, PAGES), (32, free[0]), (36, count)] {
        file.write_all_at(&word.to_be_bytes(), offset).unwrap();
    }
}

fn large(path: &Path) {
    let make = "PRAGMA page_size = 65536; CREATE TABLE t (name TEXT, bytes BLOB); INSERT INTO t VALUES ('first', 'x');";
    Connection::open(path).unwrap().execute_batch(make).unwrap();
    append_free_pages(path);
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 100)
             INSERT INTO t SELECT 'row ' || i, randomblob(50000) FROM k;",
        )
        .unwrap();
    let behind: i64 = connection
        .query_row("SELECT count(*) FROM dbstat WHERE pageno > ?1", [LOCK_PAGE], |row| row.get(0))
        .unwrap();
    assert!(behind > 90, "the rows are not behind the lock page: {behind}");
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// Also shows that the limits of the helper's memory leave room for a database that is larger than all of them.
#[test]
fn large_databases_are_captured_across_the_page_of_the_locks() {
    let seeds = seeds("large", 0);
    if seeds.is_empty() {
        eprintln!("SKIPPED: writes 1.2 GB; `cargo xtask campaign large` runs it");
    }
    seeds.for_each(|_| capture_a_large_one());
}

fn capture_a_large_one() {
    let names = ReferenceQuery {
        name: "names".to_owned(),
        database: None,
        needs: vec![("t".to_owned(), "name".to_owned())],
        base: BaseDir::BelowRoot(Vec::new()),
        sql: "SELECT name, length(bytes) FROM t".to_owned(),
    };
    let rig = Rig { questions: vec![names], ..Rig::new() };
    let path = rig.path("large.db");
    large(&path);
    let bytes_on_disk = path.metadata().unwrap().blocks() * 512;
    assert!(bytes_on_disk < 20_000_000, "it is not sparse: {bytes_on_disk}");
    let captured = rig.capture(&path);
    assert_eq!(
        (captured.label, &captured.check),
        (DatabaseLabel::Committed, &CheckResult::QuickOk)
    );
    assert_eq!((captured.page_size, captured.page_count), (PAGE_SIZE, u64::from(PAGES)));
    assert_eq!(captured.knowledge.unwrap().tables[0].rows, 101);
    let Answer::Named { files, .. } = &captured.answers[0] else { panic!() };
    assert!(files[1..].iter().all(|file| file.size_bytes == Some(50_000)) && files.len() == 101);
}
