//! Names are any bytes, in every command.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Ran, Rig};

/// Names that are no text, or would break a line or a terminal.
const NAMES: [&[u8]; 5] = [b"-rf", b"\x1b[31mred", b"new\nline", b"plain", b"\xff\xfe"];

/// The same for the directory that is saved.
const ROOT: &[u8] = b"ro\xfft\n\x1b[1m";

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

struct World {
    rig: Rig,
    root: PathBuf,
}

impl World {
    fn new() -> Self {
        let rig = Rig::new();
        let root = rig.at("").join(os(ROOT));
        fs::create_dir(&root).unwrap();
        for name in NAMES {
            fs::write(root.join(os(name)), name).unwrap();
        }
        Self { rig, root }
    }

    fn run(&self, words: &[&OsStr]) -> Ran {
        let ran = self.rig.run(words);
        assert_tame(&ran.err);
        ran
    }

    fn backup(&self, code: i32) -> Ran {
        let words = ["backup", "--source", "odd"].map(OsStr::new);
        let text = self.run(&[&words[..], &[self.root.as_os_str()]].concat()).expect(code);
        assert_tame(&text.text());
        text
    }

    fn json(&self, words: &[&str]) -> Ran {
        let words: Vec<_> = words.iter().chain(&["--json"]).map(OsStr::new).collect();
        self.run(&words)
    }
}

/// What people read holds no control character but the ends of its lines.
#[track_caller]
fn assert_tame(text: &str) {
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

/// The bytes of a path in JSON.
fn bytes(value: &Value) -> Vec<u8> {
    match value["path_b64"].as_str() {
        Some(coded) => STANDARD.decode(coded).unwrap(),
        None => value["path"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn paths(list: &Value) -> Vec<Vec<u8>> {
    list.as_array().unwrap().iter().map(bytes).collect()
}

#[test]
fn a_name_is_any_bytes_in_every_command() {
    let world = World::new();
    world.backup(0);
    let root = world.root.as_os_str().as_bytes();

    let listed = world.json(&["snapshots"]).expect(0).document();
    assert_eq!(paths(&listed["snapshots"][0]["roots"]), [root]);
    assert_tame(&world.run(&[OsStr::new("snapshots")]).expect(0).text());

    let listed = world.json(&["ls", "latest"]).expect(0).document();
    let names: Vec<_> =
        paths(&listed["entries"]).into_iter().filter(|path| *path != b".").collect();
    assert!(NAMES.iter().all(|name| names.iter().any(|it| it == name)), "{names:?}");
    let piped = world.run(&["ls".as_ref(), "latest".as_ref()]).expect(0).out;
    assert!(piped.windows(2).any(|pair| pair == b"\xff\xfe"), "a pipe gets the bytes themselves");

    for name in NAMES {
        let name = os(name);
        let words = ["cat".as_ref(), "latest".as_ref(), "--".as_ref(), name.as_os_str()];
        assert_eq!(world.run(&words).expect(0).out, name.as_bytes());
        let absolute = world.root.join(&name);
        let words = ["cat".as_ref(), "latest".as_ref(), absolute.as_os_str()];
        assert_eq!(world.run(&words).expect(0).out, name.as_bytes());
    }
    assert_restores(&world);
    assert_diffs(&world);
}

fn assert_restores(world: &World) {
    let target = world.rig.at("").join(os(b"ta\xffrget\n"));
    let words = ["restore", "--json", "latest", "--target"].map(OsStr::new);
    let ran = world.run(&[&words[..], &[target.as_os_str()]].concat()).expect(0);
    let restored = &ran.last()["restored"][0];
    assert_eq!(bytes(&restored["target"]), target.as_os_str().as_bytes());
    for name in NAMES {
        assert_eq!(fs::read(target.join(os(name))).unwrap(), name);
    }
    // One of them alone, to a place named after it; then over what is there.
    let odd = os(NAMES[2]);
    let words = ["restore".as_ref(), "latest".as_ref(), odd.as_os_str()];
    let ran = world.run(&words).expect(0);
    assert_tame(&ran.text());
    assert_eq!(fs::read(world.rig.at("here").join(&odd)).unwrap(), NAMES[2]);
    assert_tame(&world.run(&words).expect(1).text());
}

fn assert_diffs(world: &World) {
    for name in NAMES {
        fs::write(world.root.join(os(name)), "other").unwrap();
    }
    let broken = world.root.join(os(b"data\xffbase\n.db"));
    fs::write(&broken, b"SQLite format 3\0 and nothing of that kind after it").unwrap();
    let ran = world.backup(3);
    assert!(ran.err.contains("data\\xffbase\\n.db") || ran.err.contains("base"), "{}", ran.err);

    let listed = world.json(&["snapshots"]).expect(0).document();
    assert_eq!(paths(&listed["snapshots"][1]["findings"]), [b"data\xffbase\n.db"]);
    assert_eq!(paths(&listed["snapshots"][1]["databases"]), [b"data\xffbase\n.db"]);
    let changed = world.json(&["diff", "latest~1", "latest"]).expect(0).document();
    let changed = changed["changes"].as_array().unwrap().iter();
    let changed: Vec<_> = changed.map(|it| bytes(&it["after"])).collect();
    assert!(NAMES.iter().all(|name| changed.iter().any(|it| it == name)), "{changed:?}");
    world.run(&["diff".as_ref(), "latest~1".as_ref(), "latest".as_ref()]).expect(0);
}
