use std::io::Read;
use std::path::Path;
use std::process::Output;

use rusqlite::Connection;

use super::rig::{Rig, damage};

#[test]
fn a_file_comes_as_it_was() {
    let rig = Rig::saved();
    rig.write("app/readme.txt", "new\n");
    rig.backup_at("2026-11-23 03:00");
    assert_eq!(rig.run(&["cat", "latest", "readme.txt"]).out_of(0), "new\n");
    for earlier in ["latest~1", "2026-11-22", "2026-11-23 02:59"] {
        let run = rig.run(&["cat", earlier, &rig.arg("app/readme.txt")]);
        assert_eq!((run.out_of(0), run.err.as_str()), ("hello\n", ""));
    }
}

#[test]
fn only_files_have_bytes() {
    let rig = Rig::saved();
    let run = rig.run(&["cat", "latest", "attachments"]);
    assert_eq!(run.err_of(1), "error: \"attachments\" is a directory\n");
    let run = rig.run(&["--json", "cat", "latest", "readme.txt"]);
    let error = &run.lines_of(2)[0];
    assert_eq!((&error["message_type"], &error["kind"]), (&"error".into(), &"usage".into()));
}

#[test]
fn damage_ends_the_output_before_a_wrong_byte() {
    let rig = Rig::new();
    let noise: Vec<u8> =
        (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    rig.write("app/noise.bin", &noise);
    rig.backup_at("2026-11-22 03:00");
    let packs = std::fs::read_dir(rig.repository().join("packs")).unwrap();
    let largest = packs.map(|it| it.unwrap().path()).max_by_key(|it| it.metadata().unwrap().len());
    damage(&largest.unwrap(), 100_000);
    let run = rig.run(&["cat", "latest", "noise.bin"]);
    assert!(run.err_of(20).starts_with("error: damage found: "), "{}", run.err);
    assert!(run.err.ends_with("hint: larder check --read-data\n"), "{}", run.err);
}

#[test]
fn a_reader_may_leave_early() {
    let rig = Rig::new();
    rig.write("app/large.txt", "line\n".repeat(400_000));
    rig.backup_at("2026-11-22 03:00");
    let mut child = rig.command(&["cat", "latest", "large.txt"]).spawn().unwrap();
    let mut first = [0; 5];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((&first, output.status.code(), &output.stderr[..]), (b"line\n", Some(0), &b""[..]));
}

/// The plain bytes of a database do not go beside the packs, and what must stay free stays free. Other files need no such place.
#[test]
fn a_database_is_made_where_it_may_be() {
    let rig = Rig::saved();
    let database = Connection::open(rig.path("app/partshub.db")).unwrap();
    database.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1);").unwrap();
    drop(database);
    rig.backup_at("2026-11-23 03:00");
    let cat = |path: &str, tmp: &Path, more: &[&str]| -> Output {
        let arguments = [&["cat", "latest", path], more].concat();
        rig.command(&arguments).env("TMPDIR", tmp).output().unwrap()
    };
    let refused = |output: Output, exit: i32, why: &str| {
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(exit) && error.contains(why), "{error}");
        assert_eq!(output.stdout, b"");
    };
    let inside = rig.repository().join("packs");
    let (here, nowhere) = (tempfile::tempdir().unwrap(), Path::new("/nonexistent"));
    let whole = cat("partshub.db", here.path(), &[]).stdout;
    assert!(whole.starts_with(b"SQLite format 3\0") && whole.len() == 8192, "{}", whole.len());
    refused(cat("partshub.db", &inside, &[]), 2, "is inside the repository");
    refused(cat("partshub.db", nowhere, &[]), 1, "/nonexistent");
    refused(cat("partshub.db", here.path(), &["--min-free", "1000TB"]), 22, "must stay free");
    let spool = here.path().to_str().unwrap();
    assert!(cat("partshub.db", &inside, &["--spool", spool]).stdout == whole);
    assert_eq!(cat("readme.txt", nowhere, &[]).stdout, b"hello\n");
}
