use super::rig::Rig;

#[test]
fn tags_are_given_taken_away_and_found() {
    let rig = Rig::new();
    rig.run(&["backup", "-q", "--tag", "old", &rig.arg("app")]).out_of(0);
    let run = rig.run(&["tag", "latest", "+before-upgrade", "-old", "+x"]);
    assert!(
        run.out_of(0).starts_with("snapshot ") && run.out.ends_with(")  before-upgrade x\n"),
        "{}",
        run.out
    );
    assert_eq!(rig.run(&["ls", "tag:before-upgrade", "readme.txt"]).out_of(0), "readme.txt\n");
    rig.run(&["ls", "tag:old"]).err_of(1);
    assert_eq!(rig.json(&["tag", "latest", "-x"])["tags"], serde_json::json!(["before-upgrade"]));
    let none = rig.run(&["tag", "latest", "-before-upgrade"]);
    assert!(none.out_of(0).ends_with(")  no tags\n"), "{}", none.out);
}

#[test]
fn what_is_no_change_is_refused() {
    let rig = Rig::saved();
    let run = rig.run(&["tag", "latest", "good"]);
    assert_eq!(
        run.err_of(2),
        "error: \"good\" says neither +TAG nor -TAG\nhint: +good gives the tag, -good takes it away\n"
    );
    assert!(rig.run(&["tag", "latest", "+"]).err_of(2).contains("cannot be a tag"));
    assert!(rig.run(&["tag", "latest"]).err_of(2).contains("<CHANGE>"));
}
