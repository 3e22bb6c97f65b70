use std::fs;

use super::rig::{Rig, Run, damage};

#[test]
fn bare_larder_shows_the_verbs_in_groups() {
    let rig = Rig::new();
    let none: [&str; 0] = [];
    let run = rig.run(&none);
    assert_eq!(run.err, "");
    assert!(run.out_of(0).contains("  Save  init       make a repository"), "{}", run.out);
    assert!(run.out.contains("To begin: larder backup DIR\n"), "{}", run.out);
    let hidden = ["capture-helper", "sample-writer", "mount"];
    assert!(!hidden.iter().any(|verb| run.out.contains(verb)), "{}", run.out);
    let help = rig.run(&["--help"]);
    assert!(
        help.out_of(0).contains("--repo <PATH>") && help.out.contains("  Get   restore"),
        "{}",
        help.out
    );
    assert_eq!(
        rig.run(&["--version"]).out_of(0),
        format!("larder {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn every_command_explains_itself() {
    let rig = Rig::new();
    for verb in [
        "init",
        "backup",
        "snapshots",
        "ls",
        "cat",
        "restore",
        "diff",
        "check",
        "tag",
        "forget",
        "pin",
        "config",
        "demo",
    ] {
        let run = rig.run(&[verb, "--help"]);
        assert!(run.out_of(0).contains(&format!("Usage: larder {verb}")), "{verb}: {}", run.out);
    }
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let rig = Rig::new();
    let colored = |change: fn(&mut std::process::Command) -> &mut std::process::Command| {
        rig.run_with(&["snapshots"], change).err_of(10).contains("\x1b[")
    };
    assert!(!colored(|it| it));
    assert!(colored(|it| it.env("CLICOLOR_FORCE", "1")));
    assert!(!colored(|it| it.env("CLICOLOR_FORCE", "0")));
    assert!(!colored(|it| it.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
    assert!(colored(|it| it.env("NO_COLOR", "1").args(["--color", "always"])));
    assert!(!colored(|it| it.env("CLICOLOR_FORCE", "1").args(["--color", "never"])));
}

#[test]
fn no_name_reaches_standard_error_with_its_control_characters() {
    let rig = Rig::new();
    let run = rig.run(&["backup", "evil\u{1b}]0;title\u{7}\u{202e}"]);
    assert!(run.err_of(1).contains("evil\\x1b]0;title\\x07\\u{202e}: No such file"), "{}", run.err);
}

#[test]
fn without_a_home_a_repository_must_be_named() {
    let rig = Rig::new();
    let run = rig.run_with(&["snapshots"], |it| it.env_remove("HOME"));
    assert!(
        run.err_of(2).contains("without HOME there is no place for one\nhint: "),
        "{}",
        run.err
    );
}

#[test]
fn json_errors_are_the_last_line_of_standard_output() {
    let rig = Rig::new();
    for (arguments, kind, code) in [
        (&["--json", "snapshots"][..], "no_repository", 10),
        (&["--json", "snapshot"], "usage", 2),
        (&["--json", "backup", "nowhere"], "failed", 1),
        (&["--json", "--config", "none.toml", "snapshots"], "usage", 2),
    ] {
        let run = rig.run(arguments);
        let error = run.lines_of(code).pop().unwrap();
        assert_eq!(run.err, "", "{arguments:?}");
        assert_eq!((&error["schema"], &error["message_type"]), (&1.into(), &"error".into()));
        assert_eq!((&error["kind"], &error["exit_code"]), (&kind.into(), &code.into()));
        assert!(error["message"].is_string() && error.get("hint").is_some());
    }
}

/// A run whose standard output nobody reads any more.
fn run_unread(rig: &Rig, arguments: &[&str]) -> Run {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    rig.run_with(arguments, |it| it.stdout(writer))
}

#[test]
fn a_reader_that_went_away_changes_no_outcome() {
    let rig = Rig::new();
    let mut corrupt = b"SQLite format 3\0".to_vec();
    corrupt.resize(4096, 0x5a);
    rig.write("app/broken.db", corrupt);
    let app = rig.arg("app");
    for flags in [&[][..], &["-q"], &["--json"]] {
        let run = run_unread(&rig, &[flags, &["backup", &app]].concat());
        run.err_of(3);
        assert!(!run.err.contains("output") && !run.err.contains("ipe"), "{}", run.err);
    }
    fs::remove_file(rig.path("app/broken.db")).unwrap();
    run_unread(&rig, &["backup", &app]).err_of(0);
    run_unread(&rig, &["check", "--read-data"]).err_of(0);

    let packs = fs::read_dir(rig.repository().join("packs")).unwrap();
    for pack in packs.map(|it| it.unwrap().path()) {
        let bytes = fs::read(&pack).unwrap();
        if let Some(at) = bytes.windows(10).position(|it| it == b"%PDF-1.4 a") {
            damage(&pack, at + 9);
        }
    }
    let out = ["text", "json"].map(|name| rig.arg(name));
    for (json, out) in [(&[][..], &out[0]), (&["--json"], &out[1])] {
        run_unread(&rig, &[json, &["check", "--read-data"]].concat()).err_of(20);
        run_unread(&rig, &[json, &["restore", "latest", "--target", out]].concat()).err_of(20);
    }
}

#[test]
fn a_path_cannot_pass_for_a_message_of_its_own() {
    let rig = Rig::saved();
    let forged = "x\nsnapshot 00000000 saved";
    for arguments in [
        &["backup", forged][..],
        &["cat", "latest", forged],
        &["restore", "latest", "readme.txt", "--target", forged],
        &["restore", "latest", "readme.txt", "--target", forged],
        &["--repo", forged, "init"],
        &["--repo", forged, "snapshots"],
        &["--repo", "a\nb/c", "init"],
        &["backup", "--spool", "no\nsnapshot 0 saved", &rig.arg("app")],
        &["backup", "--exclude-from", forged, &rig.arg("app")],
        &["--config", forged, "snapshots"],
    ] {
        let run = rig.run(arguments);
        let all = [run.out, run.err].concat();
        assert!(all.contains("\\n"), "{arguments:?}: {all}");
        assert!(!all.lines().any(|line| line.starts_with("snapshot ")), "{arguments:?}: {all}");
    }
}
