use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::rig::Rig;

#[test]
fn the_default_place_is_below_the_data_home() {
    let rig = Rig::new();
    let run = rig.run(&["init"]);
    let place = rig.repository();
    let said = run.out_of(0);
    assert!(
        said.starts_with("repository ")
            && said.ends_with(&format!(" made in {}\n", place.display())),
        "{said}"
    );
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);

    let elsewhere = rig.path("data");
    let run = rig.run_with(&["init", "-q"], |it| it.env("XDG_DATA_HOME", &elsewhere));
    assert_eq!(run.out_of(0).trim().len(), 64);
    assert!(elsewhere.join("larder/repo/config").is_file());
}

#[test]
fn json_names_the_repository() {
    let rig = Rig::new();
    let document = rig.json(&["--repo", &rig.arg("repo"), "init"]);
    assert_eq!(document["schema"], 1);
    let repository = &document["repository"];
    assert_eq!(repository["path"], rig.arg("repo"));
    assert_eq!(repository["id"].as_str().unwrap().len(), 64);
    assert_eq!(repository["zone"], "Europe/Zurich");
}

#[test]
fn what_is_in_the_way_is_left_alone() {
    let rig = Rig::new();
    let repo = rig.arg("repo");
    rig.run(&["--repo", &repo, "init"]).out_of(0);
    let again = rig.run(&["--repo", &repo, "init"]);
    assert_eq!(again.err_of(1), format!("error: {repo} is a repository already\n"));

    let app = rig.arg("app");
    let full = rig.run(&["--repo", &app, "init"]);
    assert!(full.err_of(1).contains("is not empty"), "{}", full.err);
    assert!(!rig.path("app/config").exists());
}

#[test]
fn a_mistyped_path_does_not_become_a_repository() {
    let rig = Rig::new();
    let run = rig.run(&["--repo", &rig.arg("nowhere/repo"), "init"]);
    let nowhere = rig.arg("nowhere");
    assert_eq!(
        run.err_of(1),
        format!("error: {nowhere} does not exist\nhint: mkdir -p {nowhere}\n")
    );
    assert!(!rig.path("nowhere").exists());
}

#[test]
fn a_relative_path_is_taken_from_here() {
    let rig = Rig::new();
    rig.run(&["--repo", "repo", "init"]).out_of(0);
    assert!(rig.path("work/repo/config").is_file());
    let run = rig.run_with(&["snapshots"], |it| it.env("LARDER_REPO", "repo"));
    assert_eq!(run.err_of(0), "note: no snapshots yet\n");
}
