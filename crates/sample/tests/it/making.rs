//! What `make` promises: the same seed the same sample, valid files, rows that name them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use larder_sample::{ALEMBIC_HEAD, ATTACHMENTS, Error, LANDMARK, Spec, make, oracle};
use rusqlite::Connection;

use crate::decode;
use crate::tree::{self, database, tiny};

#[test]
fn a_seed_decides_everything() {
    let ((one, first), (two, second), (other, _)) = (tiny(5), tiny(5), tiny(6));
    assert_eq!(first, second);
    assert_eq!(tree::dump(&database(&one)), tree::dump(&database(&two)));
    let attachments = |dir: &tempfile::TempDir| tree::files(&dir.path().join(ATTACHMENTS));
    assert_eq!(attachments(&one), attachments(&two));
    assert_ne!(attachments(&one), attachments(&other));
    assert_ne!(tree::dump(&database(&one)), tree::dump(&database(&other)));
}

#[test]
fn every_file_is_valid_and_counted() {
    let (dir, report) = tiny(1);
    let files = tree::files(&dir.path().join(ATTACHMENTS));
    for (name, (bytes, _)) in &files {
        decode::by_name(name.to_str().unwrap(), bytes);
    }
    let bytes: usize = files.values().map(|(bytes, _)| bytes.len()).sum();
    assert_eq!((files.len(), bytes as u64), (report.files, report.file_bytes));
    let distinct: BTreeSet<&Vec<u8>> = files.values().map(|(bytes, _)| bytes).collect();
    assert_eq!(files.len() - distinct.len(), report.duplicates);
    assert!(report.duplicates > 0 && bytes < 200_000);
}

/// The tests of validity would be worth nothing if the readers took any bytes.
#[test]
fn the_readers_refuse_damage() {
    let (dir, _) = tiny(1);
    for (name, (bytes, _)) in tree::files(&dir.path().join(ATTACHMENTS)) {
        let name = name.to_str().unwrap().to_owned();
        let cut = &bytes[..bytes.len() - 1];
        let read = std::panic::catch_unwind(|| decode::by_name(&name, cut));
        assert!(read.is_err(), "{name} without its last byte");
    }
}

#[test]
fn rows_and_files_match_and_a_profile_can_recognise_it() {
    let (dir, report) = tiny(2);
    assert_eq!(oracle::dangling_in(dir.path()).unwrap(), []);
    let conn = Connection::open(database(&dir)).unwrap();
    let one = |sql: &str| conn.query_one(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(one("SELECT version_num FROM alembic_version"), ALEMBIC_HEAD);
    assert_eq!(one("PRAGMA journal_mode"), "wal");
    assert_eq!(one("SELECT CAST(page_size AS TEXT) FROM pragma_page_size"), "4096");
    assert_eq!(
        one("SELECT file_path FROM attachments WHERE original_filename = 'ne555_datasheet.pdf'"),
        report.landmark
    );
    assert_eq!(one("SELECT original_filename FROM attachments ORDER BY rowid LIMIT 1"), LANDMARK);
    let found = "SELECT manufacturer_part_number FROM components JOIN components_fts USING (id)
                 WHERE components_fts MATCH 'ne555p*'";
    assert_eq!(one(found), "NE555P");
    let named =
        "SELECT CAST(count(DISTINCT file_path) + count(thumbnail_path) AS TEXT) FROM attachments";
    assert_eq!(one(named), (report.files - report.orphans).to_string());
}

#[test]
fn a_database_is_never_made_over() {
    let (dir, _) = tiny(1);
    let before = tree::files(dir.path());
    assert!(matches!(make(&Spec::tiny(), dir.path()), Err(Error::Exists { .. })));
    assert_eq!(tree::files(dir.path()), before);
}

/// A hundred attachments have every kind of name; `small` is what the documentation says.
#[test]
fn a_small_sample_has_its_documented_size() {
    let dir = tempfile::TempDir::new().unwrap();
    let report = make(&Spec { attachment_bytes: 400_000, ..Spec::small() }, dir.path()).unwrap();
    assert_eq!((report.attachments, report.files, report.orphans), (112, 158, 1));
    assert!((4_000_000..5_000_000).contains(&report.database_bytes), "{}", report.database_bytes);
    assert!((8..=14).contains(&report.duplicates));
    let names = tree::files(&dir.path().join(ATTACHMENTS));
    let unusual = names.keys().filter(|name| !name.to_str().unwrap().is_ascii());
    assert!(unusual.count() >= 3);
    larger_documents_hold_several_pages(dir.path(), &report.landmark);
}

fn larger_documents_hold_several_pages(dir: &Path, landmark: &str) {
    let spec = Spec { attachments: 1, attachment_bytes: 500_000, ..Spec::tiny() };
    let large = dir.join("large");
    let report = make(&spec, &large).unwrap();
    assert_ne!(report.landmark, landmark);
    let bytes = std::fs::read(large.join(ATTACHMENTS).join(&report.landmark)).unwrap();
    assert!((450_000..550_000).contains(&bytes.len()), "{}", bytes.len());
    assert_eq!(decode::pdf::pages(&bytes), 11);
}

/// Where other people's readers are installed, they agree.
#[test]
fn foreign_readers_agree() {
    let (dir, _) = tiny(3);
    for name in tree::files(&dir.path().join(ATTACHMENTS)).into_keys() {
        let path = dir.path().join(ATTACHMENTS).join(&name);
        let program = match name.extension().unwrap().to_str() {
            Some("pdf") => "pdfinfo",
            Some("png") => "pngcheck",
            _ => "djpeg",
        };
        match Command::new(program).arg(&path).output() {
            Err(_) => eprintln!("{program} is not installed: {} not looked at", name.display()),
            Ok(output) => {
                let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && complaint.is_empty(), "{program}: {complaint}");
            }
        }
    }
}
