//! What a snapshot knows of its databases, in words.

use jiff::tz::TimeZone;
use larder::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseLabel, DatabaseRecord, JournalMode, Knowledge, References,
    SnapshotRecord,
};
use larder::ops::backup::rows::RowChange;

use crate::cli::output::escape::printable;
use crate::cli::output::times;
use crate::cli::output::units::{count, many};
use crate::cli::output::wording::{of_total, path_of};

/// So many tables are named in a line; more are counted.
const NAMED_TABLES: usize = 8;

/// The label of a database, in JSON and in tables.
pub(crate) fn label(label: DatabaseLabel) -> &'static str {
    match label {
        DatabaseLabel::Committed => "committed",
        DatabaseLabel::Recovered => "recovered",
        DatabaseLabel::CrashImage => "crash-image",
        DatabaseLabel::SourceCorrupt => "source-corrupt",
        DatabaseLabel::Opaque => "opaque",
    }
}

/// What kind of state a database is in, in words, and what the check of it said.
pub(crate) fn state(record: &DatabaseRecord) -> String {
    state_of(record.label, &record.check)
}

/// The same of a label and a check.
pub(crate) fn state_of(label: DatabaseLabel, check: &CheckResult) -> String {
    let state = match label {
        DatabaseLabel::Committed => "one committed state",
        DatabaseLabel::Recovered => "recovered from its journal",
        DatabaseLabel::CrashImage => "as a crash would leave it",
        DatabaseLabel::SourceCorrupt => "corrupt at the source",
        DatabaseLabel::Opaque => "not readable as SQLite",
    };
    match check {
        CheckResult::QuickOk => format!("{state}, quick_check ok"),
        CheckResult::Failed(_) => format!("{state}, quick_check failed"),
        CheckResult::NotRun(_) => format!("{state}, not checked"),
    }
}

/// The same just after a backup: a database that has not changed since an earlier snapshot was not looked at again.
pub(crate) fn state_now(
    record: &DatabaseRecord,
    snapshot: &SnapshotRecord,
    zone: &TimeZone,
) -> String {
    if record.captured_at_ns < snapshot.started_ns {
        return format!("unchanged since {}", times::short(record.captured_at_ns, zone, false));
    }
    state(record)
}

/// How it was captured.
pub(crate) fn method(method: CaptureMethod) -> &'static str {
    match method {
        CaptureMethod::OnlineBackup => "while its application worked on",
        CaptureMethod::Immutable => "at rest",
        CaptureMethod::PrivateRecovery => "from a private copy",
        CaptureMethod::RawCopy => "as its bytes lay there",
    }
}

/// How its writers work.
pub(crate) fn journal_mode(mode: JournalMode) -> &'static str {
    match mode {
        JournalMode::Rollback => "rollback journal",
        JournalMode::Wal => "WAL",
        JournalMode::Unknown => "unknown journal mode",
    }
}

/// The databases of a snapshot in a word or two.
pub(crate) fn databases(record: &SnapshotRecord) -> String {
    let all = record.databases.len();
    let Some(first) = record.databases.first() else { return String::new() };
    if all == 1 {
        return label(first.label).to_owned();
    }
    if record.databases.iter().all(|it| it.label == first.label) {
        return format!("{all} {}", label(first.label));
    }
    let committed = record.databases.iter().filter(|it| it.label == DatabaseLabel::Committed);
    format!("{} of {all} committed", committed.count())
}

/// Which version of the application's schema it is, as far as the database says: Alembic's revision, else the number in its header.
pub(crate) fn schema_version(knowledge: &Knowledge) -> Option<String> {
    match (&knowledge.alembic_revision, knowledge.user_version) {
        (Some(revision), _) => Some(printable(revision.as_bytes()).into_owned()),
        (None, 0) => None,
        (None, version) => Some(format!("v{version}")),
    }
}

/// The same of all databases of a snapshot.
pub(crate) fn schema_versions(record: &SnapshotRecord) -> String {
    let known = record.databases.iter().filter_map(|it| it.knowledge.as_ref());
    let versions: Vec<String> = known.filter_map(schema_version).collect();
    versions.join(" ")
}

/// Of the files that rows name, how many a snapshot has; empty when it knows of none.
pub(crate) fn references_total(record: &SnapshotRecord) -> String {
    let all = record.databases.iter().flat_map(|it| &it.references);
    if all.clone().any(|it| it.failure.is_some()) {
        return "unknown".to_owned();
    }
    let (named, present) = all.fold((0, 0), |sum, it| (sum.0 + it.named, sum.1 + it.present));
    match (named, present) {
        (0, _) => String::new(),
        (named, present) if named == present => count(named),
        (named, present) => of_total(present, named),
    }
}

/// How a set of references came out: what counts, and what there is to say beside it.
pub(crate) fn references(set: &References, whose: &str) -> (String, Option<String>) {
    if let Some(why) = &set.failure {
        return (format!("{whose}could not be looked up: {why}"), None);
    }
    let (all, are) = if set.named == 1 { ("file", "is") } else { ("files", "are") };
    let said = match set.named {
        0 => format!("{whose}no row names a file"),
        named => {
            let number = of_total(set.present, named);
            format!("{whose}{number} {all} named by rows {are} in the snapshot")
        }
    };
    let base = printable(&set.base);
    let below = if base.is_empty() { "there".to_owned() } else { format!("below {base}") };
    let newer = if set.newer == 1 { "1 was" } else { "some were" };
    let beside = [
        (set.accepted > 0).then(|| format!("{} missing and accepted", count(set.accepted))),
        (set.newer > 1).then(|| format!("{} of them written after the capture", count(set.newer))),
        (set.newer == 1).then(|| format!("{newer} written after the capture")),
        (set.orphans > 0)
            .then(|| format!("{} {below} that no row names", many(set.orphans, "file"))),
        (set.rounds > 1).then(|| format!("{} captures until nothing changed", set.rounds)),
    ];
    let beside: Vec<String> = beside.into_iter().flatten().collect();
    (said, (!beside.is_empty()).then(|| beside.join("; ")))
}

/// How the rows of tables differ from those in the snapshot before, the largest changes first.
pub(crate) fn row_changes(changes: &[RowChange]) -> String {
    let mut sorted: Vec<&RowChange> = changes.iter().collect();
    sorted.sort_by_key(|it| {
        std::cmp::Reverse(it.after.unwrap_or(0).abs_diff(it.before.unwrap_or(0)))
    });
    let mut said: Vec<String> = sorted.iter().take(NAMED_TABLES).map(|it| row_change(it)).collect();
    let more = sorted.len().saturating_sub(NAMED_TABLES) as u64;
    if more > 0 {
        said.push(format!("and {}", many(more, "more table")));
    }
    said.join(", ")
}

fn row_change(change: &RowChange) -> String {
    let table = printable(change.table.as_bytes());
    match (change.before, change.after) {
        (None, Some(rows)) => format!("new table {table} with {}", many(rows, "row")),
        (Some(rows), None) => format!("table {table} gone with {}", many(rows, "row")),
        (before, after) => {
            let (before, after) = (before.unwrap_or(0), after.unwrap_or(0));
            let sign = if after > before { "+" } else { "-" };
            format!("{sign}{} {table}", count(after.abs_diff(before)))
        }
    }
}

/// The path of a database as people call it.
pub(crate) fn name(record: &SnapshotRecord, database: &DatabaseRecord) -> String {
    printable(&path_of(record, database.root, &database.path)).into_owned()
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> References {
        References {
            name: "partshub".to_owned(),
            base: b"attachments".to_vec().into(),
            named: 1_201,
            present: 1_201,
            accepted: 0,
            newer: 0,
            orphans: 0,
            rounds: 1,
            failure: None,
        }
    }

    #[test]
    fn references_are_said_in_singular_and_plural() {
        let (said, beside) = references(&set(), "");
        assert_eq!(said, "1,201 of 1,201 files named by rows are in the snapshot");
        assert_eq!(beside, None);
        let one = References { named: 1, present: 1, newer: 1, orphans: 1, rounds: 2, ..set() };
        let (said, beside) = references(&one, "docs: ");
        assert_eq!(said, "docs: 1 of 1 file named by rows is in the snapshot");
        assert_eq!(
            beside.as_deref(),
            Some(
                "1 was written after the capture; 1 file below attachments that no row names; \
                 2 captures until nothing changed"
            )
        );
        let none = References { named: 0, present: 0, ..set() };
        assert_eq!(references(&none, "").0, "no row names a file");
        let failed = References { failure: Some("no such column: x".to_owned()), ..set() };
        assert_eq!(references(&failed, "").0, "could not be looked up: no such column: x");
    }

    #[test]
    fn changes_of_rows_are_sorted_and_bounded() {
        let change = |table: &str, before, after| RowChange { table: table.into(), before, after };
        let changes = [
            change("attachments", Some(10), Some(8)),
            change("components", Some(1), Some(4)),
            change("stock_transactions", Some(100), Some(1_141)),
        ];
        assert_eq!(
            row_changes(&changes),
            "+1,041 stock_transactions, +3 components, -2 attachments"
        );
        assert_eq!(row_changes(&[change("a", None, Some(1))]), "new table a with 1 row");
        assert_eq!(row_changes(&[change("b", Some(2), None)]), "table b gone with 2 rows");
        let many: Vec<_> = (0..10).map(|n| change(&format!("t{n}"), Some(0), Some(1))).collect();
        assert!(row_changes(&many).ends_with(", +1 t7, and 2 more tables"));
    }
}
