//! The demo as a black box: what it says, what it leaves, and that what it tells people to try works.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use larder_sample::oracle;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A home and a place for temporary files, both empty, and `larder demo` on the least of data.
struct Rig {
    home: TempDir,
    temporary: TempDir,
}

impl Rig {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() }
    }

    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(["demo", "--tiny"]).args(arguments).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("HOME", self.home.path())
            .env("TMPDIR", self.temporary.path())
            .env("TZ", "Europe/Zurich")
            // The demo has a repository of its own, whatever is named here.
            .env("LARDER_REPO", self.home.path().join("real repository"));
        command
    }

    fn is_untouched(&self) -> bool {
        [&self.home, &self.temporary].iter().all(|it| is_empty(it.path()))
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The lines that begin with a label, and the label.
fn labelled(output: &Output) -> Vec<(&str, &str)> {
    let lines = text(&output.stdout).lines().filter(|line| line.starts_with(' '));
    lines
        .map(|line| (line[..9].trim(), &line[10..]))
        .filter(|(label, _)| !label.is_empty())
        .collect()
}

#[test]
fn the_demo_proves_what_it_claims_and_leaves_nothing() {
    let rig = Rig::new();
    let output = rig.demo(&[]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let page = labelled(&output);
    let labels: Vec<&str> = page.iter().map(|(label, _)| *label).collect();
    assert_eq!(labels, ["made", "nights", "oops", "back", "proof", "compare"]);
    for (label, said) in [
        ("made", "its application is writing"),
        ("nights", "Sun +"),
        ("oops", "deleted ne555_datasheet.pdf, row and file"),
        ("back", "03:00 in "),
        ("back", "byte for byte the file we kept aside"),
        ("proof", "7 of 7 databases are a commit of the writer's log"),
        ("compare", ", 0 torn"),
    ] {
        assert!(
            page.iter().any(|line| line.0 == label && line.1.contains(said)),
            "{label}: {page:?}"
        );
    }
    assert!(rig.is_untouched());
}

#[test]
fn what_it_says_to_try_on_a_kept_demo_works() {
    let (rig, outer) = (Rig::new(), tempfile::tempdir().unwrap());
    let kept = outer.path().join("a demo");
    let output = rig.demo(&["--dir", kept.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let page = text(&output.stdout);
    let (_, commands) = page.split_once("\n try      ").unwrap();
    assert_eq!(commands.lines().count(), 8, "{commands}");
    let mut shell = Command::new("sh");
    shell.args(["-e", "-u", "-c", commands]).current_dir(outer.path());
    let tried = shell.env("HOME", rig.home.path()).env("TZ", "Europe/Zurich").output().unwrap();
    assert!(tried.status.success(), "{tried:?}");
    for said in ["partshub", "ne555_datasheet", "every byte proved", "no damage"] {
        let seen = [text(&tried.stdout), commands].concat();
        assert!(seen.contains(said), "{said}: {seen}");
    }
    let saturday = oracle::check(&kept.join("saturday/partshub.db")).unwrap();
    assert!(oracle::led_to(&saturday, &kept.join("partshub/partshub.db")).unwrap());
    assert!(rig.is_untouched());
}

#[test]
fn the_same_as_one_document() {
    let rig = Rig::new();
    let output = rig.demo(&["--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let story: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(story["schema"], 1);
    assert_eq!(story["wrong"], serde_json::json!([]));
    assert_eq!(story["loss"]["same_bytes"], true);
    let nights = story["nights"].as_array().unwrap();
    let days: Vec<&str> = nights.iter().map(|night| night["day"].as_str().unwrap()).collect();
    assert_eq!(days, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]);
    assert!(nights.iter().all(|night| night["database"] == "committed"));
    assert!(nights.iter().all(|night| night["time"].as_str().unwrap().contains("T03:00:00+0")));
    let commits: Vec<u64> = story["proof"]["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|database| database["commit"].as_u64().unwrap())
        .collect();
    assert!(commits.is_sorted_by(|before, after| before < after), "{commits:?}");
    assert_eq!(story["proof"]["blobs"], story["proof"]["sound_blobs"]);
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let (rig, taken) = (Rig::new(), tempfile::tempdir().unwrap());
    fs::write(taken.path().join("mine"), b"mine").unwrap();
    let output = rig.demo(&["--dir", taken.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("is not empty"), "{output:?}");
    assert_eq!(fs::read_dir(taken.path()).unwrap().count(), 1);
}

#[test]
fn an_interrupted_demo_takes_everything_with_it() {
    let rig = Rig::new();
    let mut demo = rig.demo(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(demo.stdout.take().unwrap());
    let mut made = String::new();
    output.read_line(&mut made).unwrap();
    assert!(made.starts_with(" made "), "{made}");
    let pid = Pid::from_raw(i32::try_from(demo.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    // Reaching the end of its errors means that the application, which has them too, is gone.
    let ended = demo.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{rest}{ended:?}");
    assert_eq!(text(&ended.stderr), "error: interrupted; nothing is kept\n");
    assert!(rig.is_untouched());
}
