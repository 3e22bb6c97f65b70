//! `docs/json.md` shows what is really written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use super::rig::{Rig, damage};

/// The samples of the document: command line and JSON.
fn samples() -> Vec<(String, Vec<Value>)> {
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let blocks =
        document.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks
        .map(|block| {
            let (command, json) = block.split_once('\n').unwrap();
            let command = command.strip_prefix("$ larder --json ").unwrap().to_owned();
            let values = serde_json::Deserializer::from_str(json).into_iter();
            (command, values.map(|value| value.unwrap()).collect())
        })
        .collect()
}

/// Names and types, without the values: what a program may rely on.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "any".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(items) => {
            let items: std::collections::BTreeSet<_> = items.iter().map(shape).collect();
            format!("[{}]", items.into_iter().collect::<Vec<_>>().join("|"))
        }
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name, shape(value))).collect();
            let fields: Vec<_> = fields.iter().map(|(name, it)| format!("{name}:{it}")).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

/// Everything that the document shows, in its order.
fn world() -> Rig {
    let rig = Rig::new();
    let database = Connection::open(rig.path("app/partshub.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE attachments(component_id, file_path TEXT, thumbnail_path TEXT, file_size INTEGER); \
             INSERT INTO attachments VALUES ('c', 'a.pdf', NULL, 10), ('c', 'gone.pdf', NULL, 1);",
        )
        .unwrap();
    drop(database);
    let mut bytes = fs::read(rig.path("app/partshub.db")).unwrap();
    bytes[4096..4196].fill(0xff);
    rig.write("app/broken.db", bytes);
    rig
}

#[test]
fn every_sample_has_the_shape_of_what_is_written() {
    let rig = world();
    let samples = samples();
    assert!(samples.len() >= 10, "the document lost its samples");
    for (command, documented) in samples {
        let arguments: Vec<String> = std::iter::once("--json".to_owned())
            .chain(command.split_whitespace().map(|it| {
                it.replace("/app/data", &rig.arg("app")).replace("/tmp/back", &rig.arg("back"))
            }))
            .collect();
        match command.split(' ').next() {
            Some("check") => break_one(&rig),
            Some("diff") => change(&rig),
            _ => {}
        }
        let written = rig.run(&arguments).out;
        let values = serde_json::Deserializer::from_str(&written).into_iter();
        let written: Vec<Value> = values.map(|value| value.unwrap()).collect();
        let shapes = |values: &[Value]| values.iter().map(shape).collect::<Vec<_>>();
        assert_eq!(shapes(&documented), shapes(&written), "{command}");
        assert!(written.iter().all(|it| it["schema"] == 1), "{command}");
    }
}

/// One file is new, one gone, one changed; saved.
fn change(rig: &Rig) {
    rig.write("app/readme.txt", "changed\n");
    rig.write("app/attachments/c.pdf", "%PDF-1.4 c");
    fs::remove_file(rig.path("app/attachments/a.pdf")).unwrap();
    rig.run(&["backup", "-q", &rig.arg("app")]).out_of(3);
}

fn break_one(rig: &Rig) {
    for pack in fs::read_dir(rig.repository().join("packs")).unwrap() {
        let pack = pack.unwrap().path();
        let bytes = fs::read(&pack).unwrap();
        if let Some(at) = bytes.windows(10).position(|it| it == b"%PDF-1.4 b") {
            damage(&pack, at + 9);
        }
    }
}
