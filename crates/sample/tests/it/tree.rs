//! Directories and databases as values that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use larder_sample::{DATABASE, Report, Spec, make};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

/// A tiny sample in a directory of its own.
pub(crate) fn tiny(seed: u64) -> (TempDir, Report) {
    let dir = TempDir::new().unwrap();
    let report = make(&Spec::tiny().with_seed(seed), dir.path()).unwrap();
    (dir, report)
}

pub(crate) fn database(dir: &TempDir) -> PathBuf {
    dir.path().join(DATABASE)
}

/// Every file below `root` with its bytes and its modification time in seconds.
pub(crate) fn files(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u64)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            let time = time.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let name = path.strip_prefix(root).unwrap().to_owned();
            found.insert(name, (fs::read(&path).unwrap(), time));
        }
    }
    found
}

/// Schema and rows of all tables, the full-text index's included.
pub(crate) fn dump(database: &Path) -> Vec<String> {
    let conn = Connection::open(database).unwrap();
    let mut lines = rows(&conn, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name");
    let mut names =
        conn.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for name in names {
        lines.push(name.clone());
        let mut found = rows(&conn, &format!("SELECT * FROM {name}"));
        found.sort();
        lines.extend(found);
    }
    lines
}

fn rows(conn: &Connection, sql: &str) -> Vec<String> {
    let mut query = conn.prepare(sql).unwrap();
    let columns = query.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let values: Vec<Value> = (0..columns).map(|at| row.get(at).unwrap()).collect();
        Ok(format!("{values:?}"))
    };
    query.query_map([], line).unwrap().map(Result::unwrap).collect()
}
