use super::rig::Rig;

/// Lines with the ids, which no test knows, cut off.
fn without_ids(text: &str) -> Vec<String> {
    let is_id = |word: &str| word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
    text.lines()
        .map(|line| match line.split_once(' ') {
            Some((word, rest)) if is_id(word) => rest.trim_start().to_owned(),
            _ => line.to_owned(),
        })
        .collect()
}

#[test]
fn identical_nights_are_folded_and_tags_are_not_hidden() {
    let rig = Rig::new();
    // Files as new as these are read again by the next run and so make another manifest; directories do not.
    let source = rig.arg("dirs");
    std::fs::create_dir_all(rig.path("dirs/deep")).unwrap();
    let save = |night: &str| {
        let time = format!("{night}T03:00:00+01:00");
        rig.run(&["backup", "-q", "--time", &time, &source]).out_of(0).trim().to_owned()
    };
    let ids = ["2025-11-19", "2025-11-20", "2025-11-21"].map(save);
    std::fs::create_dir(rig.path("dirs/new")).unwrap();
    save("2025-11-22");
    let run = rig.run(&["snapshots"]);
    let lines = without_ids(run.out_of(0));
    let head = format!("dirs  {source}");
    assert_eq!(lines[0], format!("{head:<58} times in Europe/Zurich"));
    assert_eq!(lines[1], "ID        TAKEN                  FILES  SIZE  ADDED");
    assert!(lines[2].starts_with("Sat 22 Nov 2025 03:00      0   0 B  "), "{}", lines[2]);
    assert!(lines[3].starts_with("Fri 21 Nov 2025 03:00      0   0 B  "), "{}", lines[3]);
    let folded = &lines[4];
    assert!(folded.starts_with("   + 2 identical, back to Wed 19 Nov 2025 03:00, "), "{folded}");
    assert!(folded.ends_with(" added then") && lines.len() == 5, "{lines:?}");
    assert!(lines[3].ends_with("  0 B"), "{}", lines[3]);

    let each = rig.run(&["-v", "snapshots"]);
    assert_eq!(each.out_of(0).lines().count(), 2 + 4);
    rig.run(&["tag", &ids[1], "+good"]).out_of(0);
    let tagged = without_ids(rig.run(&["snapshots"]).out_of(0));
    assert!(
        tagged[4].starts_with("Thu 20 Nov 2025 03:00") && tagged[4].ends_with("  tag:good"),
        "{tagged:?}"
    );
    assert!(tagged[5].starts_with("   + 1 identical, back to Wed 19 Nov 2025 03:00, "));
}

#[test]
fn snapshots_of_earlier_times_are_not_behind_the_one_that_is_shown() {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.path("dirs/deep")).unwrap();
    for time in ["2025-11-20T03:00:00+01:00", "2025-11-19T03:00:00+01:00"] {
        rig.run(&["backup", "-q", "--time", time, &rig.arg("dirs")]).out_of(0);
    }
    let lines = without_ids(rig.run(&["snapshots"]).out_of(0));
    assert!(lines[2].starts_with("Wed 19 Nov 2025 03:00"), "{lines:?}");
    assert!(lines[3].starts_with("   + 1 identical, forward to Thu 20 Nov 2025 03:00, "));
}

#[test]
fn sources_and_tags_can_be_chosen() {
    let rig = Rig::saved();
    rig.run(&["backup", "--source", "b", "--tag", "x", "--tag", "y", &rig.arg("app/attachments")])
        .out_of(0);
    let ids = |arguments: &[&str]| {
        let run = rig.run(&[&["snapshots", "-q"], arguments].concat());
        run.out_of(0).lines().map(str::len).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [64, 64]);
    assert_eq!(ids(&["--source", "b"]), [64]);
    assert_eq!(ids(&["--tag", "x", "--tag", "y"]), [64]);
    assert!(ids(&["--tag", "x", "--tag", "z"]).is_empty());
    let page = rig.run(&["snapshots"]);
    assert_eq!(page.out_of(0).matches("times in Europe/Zurich").count(), 2);
    let none = rig.run(&["snapshots", "--source", "c"]);
    assert_eq!(none.err_of(0), "note: no snapshot fits\n");
}

#[test]
fn times_are_shown_in_the_zone() {
    let rig = Rig::saved();
    let run = rig.run_with(&["snapshots"], |it| it.env("TZ", "Asia/Tokyo"));
    assert!(run.out_of(0).contains("Sun 22 Nov"), "{}", run.out);
    assert!(run.out.contains(" 11:00 ") && run.out.contains("times in Asia/Tokyo"), "{}", run.out);
    let odd = rig.run_with(&["snapshots"], |it| it.env("TZ", "Europe/Zurch"));
    assert!(odd.out_of(0).contains("times in UTC"), "{}", odd.out);
    let saved = rig.run_with(&["backup", "-v", &rig.arg("app")], |it| it.env("TZ", "Europe/Zurch"));
    saved.out_of(0);
    assert!(
        saved.err.contains("times are in UTC; did you mean \"Europe/Zurich\"?"),
        "{}",
        saved.err
    );
}

#[test]
fn one_snapshot_shows_all_that_it_knows() {
    let rig = Rig::new();
    let database = rusqlite::Connection::open(rig.path("app/shop.db")).unwrap();
    database
        .execute_batch(
            "PRAGMA user_version = 7; CREATE TABLE docs(a); INSERT INTO docs VALUES (1), (2); \
             CREATE TABLE alembic_version(version_num TEXT); INSERT INTO alembic_version VALUES ('3f9ab2');",
        )
        .unwrap();
    rig.backup_at("2025-11-22T03:00:00+01:00");
    let listed = rig.run(&["snapshots"]);
    assert!(listed.out_of(0).contains("  committed  3f9ab2"), "{}", listed.out);
    let run = rig.run(&["snapshots", "latest"]);
    let out = run.out_of(0);
    for line in [
        "  taken      Sat 22 Nov 2025 03:00 +01:00, in ",
        "  files      4 files, ",
        "\ndatabase     shop.db  12.3 kB\n  state      one committed state, quick_check ok\n",
        "  pages      3 pages of 4,096 bytes, rollback journal\n",
        "  schema     Alembic revision 3f9ab2, user_version 7, application_id 0, hash ",
        "  rows       3 rows in 2 tables\n             alembic_version  1\n             docs             2\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    database.execute_batch("DELETE FROM docs; CREATE TABLE more(a)").unwrap();
    let next = rig.run(&["backup", &rig.arg("app")]);
    let rows = "\n  rows        -2 docs, new table more with 0 rows\n";
    assert!(next.out_of(0).contains(rows), "{}", next.out);
    let long = rig.run(&["ls", "-l", "latest"]);
    assert!(long.out_of(0).contains("shop.db  (committed, 3f9ab2)\n"), "{}", long.out);
    let entry = &rig.json(&["ls", "latest", "shop.db"])["entries"][0];
    assert_eq!(entry["database"]["knowledge"]["user_version"], 7);
}
