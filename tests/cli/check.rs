use std::fs;

use super::rig::{Rig, damage};

#[test]
fn a_sound_repository_is_said_to_be_so_and_what_was_not_looked_at() {
    let rig = Rig::saved();
    let run = rig.run(&["check"]);
    let lines: Vec<_> = run.out_of(0).lines().collect();
    assert!(lines[0].starts_with("structure   1 snapshot, "), "{}", lines[0]);
    assert!(lines[0].contains(" 1 index: every blob has its place  "), "{}", lines[0]);
    assert_eq!(
        lines[1],
        "no damage.  not looked at: stored bytes (--read-data), inside databases, the live source"
    );
    let run = rig.run(&["check", "--read-data"]);
    let lines: Vec<_> = run.out_of(0).lines().collect();
    assert!(
        lines[1].starts_with("data        ") && lines[1].contains(" blobs sound"),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2], "no damage.  not looked at: inside databases, the live source");
    assert_eq!(rig.run(&["check", "-q"]).out_of(0), "");
}

#[test]
fn damage_is_listed_with_whom_it_hits() {
    let rig = Rig::saved();
    rig.write("app/new.txt", "new");
    rig.backup_at("2026-11-23T03:00:00+01:00");
    let packs = fs::read_dir(rig.repository().join("packs")).unwrap();
    for pack in packs.map(|it| it.unwrap().path()) {
        let bytes = fs::read(&pack).unwrap();
        if let Some(at) = bytes.windows(10).position(|it| it == b"%PDF-1.4 a") {
            damage(&pack, at + 9);
        }
    }
    assert_eq!(
        rig.run(&["check"]).out_of(0).lines().last().unwrap().split("  ").next(),
        Some("no damage.")
    );
    let run = rig.run(&["check", "--read-data"]);
    let out = run.out_of(20);
    assert!(out.contains("\ndamaged     Data blob "), "{out}");
    assert!(out.contains(", 2 snapshots: attachments/a.pdf\nDAMAGE: 1 damaged object; "), "{out}");
    let lines = rig.run(&["--json", "check", "--read-data"]).lines_of(20);
    assert_eq!(lines[0]["kind"], "damage");
    assert_eq!(lines[0]["affected"][1]["paths"][0]["path"], "attachments/a.pdf");
    let summary = lines.last().unwrap();
    assert_eq!((&summary["clean"], &summary["exit_code"]), (&false.into(), &20.into()));
    let cat = rig.run(&["cat", "latest", "attachments/a.pdf"]);
    cat.err_of(20);
    assert_eq!(rig.run(&["cat", "latest", "attachments/b.pdf"]).out_of(0), "%PDF-1.4 b");
}

#[test]
fn missing_packs_and_snapshots_are_damage() {
    let rig = Rig::saved();
    rig.write("app/new.txt", "new");
    rig.backup_at("2026-11-23T03:00:00+01:00");
    let first = rig.json(&["snapshots"])["snapshots"][0]["id"].as_str().unwrap().to_owned();
    fs::remove_file(rig.repository().join("snapshots").join(&first)).unwrap();
    let run = rig.run(&["check"]);
    let missing = format!("missing     snapshot {} of app is missing: ", &first[..8]);
    assert!(run.out_of(20).contains(&missing), "{}", run.out);
    for pack in fs::read_dir(rig.repository().join("packs")).unwrap() {
        fs::remove_file(pack.unwrap().path()).unwrap();
    }
    let run = rig.run(&["check"]);
    assert!(run.out_of(20).contains(": is missing\n"), "{}", run.out);
    assert!(run.out.contains("structure   1 snapshot, 0 packs, "), "{}", run.out);
}

#[test]
fn the_loss_of_a_newest_record_is_noted_beside_other_snapshots() {
    let rig = Rig::saved();
    rig.write("app/new.txt", "new");
    let newest = rig.backup_at("2026-11-23T03:00:00+01:00");
    let sound = rig.run(&["check"]);
    sound.out_of(0);
    assert_eq!(sound.err, "");
    fs::remove_file(rig.repository().join("snapshots").join(&newest)).unwrap();
    let run = rig.run(&["check"]);
    run.out_of(0);
    assert!(run.err.starts_with("note: ") && run.err.lines().count() == 1, "{}", run.err);
    assert!(run.err.contains(" that no snapshot needs, stored by a backup that ended well ("));
    assert!(run.err.ends_with("): its record may be lost\n"), "{}", run.err);
    let lines = rig.run(&["--json", "check"]).lines_of(0);
    assert_eq!(lines[0]["kind"], "note", "{lines:?}");

    // What is missing by name explains what nobody needs.
    rig.backup_at("2026-11-24T03:00:00+01:00");
    let ids = rig.run(&["snapshots", "-q"]);
    let first = ids.out_of(0).lines().last().unwrap().to_owned();
    fs::remove_file(rig.repository().join("snapshots").join(first)).unwrap();
    let run = rig.run(&["check"]);
    run.out_of(20);
    assert_eq!(run.err, "");
}

#[test]
fn a_lost_index_is_one_statement_and_the_next_backup_mends_it() {
    let rig = Rig::saved();
    for segment in fs::read_dir(rig.repository().join("index")).unwrap() {
        fs::remove_file(segment.unwrap().path()).unwrap();
    }
    let run = rig.run(&["check"]);
    let out = run.out_of(20);
    assert!(out.contains(" blobs that snapshots need are in no segment\n"), "{out}");
    let hit = "            no snapshot is hit: what it listed is found in the packs, only slower; \
               the next backup stores again what it needs of it\n";
    assert!(out.contains(hit) && !out.contains("no snapshot needs it"), "{out}");
    assert_eq!(run.err, "", "packs that are needed were not left by anybody");

    let restored = rig.run(&["restore", "latest", "--target", &rig.arg("back")]);
    assert!(restored.out_of(0).contains("every byte proved"), "{}", restored.out);
    assert_eq!(restored.err.lines().count(), 2, "{}", restored.err);
    assert!(
        restored.err.contains(" blobs are in no index segment; they were found in the packs"),
        "{}",
        restored.err
    );

    rig.run(&["backup", "-q", &rig.arg("app")]);
    assert_eq!(rig.run(&["cat", "latest", "readme.txt"]).err_of_output(0, "hello\n"), "");
}
