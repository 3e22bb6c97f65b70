use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::rig::Rig;

#[test]
fn a_directory_is_listed_by_paths_that_cat_takes() {
    let rig = Rig::saved();
    assert_eq!(rig.run(&["ls"]).out_of(0), "attachments/\nreadme.txt\n");
    let below = "attachments/a.pdf\nattachments/b.pdf\n";
    for path in ["attachments", "./attachments/", &rig.arg("app/attachments")] {
        assert_eq!(rig.run(&["ls", "latest", path]).out_of(0), below);
    }
    assert_eq!(rig.run(&["ls", "2026-11-22", "readme.txt"]).out_of(0), "readme.txt\n");
    let all = format!("./\nattachments/\n{below}readme.txt\n");
    assert_eq!(rig.run(&["ls", "-R"]).out_of(0), all);
}

#[test]
fn a_long_listing_has_mode_size_and_target() {
    let rig = Rig::new();
    symlink("readme.txt", rig.path("app/link")).unwrap();
    fs::set_permissions(rig.path("app/readme.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    rig.backup_at("2026-11-22 03:00");
    let run = rig.run(&["ls", "-l"]);
    let lines: Vec<_> = run.out_of(0).lines().collect();
    assert!(lines[0].starts_with("drwx") && lines[0].ends_with("  attachments/"), "{}", lines[0]);
    assert!(
        lines[1].starts_with("lrwx") && lines[1].ends_with("  link -> readme.txt"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("-rw-r-----  ") && lines[2].contains("       6 B  "),
        "{}",
        lines[2]
    );
}

#[test]
fn names_are_bytes_in_a_pipe_and_in_json() {
    let rig = Rig::new();
    let odd = OsStr::from_bytes(b"odd\n\xff");
    fs::write(rig.path("app").join(odd), "x").unwrap();
    rig.backup_at("2026-11-22 03:00");
    let output = rig.command(&["ls"]).output().unwrap();
    assert_eq!(output.stdout, b"attachments/\nodd\n\xff\nreadme.txt\n");
    let json = rig.json(&["ls"]);
    assert_eq!(json["entries"][1]["path"], "odd\n\u{fffd}");
    assert_eq!(json["entries"][1]["path_b64"], "b2RkCv8=");
    assert_eq!(json["entries"][2].get("path_b64"), None);
    assert_eq!(json["complete"], true);
    let arguments = [OsStr::new("cat"), OsStr::new("latest"), odd];
    assert_eq!(rig.run(&arguments).out_of(0), "x");
}

#[test]
fn what_is_not_there_has_a_hint() {
    let rig = Rig::saved();
    let run = rig.run(&["ls", "latest", "nope"]);
    assert!(run.err_of(1).starts_with("error: \"nope\" is not in snapshot "), "{}", run.err);
    assert!(run.err.contains("\nhint: larder ls "), "{}", run.err);
    let run = rig.run(&["ls", "2026-11-21"]);
    assert!(run.err_of(1).contains("no snapshot fits 2026-11-21; the oldest is "), "{}", run.err);
    assert!(run.err.ends_with("hint: larder snapshots\n"), "{}", run.err);
    let run = rig.run(&["ls", "yesterday"]);
    assert!(run.err_of(2).contains("\"yesterday\" names no snapshot"), "{}", run.err);
}

#[test]
fn latest_of_several_sources_needs_a_name() {
    let rig = Rig::saved();
    rig.run(&["backup", "-q", &rig.arg("app/attachments")]).out_of(0);
    let run = rig.run(&["ls"]);
    assert_eq!(
        run.err_of(2),
        "error: latest could be of several sources (app, attachments); say which one\nhint: add --source app\n"
    );
    assert_eq!(rig.run(&["ls", "--source", "attachments"]).out_of(0), "a.pdf\nb.pdf\n");
}
