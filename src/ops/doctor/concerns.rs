//! What of all that was found should be mended. Pure.

use crate::codec::snapshot::{CheckResult, DatabaseLabel};
use crate::ops::doctor::outcome::{Examined, Origin};
use crate::ops::doctor::{DoctorReport, ExaminedDatabase, Place};

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// Of which kind it is.
    pub kind: ConcernKind,
    /// The path in the directory that it is about; empty for the directory itself.
    pub subject: Vec<u8>,
    /// What is the matter, and what helps.
    pub message: String,
}

/// What a concern is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConcernKind {
    /// There is no database at all.
    NoDatabase,
    /// A database is corrupt, or cannot be captured cleanly.
    Database,
    /// Something cannot be read.
    Unreadable,
    /// Rows name files that are not here.
    Dangling,
    /// All files that a column names are somewhere else.
    Elsewhere,
    /// Rows name files, and no query says so.
    Undeclared,
    /// A query that fails, or whose database is not here.
    Reference,
    /// The repository is on the disk of the data, or among it.
    Repository,
    /// A disk is too full.
    Space,
    /// The directory is on a shared file system.
    FileSystem,
}

/// Everything that should be mended, the gravest first.
pub fn concerns(report: &DoctorReport) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if report.databases.is_empty() {
        let what = "there is no SQLite database here: is this the directory of the application?";
        concerns.push(concern(ConcernKind::NoDatabase, b"", what));
    }
    for database in &report.databases {
        concerns.extend(of_state(database));
    }
    for (path, why) in &report.unreadable {
        concerns.push(concern(ConcernKind::Unreadable, path, why.clone()));
    }
    for database in &report.databases {
        concerns.extend(database.references.iter().flat_map(|set| of_references(database, set)));
        concerns.extend(of_elsewhere(database));
    }
    for name in &report.unmatched {
        let what = format!("the database of [[reference]] {name} is not here");
        concerns.push(concern(ConcernKind::Reference, b"", what));
    }
    concerns.extend(of_surroundings(report));
    concerns
}

fn concern(kind: ConcernKind, subject: &[u8], message: impl Into<String>) -> Concern {
    Concern { kind, subject: subject.to_vec(), message: message.into() }
}

fn of_state(database: &ExaminedDatabase) -> Option<Concern> {
    let about = |message: String| Some(concern(ConcernKind::Database, &database.path, message));
    let state = match &database.state {
        Ok(state) => state,
        Err(why) => return about(format!("cannot be captured: {why}")),
    };
    match (state.label, &state.check) {
        (DatabaseLabel::SourceCorrupt, CheckResult::Failed(why) | CheckResult::NotRun(why)) => {
            about(format!("is corrupt: {why}"))
        }
        (DatabaseLabel::SourceCorrupt, CheckResult::QuickOk) => about("is corrupt".to_owned()),
        (DatabaseLabel::Recovered, _) => {
            about("has a journal to be played back: its application ended in the middle of a change; start it once".to_owned())
        }
        (DatabaseLabel::CrashImage, _) => {
            about("could not be read through SQLite: a backup would have it as a crash would leave it".to_owned())
        }
        (DatabaseLabel::Opaque, _) => {
            about("is not readable as SQLite (sealed, or of another kind): a backup would copy its bytes as they lie there".to_owned())
        }
        (DatabaseLabel::Committed, CheckResult::Failed(why)) => about(format!("is corrupt: {why}")),
        (DatabaseLabel::Committed, _) => None,
    }
}

fn of_references(database: &ExaminedDatabase, set: &Examined) -> Vec<Concern> {
    let mut concerns = Vec::new();
    let mut say = |kind, subject: &[u8], message: String| {
        concerns.push(concern(kind, subject, message));
    };
    let name = &set.query.name;
    if let Some(why) = &set.failure {
        say(ConcernKind::Reference, &database.path, format!("reference {name}: {why}"));
        return concerns;
    }
    let base = if set.base.is_empty() { &database.path } else { &set.base };
    if set.named > 0 && set.present == 0 {
        let rows = files(set.named);
        let advice = if set.origin == Origin::BuiltIn && name == "partshub" {
            "; PartsHub keeps its attachments outside of the volume unless ENVIRONMENT=production is set"
        } else {
            ""
        };
        let what = format!("rows name {rows}, and none is here{advice}");
        say(ConcernKind::Elsewhere, base, what);
    } else if set.missing.total > 0 {
        let what = format!(
            "{} that rows name {} missing",
            files(set.missing.total),
            is_or_are(set.missing.total)
        );
        say(ConcernKind::Dangling, base, what);
    }
    if set.other_size.total > 0 {
        let (number, have) =
            (files(set.other_size.total), if set.other_size.total == 1 { "has" } else { "have" });
        say(ConcernKind::Dangling, base, format!("{number} {have} not the size that the row says"));
    }
    if set.refused.total > 0 {
        let what = format!(
            "reference {name}: rows have {} that do not lie below {}",
            paths(set.refused.total),
            shown(&set.base)
        );
        say(ConcernKind::Dangling, &database.path, what);
    }
    if let Origin::Found(columns) = &set.origin {
        let what = format!(
            "rows name files ({}), and nobody checks that they are there",
            columns.join(", ")
        );
        say(ConcernKind::Undeclared, &database.path, what);
    }
    concerns
}

fn of_elsewhere(database: &ExaminedDatabase) -> Vec<Concern> {
    let columns = database.elsewhere.iter().map(|it| {
        let example = String::from_utf8_lossy(&it.example);
        let what = format!(
            "{}.{} names files that are nowhere here, like {example:?}: they are in no backup of this directory",
            it.table, it.column
        );
        concern(ConcernKind::Elsewhere, &database.path, what)
    });
    columns.collect()
}

fn of_surroundings(report: &DoctorReport) -> Vec<Concern> {
    let around = &report.surroundings;
    let mut concerns = Vec::new();
    let mut say = |kind, message: String| concerns.push(concern(kind, b"", message));
    if let Some(kind) = around.shared_file_system {
        say(
            ConcernKind::FileSystem,
            format!(
                "the directory is on {kind}: run larder on the machine that has the disk, for SQLite's locks do not reach further"
            ),
        );
    }
    if let Some(place) = &around.repository {
        let at = place.path.display();
        if place.inside {
            say(
                ConcernKind::Repository,
                format!(
                    "the repository {at} lies in the directory: who deletes the one deletes the other"
                ),
            );
        } else if place.same_file_system {
            say(
                ConcernKind::Repository,
                format!(
                    "the repository {at} is on the same file system as the data: a broken disk takes both"
                ),
            );
        }
        // What a first backup may need, if nothing can be compressed; later ones need little.
        if !place.exists && lacks(place, report.bytes) {
            say(
                ConcernKind::Space,
                format!("the repository's disk ({at}) may be too full for a first backup"),
            );
        }
    }
    if lacks(&around.spool, around.spool_need_bytes) {
        let at = around.spool.path.display();
        say(
            ConcernKind::Space,
            format!(
                "the spool directory {at} has no room for the largest database and its previous version: name another with --spool"
            ),
        );
    }
    concerns
}

fn lacks(place: &Place, need_bytes: u64) -> bool {
    let needed = need_bytes.saturating_add(place.reserve_bytes);
    place.space.is_some_and(|space| space.available_bytes < needed)
}

fn files(number: u64) -> String {
    if number == 1 { "1 file".to_owned() } else { format!("{number} files") }
}

fn paths(number: u64) -> String {
    if number == 1 { "1 path".to_owned() } else { format!("{number} paths") }
}

fn is_or_are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

fn shown(base: &[u8]) -> String {
    if base.is_empty() {
        "the directory".to_owned()
    } else {
        String::from_utf8_lossy(base).into_owned()
    }
}
