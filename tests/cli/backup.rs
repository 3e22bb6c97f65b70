use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::rig::Rig;
use crate::nobody;

#[test]
fn the_first_backup_makes_the_default_repository_and_says_so() {
    let rig = Rig::new();
    let run = rig.run(&["backup", "--time", "2026-11-22 03:00", &rig.arg("app")]);
    let place = rig.repository();
    assert_eq!(run.err, format!("note: made a repository in {}\n", place.display()));
    let lines: Vec<_> = run.out_of(0).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("  files       3                26 B   3 new  "), "{}", lines[0]);
    assert!(
        lines[1].starts_with("  stored      ") && lines[1].ends_with(" for 26 B"),
        "{}",
        lines[1]
    );
    assert!(lines[2].starts_with("snapshot "), "{}", lines[2]);
    assert!(lines[2].contains(" saved    app    Sun 22 Nov 2026 03:00 +01:00    "), "{}", lines[2]);
}

#[test]
fn quiet_prints_the_id_alone() {
    let rig = Rig::new();
    let run = rig.run(&["backup", "-q", &rig.arg("app")]);
    let id = run.out_of(0).trim();
    assert_eq!((run.err.as_str(), id.len()), ("", 64));
    let listed = rig.json(&["snapshots"]);
    assert_eq!(listed["snapshots"][0]["id"], id);
}

#[test]
fn what_changed_is_said() {
    let rig = Rig::saved();
    let second = rig.run(&["backup", &rig.arg("app")]);
    assert!(second.out_of(0).contains("  unchanged  "), "{}", second.out);
    rig.write("app/attachments/c.pdf", "%PDF-1.4 c");
    rig.write("app/readme.txt", "changed\n");
    fs::remove_file(rig.path("app/attachments/a.pdf")).unwrap();
    let third = rig.run(&["backup", &rig.arg("app")]);
    assert!(third.out_of(0).contains("  1 new, 1 changed, 1 removed  "), "{}", third.out);
}

#[test]
fn a_dry_run_stores_nothing() {
    let rig = Rig::new();
    let run = rig.run(&["backup", "--dry-run", &rig.arg("app")]);
    assert!(run.out_of(0).contains("dry run: nothing was stored    app    "), "{}", run.out);
    assert_eq!(run.err, "note: there is no repository yet; the first backup makes one\n");
    assert!(!rig.path("home/.local").exists());

    rig.backup_at("2026-11-22 03:00");
    rig.write("app/new.txt", "new");
    let run = rig.run(&["--json", "backup", "-n", &rig.arg("app")]);
    let summary = &run.lines_of(0)[0];
    assert_eq!(summary["dry_run"], true);
    assert_eq!(summary["snapshot"]["id"], serde_json::Value::Null);
    assert_eq!(summary["snapshot"]["new_files"], 1);
    assert_eq!(rig.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn patterns_and_caches_are_left_out() {
    let rig = Rig::new();
    fs::create_dir(rig.path("app/cache")).unwrap();
    rig.write("app/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    rig.write("app/cache/x", "x");
    rig.write("app/a.tmp", "x");
    rig.write("patterns", "# ours\n/attachments/a.pdf\n");
    let run = rig.run(&[
        "backup",
        "--exclude",
        "*.tmp",
        "--exclude-from",
        &rig.arg("patterns"),
        "--exclude-caches",
        &rig.arg("app"),
    ]);
    run.out_of(0);
    assert!(
        run.err.contains("note: cache: marked as a cache; its contents are left out\n"),
        "{}",
        run.err
    );
    let listed = rig.run(&["ls", "-R"]);
    assert_eq!(
        listed.out_of(0),
        "./\nattachments/\nattachments/b.pdf\ncache/\ncache/CACHEDIR.TAG\nreadme.txt\n"
    );
}

#[test]
fn the_repository_inside_the_source_is_skipped_and_said() {
    let rig = Rig::new();
    let repo = rig.arg("app/repo");
    rig.run(&["--repo", &repo, "init"]).out_of(0);
    let run = rig.run(&["--repo", &repo, "backup", &rig.arg("app")]);
    run.out_of(0);
    let note = "note: repo: the repository itself, or larder's own directory; not entered\n";
    assert_eq!(run.err, note);
    assert!(!rig.run(&["--repo", &repo, "ls"]).out_of(0).contains("repo"));
}

#[test]
fn a_spool_inside_the_source_is_kept_out_of_the_snapshot() {
    let rig = Rig::new();
    fs::create_dir(rig.path("app/tmp")).unwrap();
    rig.write("app/tmp/kept", "kept");
    rig.run(&["backup", "--spool", &rig.arg("app/tmp"), &rig.arg("app")]).out_of(0);
    assert_eq!(rig.run(&["ls", "latest", "tmp"]).out_of(0), "tmp/kept\n");
    assert_eq!(fs::read_dir(rig.path("app/tmp")).unwrap().count(), 1, "the spool leaves nothing");
}

#[test]
fn databases_are_captured_and_a_corrupt_one_is_said() {
    let rig = Rig::new();
    let database = Connection::open(rig.path("app/good.db")).unwrap();
    database.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2);").unwrap();
    drop(database);
    let mut bytes = fs::read(rig.path("app/good.db")).unwrap();
    bytes[4096..4196].fill(0xff);
    rig.write("app/bad.db", bytes);
    let run = rig.run(&["backup", &rig.arg("app")]);
    let out = run.out_of(3);
    assert!(out.contains("  databases   bad.db "), "{out}");
    assert!(out.contains("good.db        8.2 kB   one committed state, quick_check ok"), "{out}");
    assert!(out.contains(" saved, not clean    app    "), "{out}");
    assert!(
        run.err.contains("warning: bad.db: the database itself is corrupt; saved as it is"),
        "{}",
        run.err
    );
    let listed = rig.run(&["snapshots"]);
    assert!(listed.out_of(0).contains("1 of 2 committed  1 finding"), "{}", listed.out);
}

#[test]
fn an_unreadable_file_is_named() {
    if nobody::rerun("cli::backup::an_unreadable_file_is_named") {
        return;
    }
    let rig = Rig::new();
    let secret = rig.path("app/secret");
    rig.write("app/secret", "x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let run = rig.run(&["backup", &rig.arg("app")]);
    run.out_of(3);
    assert!(run.err.contains("warning: secret: cannot be read: Permission denied"), "{}", run.err);
    assert!(rig.run(&["snapshots"]).out_of(0).contains("  1 file unreadable\n"));
    let lines = rig.run(&["--json", "backup", &rig.arg("app")]).lines_of(3);
    assert_eq!((&lines[0]["kind"], &lines[0]["path"]), (&"finding".into(), &"secret".into()));
    assert_eq!(lines.last().unwrap()["exit_code"], 3);
}

#[test]
fn every_source_of_the_configuration_is_saved_and_the_worst_outcome_counts() {
    let rig = Rig::new();
    fs::create_dir(rig.path("notes")).unwrap();
    rig.write(
        "work/larder.toml",
        "[[source]]\nname = 'shop'\npaths = ['../app']\nexclude = ['*.pdf']\n\
         [[source]]\nname = 'gone'\npaths = ['../gone']\n[[source]]\npaths = ['../notes']\n",
    );
    let run = rig.run(&["backup", "-q"]);
    assert_eq!(run.out_of(1).lines().count(), 2, "two sources are saved");
    let gone = rig.path("gone");
    assert!(
        run.err.contains(&format!("error: source {}: No such file", gone.display())),
        "{}",
        run.err
    );
    let listed = rig.json(&["snapshots"]);
    let sources: Vec<_> =
        listed["snapshots"].as_array().unwrap().iter().map(|it| it["source"].clone()).collect();
    assert_eq!(sources, ["notes", "shop"]);
    let names = rig.run(&["ls", "latest", "--source", "shop", "-R"]);
    assert!(!names.out_of(0).contains(".pdf"), "{}", names.out);

    let one = rig.run(&["backup", "-q", "--source", "shop"]);
    assert_eq!(one.out_of(0).lines().count(), 1);
    let other = rig.run(&["backup", "--source", "shp"]);
    assert!(other.err_of(2).contains("no [[source]] is named \"shp\"; did you mean \"shop\"?"));
}

#[test]
fn several_paths_are_one_source() {
    let rig = Rig::new();
    fs::create_dir(rig.path("more")).unwrap();
    rig.write("more/readme.txt", "more\n");
    let (app, more) = (rig.arg("app"), rig.arg("more"));
    rig.run(&["backup", &app, &more, &app, "--tag", "t", "--source", "both"]).out_of(0);
    let listed = rig.json(&["snapshots", "--tag", "t"]);
    assert_eq!(listed["snapshots"][0]["roots"].as_array().unwrap().len(), 2);
    let both = rig.run(&["cat", "latest", "readme.txt"]);
    let expected = format!(
        "error: readme.txt is in several roots, say which: {app}/readme.txt, {more}/readme.txt\n"
    );
    assert_eq!(both.err_of(2), expected);
    let one = rig.run(&["cat", "latest", &format!("{more}/readme.txt")]);
    assert_eq!(one.out_of(0), "more\n");
}

#[test]
fn what_a_restore_moved_aside_is_not_saved_again() {
    let rig = Rig::saved();
    let target = rig.arg("app");
    rig.run(&["restore", "latest", "readme.txt", "--target", &target, "--overwrite"]).out_of(0);
    let run = rig.run(&["backup", &target]);
    run.out_of(0);
    assert!(run.err.starts_with("note: .larder-replaced-"), "{}", run.err);
    assert!(run.err.ends_with(": moved aside or left by a restore; not saved\n"), "{}", run.err);
    assert_eq!(rig.run(&["ls"]).out_of(0), "attachments/\nreadme.txt\n");
}

#[test]
fn holes_are_not_called_stored_before() {
    let rig = Rig::new();
    fs::File::create(rig.path("app/hollow")).unwrap().set_len(50_000_000).unwrap();
    let dry = rig.run(&["backup", "-n", &rig.arg("app")]);
    assert!(dry.out_of(0).contains("\n  to store    "), "{}", dry.out);
    let first = rig.run(&["backup", &rig.arg("app")]);
    assert!(first.out_of(0).contains(" for 50.0 MB\n"), "{}", first.out);
    assert!(!dry.out.contains("already") && !first.out.contains("already"), "{}", first.out);
}

#[test]
fn databases_of_several_roots_are_told_apart() {
    let rig = Rig::new();
    fs::create_dir(rig.path("more")).unwrap();
    for name in ["app/a.db", "more/a.db"] {
        Connection::open(rig.path(name)).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
    }
    let run = rig.run(&["backup", "--source", "both", &rig.arg("app"), &rig.arg("more")]);
    for name in ["app/a.db", "more/a.db"] {
        assert!(run.out_of(0).contains(&format!(" {} ", rig.arg(name))), "{}", run.out);
    }
}
