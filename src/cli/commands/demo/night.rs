//! One night: a day has passed, then both procedures save the same living directory, one after the other.

use std::time::Instant;

use larder::codec::snapshot::SnapshotRecord;

use crate::cli::commands::demo::ground::bytes_below;
use crate::cli::commands::demo::rival;
use crate::cli::commands::demo::scene::{Scene, of_sample};
use crate::cli::commands::demo::story::Night;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::known::label;
use crate::cli::output::progress::millis;
use crate::cli::output::times;

/// What people do by day is drawn from this.
const SEED: u64 = 2026;

/// Lets the day before night number `day` pass and saves what is there. The application goes on through all of it.
pub(super) fn pass(scene: &Scene<'_>, day: u32, time_ns: i64) -> Result<Night> {
    scene.watch.go_on()?;
    let zone = &scene.context.settings.zone.rules;
    let name = times::civil(time_ns, zone).strftime("%a").to_string();
    scene.watch.say(&format!("night {} of 7, {name}", day + 1));
    if let Some(before) = day.checked_sub(1) {
        larder_sample::evolve(&scene.ground.live(), before, SEED)
            .map_err(|error| of_sample(&error))?;
    }
    let repository = scene.ground.repository();
    let bytes_before = bytes_below(&repository);
    let began = Instant::now();
    let report = scene.backup(time_ns)?;
    let took_ms = millis(began.elapsed());
    let added_bytes = bytes_below(&repository).saturating_sub(bytes_before);
    let id = report.id.ok_or_else(|| Failure::failed("the backup gave no snapshot"))?;
    Ok(Night {
        tar: rival::nightly(scene, &times::civil(time_ns, zone).date().to_string())?,
        day: name,
        time: times::rfc3339(time_ns, zone),
        snapshot: id.to_string(),
        added_bytes,
        // Filled in when the week is over.
        database_added_bytes: 0,
        database_bytes: 0,
        took_ms,
        database: state_of_the_database(&report.record),
        findings: findings(&report.record),
    })
}

fn state_of_the_database(record: &SnapshotRecord) -> &'static str {
    record.databases.first().map_or("missing", |database| label(database.label))
}

fn findings(record: &SnapshotRecord) -> Vec<String> {
    let text =
        |subject: &[u8], message: &str| format!("{}: {message}", String::from_utf8_lossy(subject));
    record.findings.iter().map(|finding| text(&finding.subject, &finding.message)).collect()
}
