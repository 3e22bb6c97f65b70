use std::fs;

use super::rig::Rig;

#[test]
fn the_example_is_a_sound_configuration() {
    let rig = Rig::new();
    let example = rig.run(&["config", "example"]);
    rig.write("work/larder.toml", example.out_of(0));
    let run = rig.run(&["config", "check"]);
    assert_eq!(
        run.out_of(0),
        "larder.toml: no faults, 1 source\nlarder forget keeps 7 daily, 4 weekly, monthly for ever\n"
    );
    assert_eq!(run.err, "");
}

#[test]
fn every_fault_is_listed_with_line_key_and_suggestion() {
    let rig = Rig::new();
    rig.write(
        "bad.toml",
        "zone = 'Europe/Zurch'\n[[source]]\nexlude = []\npaths = ['/app']\n[retention]\ndaly = 7\n",
    );
    let file = rig.arg("bad.toml");
    let run = rig.run(&["--config", &file, "config", "check"]);
    assert_eq!(
        run.err_of(2),
        format!(
            "error: {file}:1: zone \"Europe/Zurch\" is not in the time zone database; did you mean \"Europe/Zurich\"?\n\
             error: {file}:3: unknown key \"exlude\" in [[source]]; did you mean \"exclude\"?\n\
             error: {file}:6: unknown key \"daly\" in [retention]; did you mean \"daily\"?\n"
        )
    );
    let other = rig.run(&["--config", &file, "snapshots"]);
    assert!(
        other
            .err_of(2)
            .ends_with(&format!("hint: larder --config {file} config check   # lists 2 more\n")),
        "{}",
        other.err
    );
    let json = rig.run(&["--json", "--config", &file, "config", "check"]);
    assert_eq!(json.lines_of(2)[0]["faults"][1]["line"], 3);
    let missing = rig.run(&["--config", &rig.arg("none.toml"), "snapshots"]);
    assert!(missing.err_of(2).contains("none.toml: No such file or directory"), "{}", missing.err);
    let none = rig.run(&["config", "check"]);
    assert!(none.err_of(1).contains("hint: larder config example > larder.toml"), "{}", none.err);
}

#[test]
fn the_command_line_wins_over_environment_and_file() {
    let rig = Rig::new();
    rig.write("work/larder.toml", "zone = 'Asia/Tokyo'\n[repository]\npath = 'of-file'\n");
    let shown = |command: &mut std::process::Command| {
        let run = super::rig::Run::of(&command.output().unwrap());
        let json: serde_json::Value = serde_json::from_str(run.out_of(0)).unwrap();
        let values = json["values"].as_array().unwrap().clone();
        let one = |name: &str| {
            let it = values.iter().find(|it| it["name"] == name).unwrap();
            format!("{} by {}", it["value"].as_str().unwrap(), it["origin"].as_str().unwrap())
        };
        (one("repository"), one("zone"))
    };
    let mut file = rig.command(&["--json", "config", "show"]);
    let here = rig.path("work").canonicalize().unwrap();
    let of_file = format!("{} by larder.toml:3", here.join("of-file").display());
    assert_eq!(shown(&mut file), (of_file, "Asia/Tokyo by larder.toml:1".to_owned()));
    let mut environment = rig.command(&["--json", "config", "show"]);
    environment.env("LARDER_REPO", "/of/env");
    assert_eq!(shown(&mut environment).0, "/of/env by LARDER_REPO");
    let mut flag = rig.command(&["--json", "--repo", "/of/flag", "config", "show"]);
    flag.env("LARDER_REPO", "/of/env");
    assert_eq!(shown(&mut flag).0, "/of/flag by --repo");
    fs::remove_file(rig.path("work/larder.toml")).unwrap();
    let mut nothing = rig.command(&["--json", "config", "show"]);
    let place = format!("{} by default", rig.repository().display());
    assert_eq!(shown(&mut nothing), (place, "Europe/Zurich by TZ".to_owned()));
}

#[test]
fn the_configuration_of_the_user_is_found() {
    let rig = Rig::new();
    fs::create_dir_all(rig.path("home/.config/larder")).unwrap();
    rig.write(
        "home/.config/larder/larder.toml",
        "[repository]\npath = '~/kept'\n[[source]]\npaths = ['~/../app']\n",
    );
    rig.run(&["--repo", &rig.arg("home/kept"), "init"]).out_of(0);
    rig.run(&["backup", "-q"]).out_of(0);
    assert_eq!(fs::read_dir(rig.path("home/kept/snapshots")).unwrap().count(), 1);
}
