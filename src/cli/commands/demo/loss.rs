//! Someone deletes a data sheet, row and file, and wants it back.

use std::fs;
use std::path::Path;
use std::time::Instant;

use larder::ops::catalog::Catalog;
use larder_sample::{ATTACHMENTS, LANDMARK, delete_attachment};

use crate::cli::commands::demo::calendar::Week;
use crate::cli::commands::demo::scene::{Scene, of_sample};
use crate::cli::commands::demo::story::{Loss, Made};
use crate::cli::failure::{Failure, Result};
use crate::cli::output::progress::millis;
use crate::cli::output::times;

/// Keeps a copy aside, deletes the attachment, brings it back from Saturday's night and compares.
pub(super) fn lose_and_get_back(scene: &Scene<'_>, week: &Week, made: &Made) -> Result<Loss> {
    scene.watch.go_on()?;
    scene.watch.say("losing a file");
    let aside = scene.ground.aside().join(LANDMARK);
    let file = Path::new(&made.landmark);
    let live = scene.ground.live().join(file);
    fs::copy(&live, &aside).map_err(|error| Failure::io("keeping a copy aside", &error))?;
    delete(scene, &made.landmark)?;
    if live.exists() {
        return Err(Failure::failed("the attachment to be lost is still there"));
    }
    let asked = week.saturday()?;
    let began = Instant::now();
    let repository = scene.open_again()?;
    let catalog = Catalog::open(&repository)?;
    let snapshot = scene.select(&catalog, &asked)?;
    let back = scene.bring_back((&catalog.reader()?, snapshot), file, &scene.ground.back())?;
    let took_ms = millis(began.elapsed());
    Ok(Loss {
        file: LANDMARK.to_owned(),
        from: times::short(snapshot.record.time_ns, &scene.context.settings.zone.rules, false),
        asked,
        took_ms,
        same_bytes: read(&back)? == read(&aside)?,
    })
}

fn delete(scene: &Scene<'_>, landmark: &str) -> Result<()> {
    let in_attachments = landmark.trim_start_matches(ATTACHMENTS).trim_start_matches('/');
    let deleted = delete_attachment(&scene.ground.live(), in_attachments)
        .map_err(|error| of_sample(&error))?;
    if deleted { Ok(()) } else { Err(Failure::failed("no row has the attachment to be lost")) }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::io(format!("reading {}", path.display()), &error))
}
