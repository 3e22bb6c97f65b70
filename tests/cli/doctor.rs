use std::fs;
use std::path::Path;

use larder_sample::{ATTACHMENTS, DATABASE, Spec};
use rusqlite::Connection;

use super::rig::Rig;

/// Doctor of a directory, with a repository on another file system where the machine has one.
fn doctor(rig: &Rig, code: i32, more: &[&str]) -> String {
    let dir = rig.arg("data");
    let run = rig.run(&[&["doctor", &dir][..], more].concat());
    assert_eq!(run.err, "", "{}", run.out);
    run.out_of(code).to_owned()
}

/// The same in JSON; with the kinds of its concerns, the repository's place aside: every test has it on the disk of the data.
fn document(rig: &Rig, more: &[&str]) -> (serde_json::Value, Vec<String>) {
    let dir = rig.arg("data");
    let run = rig.run(&[&["--json", "doctor", &dir][..], more].concat());
    let document: serde_json::Value = serde_json::from_str(run.out_of(3)).unwrap();
    let kinds = document["concerns"].as_array().unwrap().iter();
    let kinds = kinds.map(|it| it["kind"].as_str().unwrap().to_owned());
    let kinds = kinds.filter(|kind| kind != "repository").collect();
    (document, kinds)
}

fn partshub() -> Rig {
    let rig = Rig::new();
    larder_sample::make(&Spec::tiny(), &rig.path("data")).unwrap();
    rig
}

/// An application that nobody has heard of: documents with their sizes, previews beside them.
fn shop() -> Rig {
    let rig = Rig::new();
    fs::create_dir_all(rig.path("data/files/a")).unwrap();
    let shop = Connection::open(rig.path("data/shop.db")).unwrap();
    shop.execute_batch(
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, title TEXT, page_size INTEGER, stored_as TEXT, \
         bytes INTEGER, preview TEXT, manual_file TEXT)",
    )
    .unwrap();
    for n in 0_i64..5 {
        let (path, preview) = (format!("a/doc-{n}.pdf"), format!("a/doc-{n}.png"));
        rig.write(&format!("data/files/{path}"), vec![b'x'; usize::try_from(10 + n).unwrap()]);
        rig.write(&format!("data/files/{preview}"), "p");
        let manual = format!("/opt/manuals/{n}.pdf");
        shop.execute(
            "INSERT INTO docs(title, page_size, stored_as, bytes, preview, manual_file) \
             VALUES ('Doc', 4, ?1, ?2, ?3, ?4)",
            rusqlite::params![path, 10 + n, preview, manual],
        )
        .unwrap();
    }
    rig
}

fn of(database: &Path) -> Vec<u8> {
    fs::read(database).unwrap()
}

#[test]
fn partshub_is_known() {
    let rig = partshub();
    let before = of(&rig.path("data").join(DATABASE));
    let names_before = fs::read_dir(rig.path("data")).unwrap().count();
    let page = doctor(&rig, 3, &[]);
    assert!(page.contains("one committed state, quick_check ok\n"), "{page}");
    assert!(page.contains("  journal   WAL, "), "{page}");
    assert!(page.contains(&format!("  schema    {}\n", larder_sample::ALEMBIC_HEAD)), "{page}");
    assert!(page.contains("  files     partshub, known to larder\n"), "{page}");
    assert!(page.contains(&format!(" are below {ATTACHMENTS}\n")), "{page}");
    assert!(!page.contains("found in") && !page.contains("[[reference]]"), "{page}");
    let (document, kinds) = document(&rig, &[]);
    assert_eq!(kinds, [""; 0], "{document}");
    let set = &document["databases"][0]["references"][0];
    assert_eq!((&set["origin"], &set["missing_total"]), (&"built_in".into(), &0.into()));
    assert!(set["named"].as_u64().unwrap() > 8 && set["named"] == set["present"], "{set}");
    assert_eq!(document["configuration"], serde_json::Value::Null);
    assert_eq!(of(&rig.path("data").join(DATABASE)), before);
    assert_eq!(fs::read_dir(rig.path("data")).unwrap().count(), names_before, "nothing appears");
}

#[test]
fn rows_without_files_and_files_without_rows_are_named() {
    let rig = partshub();
    let (document, _) = document(&rig, &[]);
    let database = Connection::open(rig.path("data").join(DATABASE)).unwrap();
    let path: String = database
        .query_row("SELECT file_path FROM attachments LIMIT 1", [], |row| row.get(0))
        .unwrap();
    fs::remove_file(rig.path("data").join(ATTACHMENTS).join(&path)).unwrap();
    rig.write(&format!("data/{ATTACHMENTS}/stray.pdf"), "%PDF");
    let page = doctor(&rig, 3, &[]);
    assert!(page.contains(&format!("missing: 1\n              {ATTACHMENTS}/{path}\n")), "{page}");
    assert!(
        page.contains(&format!("\n  {ATTACHMENTS}: 1 file that rows name is missing\n")),
        "{page}"
    );
    let (after, kinds) = self::document(&rig, &[]);
    assert_eq!(kinds, ["dangling"]);
    let orphans = |document: &serde_json::Value| {
        document["databases"][0]["references"][0]["orphans_total"].as_u64().unwrap()
    };
    assert_eq!(orphans(&after), orphans(&document) + 1);
}

#[test]
fn attachments_that_are_not_in_the_volume_are_said() {
    let rig = partshub();
    fs::rename(rig.path("data").join(ATTACHMENTS), rig.path("elsewhere")).unwrap();
    let page = doctor(&rig, 3, &[]);
    let said = format!("  {ATTACHMENTS}: rows name ");
    assert!(page.contains(&said) && page.contains(", and none is here; PartsHub keeps"), "{page}");
    assert_eq!(document(&rig, &[]).1, ["elsewhere"]);
}

#[test]
fn an_application_that_nobody_knows_is_found_out_and_what_to_paste_holds() {
    let rig = shop();
    let page = doctor(&rig, 3, &[]);
    assert!(page.contains("files, found in docs.preview, docs.stored_as\n"), "{page}");
    assert!(page.contains("10 of 10 files named by rows are below files\n"), "{page}");
    let elsewhere =
        "  shop.db: docs.manual_file names files that are nowhere here, like \"/opt/manuals/";
    assert!(page.contains(elsewhere), "{page}");
    let pasted = &page[page.find("[[reference]]").unwrap()..];
    assert!(pasted.contains("base = \"files\"\n"), "{pasted}");
    assert!(pasted.contains("SELECT \"stored_as\", \"bytes\" FROM \"docs\""), "{pasted}");
    assert_eq!(document(&rig, &[]).1, ["undeclared", "elsewhere"]);

    rig.write("work/larder.toml", pasted);
    let (document, kinds) = document(&rig, &[]);
    assert_eq!(kinds, ["elsewhere"], "{document}");
    assert_eq!(document["databases"][0]["references"][0]["origin"], "configured");
    let backup = rig.run(&["backup", &rig.arg("data")]);
    let said = "  references  10 of 10 files named by rows are in the snapshot\n";
    assert!(backup.out_of(0).contains(said), "{}", backup.out);
}

#[test]
fn a_directory_without_a_database_may_be_the_wrong_one() {
    let rig = Rig::new();
    fs::create_dir(rig.path("data")).unwrap();
    rig.write("data/note.txt", "x");
    let page = doctor(&rig, 3, &[]);
    assert!(page.contains("\n  there is no SQLite database here: is this "), "{page}");
    let missing = rig.run(&["doctor", &rig.arg("nowhere")]);
    assert!(missing.err_of(1).contains("No such file or directory"), "{}", missing.err);
}

#[test]
fn a_corrupt_database_is_said_and_the_rest_is_looked_at() {
    let rig = partshub();
    let mut bytes = of(&rig.path("data").join(DATABASE));
    bytes[4096 * 3..4096 * 3 + 600].fill(0xff);
    fs::write(rig.path("data/broken.db"), bytes).unwrap();
    let (document, kinds) = document(&rig, &[]);
    assert!(kinds.contains(&"database".to_owned()), "{document}");
    assert_eq!(document["databases"][0]["state"]["label"], "source-corrupt");
    assert_eq!(document["databases"][1]["state"]["check"], "quick_check_ok");
    assert!(doctor(&rig, 3, &[]).contains("  broken.db: is corrupt: "), "it is said");
}

#[test]
fn who_has_a_database_open_is_seen_and_not_disturbed() {
    let rig = partshub();
    let database = Connection::open(rig.path("data").join(DATABASE)).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (document, _) = document(&rig, &[]);
    let found = &document["databases"][0];
    assert_eq!(found["in_use"], true);
    let holders = found["holders"].as_array().unwrap();
    assert!(holders.iter().any(|it| it["pid"] == std::process::id()), "{holders:?}");
    assert_eq!(found["state"]["label"], "committed");
    database.execute_batch("COMMIT").unwrap();
}

#[test]
fn the_repository_is_not_to_be_on_the_disk_of_the_data() {
    let rig = partshub();
    let page = doctor(&rig, 3, &[]);
    assert!(page.contains(" is on the same file system as the data: "), "{page}");
    let inside = rig.run(&["--repo", &rig.arg("data/repo"), "doctor", &rig.arg("data")]);
    assert!(inside.out_of(3).contains(" lies in the directory: "), "{}", inside.out);
}

#[test]
fn a_query_that_fails_or_fits_nothing_is_said() {
    let rig = shop();
    rig.write(
        "work/larder.toml",
        "[[reference]]\nname = 'typo'\ndatabase = 'shop.db'\nsql = 'SELECT nope FROM docs'\n\
         [[reference]]\nname = 'gone'\ndatabase = 'other.db'\nsql = 'SELECT 1'\n",
    );
    let page = doctor(&rig, 3, &[]);
    assert!(page.contains("  shop.db: reference typo: "), "{page}");
    assert!(page.contains("  the database of [[reference]] gone is not here\n"), "{page}");
}
