//! What the week's snapshots are worth, by the application's own log and by the repository's hashes.

use std::path::Path;

use larder::codec::manifest::EntryKind;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, check};
use larder::ops::paths::find_entry;
use larder::repo::read::Reader;
use larder::repo::snapshots::Snapshot;
use larder_sample::{ATTACHMENTS, DATABASE, oracle};

use crate::cli::commands::demo::scene::{Scene, causes, of_sample};
use crate::cli::commands::demo::story::{DatabaseProof, Night, Proof};
use crate::cli::failure::Result;

/// Restores the database of every night and judges it, then checks every byte of the repository.
pub(super) fn prove(scene: &Scene<'_>, nights: &[Night]) -> Result<Proof> {
    let repository = scene.open_again()?;
    let catalog = Catalog::open(&repository)?;
    let reader = catalog.reader()?;
    let mut proof = Proof {
        databases: Vec::new(),
        blobs: 0,
        sound_blobs: 0,
        damage: Vec::new(),
        rows_without_file: 0,
    };
    for night in nights {
        scene.watch.go_on()?;
        let snapshot = scene.select(&catalog, &night.snapshot)?;
        let scratch = scene.ground.scratch()?;
        let database =
            scene.bring_back((&reader, snapshot), Path::new(DATABASE), scratch.path())?;
        let judged = judge(&night.day, &database, &scene.ground.database());
        if judged.fault.is_none() {
            proof.rows_without_file += rows_without_file(&database, &reader, snapshot)?;
        }
        proof.databases.push(judged);
    }
    let report = check(&catalog, CheckOptions { read_data: true }, scene.watch)?;
    if let Some(data) = report.data {
        (proof.blobs, proof.sound_blobs) = (data.blobs, data.sound_blobs);
    }
    proof.damage = report.findings.iter().map(|finding| finding.damage.to_string()).collect();
    let missing = |id: &dyn std::fmt::Display| format!("snapshot {id} is missing");
    proof.damage.extend(report.missing.iter().map(|it| missing(&it.id)));
    Ok(proof)
}

/// A database is good when it is one commit, and one of those that led to the final database.
fn judge(day: &str, database: &Path, final_database: &Path) -> DatabaseProof {
    let boundary = match oracle::check(database) {
        Ok(boundary) => boundary,
        Err(torn) => {
            return DatabaseProof { day: day.to_owned(), commit: None, fault: Some(causes(&torn)) };
        }
    };
    let fault = match oracle::led_to(&boundary, final_database) {
        Ok(true) => None,
        Ok(false) => Some("it is no commit of the final database's log".to_owned()),
        Err(torn) => Some(format!("the final database: {}", causes(&torn))),
    };
    DatabaseProof { day: day.to_owned(), commit: Some(boundary.commits), fault }
}

/// Rows of the database whose file the same snapshot does not have, or has with another size.
fn rows_without_file(database: &Path, reader: &Reader<'_>, snapshot: &Snapshot) -> Result<u64> {
    let size_of = |path: &str| {
        let path = Path::new(ATTACHMENTS).join(path);
        match find_entry(reader, snapshot, &path).ok()?.kind {
            EntryKind::File(file) => Some(file.size),
            _ => None,
        }
    };
    let rows = oracle::dangling(database, size_of).map_err(|error| of_sample(&error))?;
    Ok(rows.len() as u64)
}
