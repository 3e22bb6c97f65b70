use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::rig::Rig;

fn changed() -> Rig {
    let rig = Rig::saved();
    rig.write("app/attachments/c.pdf", "%PDF-1.4 c");
    rig.write("app/readme.txt", "changed\n");
    fs::remove_file(rig.path("app/attachments/a.pdf")).unwrap();
    fs::set_permissions(rig.path("app/attachments/b.pdf"), fs::Permissions::from_mode(0o600))
        .unwrap();
    rig.backup_at("2026-11-23T03:00:00+01:00");
    rig
}

#[test]
fn changes_come_with_their_sign_and_size() {
    let rig = changed();
    let run = rig.run(&["diff", "latest~1"]);
    let mut lines: Vec<&str> = run.out_of(0).lines().collect();
    let from = lines.pop().unwrap();
    assert!(
        from.starts_with("from ") && from.ends_with(" (Mon 23 Nov 2026 03:00 +01:00)"),
        "{from}"
    );
    assert_eq!(lines.pop(), Some("1 added, 1 removed, 1 modified, 2 with other metadata only"));
    assert_eq!(
        lines,
        [
            "m                 time  attachments",
            "-                 10 B  attachments/a.pdf",
            "m         0644 -> 0600  attachments/b.pdf",
            "+                 10 B  attachments/c.pdf",
            "M           6 B -> 8 B  readme.txt",
        ]
    );
    assert_eq!(rig.run(&["diff", "-q", "latest~1"]).out_of(0).lines().count(), 1);
    let same = rig.run(&["diff", "latest", "latest"]);
    assert!(same.out_of(0).starts_with("no changes\n"), "{}", same.out);
}

#[test]
fn json_has_both_sides_of_a_change() {
    let rig = changed();
    let json = rig.json(&["diff", "latest~1", "latest"]);
    assert_eq!(json["summary"]["modified"], 1);
    let change =
        json["changes"].as_array().unwrap().iter().find(|it| it["change"] == "modified").unwrap();
    assert_eq!(
        (&change["before"]["size_bytes"], &change["after"]["size_bytes"]),
        (&6.into(), &8.into())
    );
    assert_eq!(json["before"]["source"], "app");
}

#[test]
fn unlike_sources_are_not_compared() {
    let rig = Rig::saved();
    let other = rig.run(&["backup", "-q", &rig.arg("app/attachments")]);
    let first = rig.json(&["snapshots", "--source", "app"]);
    let run =
        rig.run(&["diff", first["snapshots"][0]["id"].as_str().unwrap(), other.out_of(0).trim()]);
    assert!(run.err_of(2).contains("of different sources"), "{}", run.err);
}
