use std::fs;

use rusqlite::Connection;

use super::rig::Rig;

/// A row names a file that is not there.
fn dangling() -> Rig {
    let rig = Rig::new();
    let database = Connection::open(rig.path("app/shop.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE docs(path TEXT); \
             INSERT INTO docs VALUES ('a.pdf'), ('gone.pdf')",
        )
        .unwrap();
    rig.write(
        "work/larder.toml",
        "[[reference]]\nname = 'docs'\ndatabase = 'shop.db'\nbase = 'attachments'\n\
         sql = 'SELECT path FROM docs'\n",
    );
    rig
}

#[test]
fn a_missing_file_is_said_until_it_is_accepted() {
    let rig = dangling();
    let first = rig.run(&["backup", &rig.arg("app")]);
    let said = "  references  1 of 2 files named by rows are in the snapshot\n";
    assert!(first.out_of(3).contains(said), "{}", first.out);
    assert!(
        first.out.contains("\n              1 file below attachments that no row names"),
        "{}",
        first.out
    );
    assert!(
        first.err.contains("warning: attachments/gone.pdf: named by a row of shop.db (docs)"),
        "{}",
        first.err
    );
    assert!(!first.err.contains("hint:"), "somebody is to look first: {}", first.err);

    let second = rig.run(&["backup", &rig.arg("app")]);
    second.out_of(3);
    let hint = second.err.lines().last().unwrap();
    assert!(
        hint.starts_with("hint: larder accept ")
            && hint.ends_with("# if 1 finding from before, and it is known"),
        "{hint}"
    );
    let listed = rig.run(&["snapshots"]);
    assert!(
        listed.out_of(0).contains("1 of 2") && listed.out.contains("1 named file missing"),
        "{}",
        listed.out
    );

    let accepted = rig.run(&["accept", "latest"]);
    let lines: Vec<_> = accepted.out_of(0).lines().collect();
    assert!(
        lines[0].starts_with("snapshot ") && lines[0].ends_with("): 1 missing file"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("  attachments/gone.pdf: named by a row"), "{lines:?}");
    assert_eq!(lines[2..], ["accepted: 1 finding"]);
    let again = rig.run(&["accept", "latest"]);
    assert!(again.out_of(0).ends_with("\nall of it was accepted before\n"), "{}", again.out);

    let third = rig.run(&["backup", &rig.arg("app")]);
    assert!(
        third
            .out_of(0)
            .contains("\n  known       1 accepted finding comes again and does not count\n"),
        "{}",
        third.out
    );
    assert!(third.out.contains("1 missing and accepted") && third.err.is_empty(), "{}", third.err);
    let document = rig.json(&["snapshots", "latest"]);
    let snapshot = &document["snapshots"][0];
    assert_eq!((&snapshot["outcome"], &snapshot["findings_total"]), (&"clean".into(), &1.into()));
    assert_eq!(snapshot["findings"][0]["accepted"], true);
    assert_eq!(snapshot["databases"][0]["references"][0]["accepted"], 1);
}

#[test]
fn another_finding_counts_all_the_same() {
    let rig = dangling();
    rig.run(&["backup", "-q", &rig.arg("app")]).out_of(3);
    let document = rig.json(&["accept", "latest"]);
    assert_eq!((&document["accepted_total"], &document["already_total"]), (&1.into(), &0.into()));
    assert_eq!(document["findings"][0]["kind"], "dangling");
    fs::remove_file(rig.path("app/attachments/a.pdf")).unwrap();
    let run = rig.run(&["backup", &rig.arg("app")]);
    run.out_of(3);
    assert!(
        run.err.contains("warning: attachments/a.pdf: ") && !run.err.contains("gone.pdf"),
        "{}",
        run.err
    );
}

#[test]
fn a_clean_snapshot_has_nothing_to_accept() {
    let rig = Rig::saved();
    let run = rig.run(&["accept", "latest"]);
    assert!(run.out_of(0).ends_with(" is clean: there is nothing to accept\n"), "{}", run.out);
}

#[test]
fn a_query_that_fails_cannot_be_accepted() {
    let rig = dangling();
    let second = "[[reference]]\nname = 'bad'\ndatabase = 'shop.db'\nbase = 'attachments'\n\
                  sql = 'SELECT nothing FROM docs'\n";
    let toml = fs::read_to_string(rig.path("work/larder.toml")).unwrap();
    rig.write("work/larder.toml", format!("{toml}\n{second}"));
    rig.run(&["backup", "-q", &rig.arg("app")]).out_of(3);
    let both = rig.run(&["accept", "latest"]);
    assert!(
        both.out_of(0).contains("\naccepted: 1 finding\nnot accepted: 1 failed query"),
        "{}",
        both.out
    );
    assert!(both.out.contains("\n  shop.db: reference bad: near \"nothing\""), "{}", both.out);
    rig.run(&["backup", "-q", &rig.arg("app")]).out_of(3);

    rig.write("work/larder.toml", second);
    rig.run(&["backup", "-q", &rig.arg("app")]).out_of(3);
    let none = rig.run(&["accept", "latest"]);
    none.out_of(1);
    assert!(none.err.contains("1 failed query for files: what was not looked up"), "{}", none.err);
}

/// Garbage is no database, and is saved as any file. That it was one yesterday must not go unsaid.
#[test]
fn a_database_that_is_none_any_more_is_said_until_it_is_accepted_or_back() {
    let rig = Rig::new();
    let path = rig.path("app/shop.db");
    let database = Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1);").unwrap();
    drop(database);
    let whole = fs::read(&path).unwrap();
    let backup = || rig.run(&["backup", &rig.arg("app")]);
    backup().out_of(0);
    let lost = "warning: shop.db: no database any more; it was one in a snapshot before";
    fs::write(&path, vec![7; 9000]).unwrap();
    for night in [backup(), backup()] {
        night.out_of(3);
        assert!(night.err.contains(lost), "{}", night.err);
    }
    fs::write(&path, &whole).unwrap();
    backup().out_of(0);
    fs::remove_file(&path).unwrap();
    let gone = backup();
    gone.out_of(3);
    assert!(gone.err.contains(lost), "{}", gone.err);
    rig.run(&["accept", "latest"]).out_of(0);
    let settled = backup();
    settled.out_of(0);
    assert!(!settled.err.contains(lost), "{}", settled.err);
}
