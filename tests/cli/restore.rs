use std::fs;

use super::rig::{Rig, damage};

fn read(rig: &Rig, name: &str) -> String {
    fs::read_to_string(rig.path(name)).unwrap()
}

#[test]
fn a_file_a_directory_or_everything_comes_back_beside_us() {
    let rig = Rig::saved();
    let run = rig.run(&["restore", "latest", "attachments/a.pdf", "attachments"]);
    assert!(
        run.out_of(0)
            .contains("restored  1 file, 10 B  ./a.pdf\nrestored  2 files, 20 B  ./attachments\n"),
        "{}",
        run.out
    );
    assert_eq!(read(&rig, "work/a.pdf"), "%PDF-1.4 a");
    assert_eq!(read(&rig, "work/attachments/b.pdf"), "%PDF-1.4 b");
    let run = rig.run(&["restore", "latest"]);
    let id = rig.json(&["snapshots"])["snapshots"][0]["id"].as_str().unwrap()[..8].to_owned();
    assert!(
        run.out_of(0).starts_with(&format!("restored  3 files, 26 B  app-{id}\nfrom {id} (")),
        "{}",
        run.out
    );
    assert!(run.out.contains("  every byte proved  "), "{}", run.out);
    assert_eq!(read(&rig, &format!("work/app-{id}/readme.txt")), "hello\n");
    assert!(rig.run(&["restore", "latest"]).err_of(1).contains("exists\nhint: add --target DIR"));
}

#[test]
fn nothing_is_overwritten_but_moved_aside_when_asked() {
    let rig = Rig::saved();
    let target = rig.arg("out");
    rig.write("app/readme.txt", "new\n");
    rig.run(&["restore", "latest", "readme.txt", "--target", &target]).out_of(0);
    fs::write(rig.path("out/readme.txt"), "mine\n").unwrap();
    let refused = rig.run(&["restore", "latest", "readme.txt", "--target", &target]);
    assert!(
        refused
            .err_of(1)
            .contains("readme.txt exists\nhint: add --target DIR; for a PATH, --overwrite")
    );
    assert_eq!(read(&rig, "out/readme.txt"), "mine\n");
    let run = rig.run(&["restore", "latest", "readme.txt", "--target", &target, "--overwrite"]);
    let aside =
        run.out_of(0).lines().next().unwrap().strip_prefix("moved aside  ").unwrap().to_owned();
    assert_eq!(read(&rig, "out/readme.txt"), "hello\n");
    assert_eq!(fs::read_to_string(format!("{aside}/readme.txt")).unwrap(), "mine\n");
    let whole = rig.run(&["restore", "latest", "--target", &target]);
    assert!(
        whole.err_of(1).contains("is not empty\nhint: restore into a missing or empty directory")
    );
    assert!(rig.run(&["restore", "latest", "--overwrite"]).err_of(2).contains("<PATH>"));
}

#[test]
fn json_says_what_came_back_and_where() {
    let rig = Rig::saved();
    let run = rig.run(&["--json", "restore", "latest", "attachments", "--target", &rig.arg("out")]);
    let lines = run.lines_of(0);
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["message_type"], &lines[0]["exit_code"]), (&"summary".into(), &0.into()));
    let restored = &lines[0]["restored"][0];
    assert_eq!((&restored["path"], &restored["files"]), (&"attachments".into(), &2.into()));
    assert_eq!(restored["target"]["path"], rig.arg("out/attachments"));
}

#[test]
fn what_is_damaged_has_no_name_and_the_rest_comes_back() {
    let rig = Rig::new();
    let noise: Vec<u8> =
        (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    rig.write("app/noise.bin", &noise);
    rig.backup_at("2026-11-22 03:00");
    let packs = fs::read_dir(rig.repository().join("packs")).unwrap();
    let largest = packs.map(|it| it.unwrap().path()).max_by_key(|it| it.metadata().unwrap().len());
    damage(&largest.unwrap(), 100_000);
    let run = rig.run(&["restore", "latest", "--target", &rig.arg("out")]);
    assert!(
        run.out_of(20).contains("NOT COMPLETE: what is damaged is listed above"),
        "{}",
        run.out
    );
    assert!(run.err.contains("damage: noise.bin: "), "{}", run.err);
    assert!(!rig.path("out/noise.bin").exists());
    assert_eq!(read(&rig, "out/readme.txt"), "hello\n");
}

#[test]
fn a_database_is_not_replaced_under_a_running_application() {
    let rig = Rig::new();
    let path = rig.path("app/parts.db");
    let application = rusqlite::Connection::open(&path).unwrap();
    application
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1);")
        .unwrap();
    rig.backup_at("2026-11-22 03:00");
    application.execute_batch("INSERT INTO t VALUES (2);").unwrap();
    let app = rig.arg("app");
    let again = ["restore", "latest", "parts.db", "--overwrite", "--target", &app];
    let before = fs::read_dir(&app).unwrap().count();
    let refused = rig.run(&again);
    let said = format!(
        "error: {app}/parts.db is open in another process\n\
         hint: stop the application that has it open, then run the same command again\n"
    );
    assert_eq!(refused.err_of(1), said);
    assert_eq!(fs::read_dir(&app).unwrap().count(), before, "nothing moved");
    let rows = |database: &rusqlite::Connection| -> u32 {
        database.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows(&application), 2);

    drop(application);
    rig.run(&again).out_of(0);
    assert_eq!(rows(&rusqlite::Connection::open(&path).unwrap()), 1);
}
