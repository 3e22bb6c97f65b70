//! Bad input gets a clear error and loses nothing: what is said, the hint, the exit code.

use std::fs;

use super::rig::{Rig, damage, only_file, rewrite};

#[test]
fn a_source_that_is_missing_or_no_directory_makes_no_repository() {
    let rig = Rig::new();
    let missing = rig.run(&["backup", &rig.arg("nowhere")]);
    let said = format!(
        "error: source {}: No such file or directory\nhint: check the path; if it is a volume, is it mounted?\n",
        rig.arg("nowhere")
    );
    assert_eq!(missing.err_of(1), said);
    let file = rig.run(&["backup", &rig.arg("app/readme.txt")]);
    assert!(
        file.err_of(1).starts_with("error: source ")
            && file.err.contains("readme.txt is not a directory")
    );
    assert!(!rig.path("home/.local").exists());

    // The same beside a repository that is there.
    rig.backup_at("2026-11-22 03:00");
    assert_eq!(rig.run(&["backup", &rig.arg("nowhere")]).err_of(1), said);
    let file = rig.run(&["backup", &rig.arg("app/readme.txt")]);
    assert!(file.err_of(1).contains("readme.txt is not a directory"));
}

#[test]
fn nothing_to_save_is_a_usage_error() {
    let rig = Rig::new();
    let run = rig.run(&["backup"]);
    assert_eq!(
        run.err_of(2),
        "error: nothing to save: no PATH is given, and no configuration has a [[source]]\nhint: larder backup DIR\n"
    );
}

#[test]
fn the_repository_itself_is_no_source() {
    let rig = Rig::saved();
    let place = rig.repository();
    let run = rig.run(&["backup", place.to_str().unwrap()]);
    assert!(run.err_of(1).contains("is the repository itself"), "{}", run.err);
}

#[test]
fn a_named_repository_that_is_not_there_is_never_made() {
    let rig = Rig::new();
    let (repo, app) = (rig.arg("volume/repo"), rig.arg("app"));
    let said = format!("error: no repository at {repo}\nhint: larder --repo {repo} init\n");
    for command in
        [&["backup", &app][..], &["snapshots"], &["ls"], &["check"], &["cat", "latest", "x"]]
    {
        let run = rig.run(&[&["--repo", &repo], command].concat());
        assert_eq!(run.err_of(10), said);
    }
    assert!(!rig.path("volume").exists());
    let unnamed = rig.run(&["snapshots"]);
    assert!(unnamed.err_of(10).ends_with("hint: larder backup DIR   # makes one there\n"));
}

#[test]
fn a_repository_of_a_newer_format_is_left_alone() {
    let rig = Rig::saved();
    for name in ["config", "config.copy"] {
        rewrite(&rig.repository().join(name), |config| {
            let end = config.len() - 16;
            // Kind, then format version, two bytes each; at the end the checksum.
            config[3] = 9;
            let mut hasher = blake3::Hasher::new_derive_key("larder 2026-11 config file check");
            let check = hasher.update(&config[..end]).finalize();
            config[end..].copy_from_slice(&check.as_bytes()[..16]);
        });
    }
    let run = rig.run(&["snapshots"]);
    assert!(
        run.err_of(23).starts_with("error: this larder cannot use the repository: "),
        "{}",
        run.err
    );
    assert!(run.err.contains("hint: use a larder that knows this format"), "{}", run.err);
}

#[test]
fn a_name_used_for_other_roots_is_refused_until_it_is_said() {
    let rig = Rig::saved();
    fs::create_dir_all(rig.path("other/app")).unwrap();
    let (app, other) = (rig.arg("app"), rig.arg("other/app"));
    let run = rig.run(&["backup", &other]);
    assert_eq!(
        run.err_of(2),
        format!(
            "error: source \"app\" is used for {app}, not for {other}\n\
             hint: add --moved if app has moved, or --source NAME if it is another one\n"
        )
    );
    rig.run(&["backup", "--moved", &other]).out_of(0);
    rig.run(&["backup", "--source", "second", &app]).out_of(0);
}

#[test]
fn no_room_is_said_before_anything_is_written() {
    let rig = Rig::saved();
    rig.write("app/new.txt", "new");
    let run = rig.run(&["backup", "--min-free", "900000TB", &rig.arg("app")]);
    assert!(run.err_of(22).contains("to stay free"), "{}", run.err);
    assert!(
        run.err.contains(
            "hint: make room, then run the same command again; what was stored is reused\n"
        )
    );
    assert_eq!(rig.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 1);
    rig.run(&["check", "--read-data"]).out_of(0);
}

#[test]
fn a_source_that_another_run_saves_is_locked() {
    let rig = Rig::saved();
    let locks = rig.repository().join("locks");
    let lock = fs::read_dir(&locks)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("source-"))
        .unwrap();
    let held = fs::File::open(lock).unwrap();
    fs2::FileExt::lock_exclusive(&held).unwrap();
    let run = rig.run(&["backup", &rig.arg("app")]);
    assert!(run.err_of(11).starts_with("error: source \"app\" is in use"), "{}", run.err);
    assert!(run.err.contains("hint: add --lock-wait 10m"), "{}", run.err);
    drop(held);
    rig.run(&["backup", &rig.arg("app")]).out_of(0);
}

#[test]
fn the_spool_must_be_a_directory_outside_the_repository() {
    let rig = Rig::saved();
    let inside = rig.repository().join("tmp");
    let run = rig.run(&["backup", "--spool", inside.to_str().unwrap(), &rig.arg("app")]);
    assert!(
        run.err_of(2).contains("is inside the repository\nhint: add --spool DIR\n"),
        "{}",
        run.err
    );
    let run = rig.run(&["backup", "--spool", &rig.arg("nowhere"), &rig.arg("app")]);
    assert!(run.err_of(1).contains("nowhere: No such file or directory\n"), "{}", run.err);
}

#[test]
fn paths_inside_of_each_other_are_one_source_at_most() {
    let rig = Rig::new();
    let run = rig.run(&["backup", &rig.arg("app"), &rig.arg("app/attachments")]);
    let said =
        format!("error: {} is saved with {} already\n", rig.arg("app/attachments"), rig.arg("app"));
    assert!(run.err_of(2).starts_with(&said), "{}", run.err);

    std::os::unix::fs::symlink("app", rig.path("link")).unwrap();
    std::os::unix::fs::symlink("app/attachments", rig.path("inner")).unwrap();
    for pair in [["app", "link"], ["inner", "app"], ["link", "inner"]] {
        let run = rig.run(&["backup", &rig.arg(pair[0]), &rig.arg(pair[1])]);
        assert!(run.err_of(2).contains(" already\nhint: leave it out"), "{pair:?} {}", run.err);
    }
    let config = format!(
        "[[source]]\nname = 'twice'\npaths = [{:?}, {:?}]\n\n[[source]]\nname = 'once'\npaths = [{:?}]\n",
        rig.arg("app"),
        rig.arg("inner"),
        rig.arg("app")
    );
    rig.write("larder.toml", config);
    let run = rig.run(&["--config", &rig.arg("larder.toml"), "backup", "-q"]);
    assert_eq!(run.out_of(2).lines().count(), 1, "the other source is saved: {}", run.out);
    assert!(run.err.contains("inner is saved with "), "{}", run.err);
}

#[test]
fn values_that_make_no_sense_are_usage_errors() {
    let rig = Rig::saved();
    let app = rig.arg("app");
    for (arguments, said) in [
        (
            &["backup", "--time", "yesterday", &app][..],
            "\"yesterday\" is not a time: write a time like",
        ),
        (&["backup", "--min-free", "lots", &app], "write a size like 500MB"),
        (&["backup", "--db-wait", "60", &app], "write a duration like 60s"),
        (&["backup", "--exclude", "[", &app], "exclude pattern \"[\""),
        (&["backup", "--source", "a/b", &app], "with a slash"),
        (&["--repo", "s3://bucket", "snapshots"], "URLs are not supported by this version"),
        (&["snapshots", "--bogus"], "unexpected argument '--bogus'"),
        (&["snapshot"], "'snapshots'"),
        (&["cat", "latest"], "<PATH>"),
        (&["-q", "-v", "snapshots"], "cannot be used with"),
    ] {
        let run = rig.run(arguments);
        assert!(run.err_of(2).contains(said), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn a_damaged_repository_is_said_wherever_it_is_read() {
    let rig = Rig::saved();
    let snapshot = only_file(&rig.repository().join("snapshots"));
    rig.write("app/new.txt", "new");
    rig.backup_at("2026-11-23T03:00:00+01:00");
    damage(&snapshot, 40);
    let listed = rig.run(&["snapshots"]);
    assert!(listed.out_of(20).contains("Mon 23 Nov"), "{}", listed.out);
    assert!(listed.err.starts_with("damage: snapshots/"), "{}", listed.err);
    assert!(listed.err.ends_with("hint: larder check\n"), "{}", listed.err);
    let cat = rig.run(&["cat", "latest", "new.txt"]);
    assert_eq!(cat.out_of(3), "new");
    assert!(cat.err.contains("damage: snapshots/"), "{}", cat.err);
    assert!(cat.err.contains(" might be another one if nothing were damaged\n"), "{}", cat.err);
    let id = &cat.err[cat.err.find("latest is ").unwrap() + 10..][..8];
    let by_id = rig.run(&["cat", id, "new.txt"]);
    assert_eq!(by_id.out_of(0), "new");
    assert!(by_id.err.contains("damage: snapshots/"), "{}", by_id.err);
    fs::remove_file(&snapshot).unwrap();
    let listed = rig.run(&["snapshots"]);
    listed.out_of(20);
    assert!(
        listed.err.contains(" of app is missing: its record is gone and nobody forgot it\n"),
        "{}",
        listed.err
    );
}
