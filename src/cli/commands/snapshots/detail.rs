//! All that one snapshot knows of itself and of its databases.

use std::time::Duration;

use larder::codec::snapshot::{CheckResult, DatabaseRecord, Finding, Knowledge, SnapshotRecord};

use super::{Kept, Tagged};
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::output::escape::printable;
use crate::cli::output::table::{self, Column};
use crate::cli::output::units::{bytes, count, duration, many};
use crate::cli::output::{known, times};

/// Digits of a schema's hash: enough to see that two differ.
const HASH_DIGITS: usize = 12;

/// The page of a snapshot.
pub(super) fn page(context: &Context, (snapshot, tags): &Tagged<'_>, kept: &Kept) -> Result<()> {
    if context.console.is_quiet() {
        return context.console.line(&snapshot.id.to_string());
    }
    let record = &snapshot.record;
    let mut lines = vec![format!("snapshot     {}", snapshot.id)];
    lines.extend(about(context, record, tags));
    lines.extend(kept.in_full(snapshot.id).map(|text| line("kept as", &text)));
    for database in &record.databases {
        lines.push(String::new());
        lines.extend(of_database(context, record, database));
    }
    if !record.findings.is_empty() {
        lines.push(String::new());
        lines.extend(findings(record));
    }
    lines.iter().try_for_each(|line| context.console.line(line.trim_end()))
}

fn about(context: &Context, record: &SnapshotRecord, tags: &[String]) -> Vec<String> {
    let zone = &context.settings.zone.rules;
    let nanos = u64::try_from(record.finished_ns.saturating_sub(record.started_ns)).unwrap_or(0);
    let took = duration(Duration::from_nanos(nanos));
    let counts = record.counts;
    let text = |text: &str| printable(text.as_bytes()).into_owned();
    let roots: Vec<_> = record.roots.iter().map(|it| printable(&it.path).into_owned()).collect();
    let mut lines = vec![
        line("taken", &format!("{}, in {took}", times::long(record.time_ns, zone))),
        line("source", &format!("{}  {}", text(&record.source), roots.join(" "))),
        line(
            "by",
            &format!(
                "{} on {}, larder {}",
                text(&record.user),
                text(&record.host),
                text(&record.version)
            ),
        ),
        line("files", &format!("{}, {}", many(counts.files, "file"), bytes(counts.bytes))),
        line(
            "added",
            &format!(
                "{}, of {} before compression",
                bytes(counts.new_stored_bytes),
                bytes(counts.new_plain_bytes)
            ),
        ),
    ];
    if record.started_ns != record.time_ns {
        lines.insert(1, line("", &format!("really run {}", times::long(record.started_ns, zone))));
    }
    if !tags.is_empty() {
        lines.push(line("tags", &tags.iter().map(|it| text(it)).collect::<Vec<_>>().join(" ")));
    }
    lines
}

fn of_database(
    context: &Context,
    record: &SnapshotRecord,
    database: &DatabaseRecord,
) -> Vec<String> {
    let zone = &context.settings.zone.rules;
    let captured = times::long(database.captured_at_ns, zone);
    let mut lines = vec![
        format!("database     {}  {}", known::name(record, database), bytes(database.len)),
        line("state", &known::state(database)),
    ];
    if let CheckResult::Failed(why) | CheckResult::NotRun(why) = &database.check {
        lines.push(line("", &printable(why.as_bytes())));
    }
    lines.push(line("captured", &format!("{captured}, {}", known::method(database.method))));
    if database.page_size > 0 {
        let pages = many(database.page_count, "page");
        let size = count(u64::from(database.page_size));
        let mode = known::journal_mode(database.journal_mode);
        lines.push(line("pages", &format!("{pages} of {size} bytes, {mode}")));
    }
    if let Some(knowledge) = &database.knowledge {
        lines.push(line("schema", &schema(knowledge)));
    }
    for set in &database.references {
        let whose = format!("{}: ", printable(set.name.as_bytes()));
        let (said, beside) = known::references(set, &whose);
        lines.push(line("references", &said));
        lines.extend(beside.map(|beside| line("", &beside)));
    }
    lines.extend(database.knowledge.iter().flat_map(rows));
    lines
}

fn schema(knowledge: &Knowledge) -> String {
    let alembic = knowledge.alembic_revision.as_ref();
    let parts = [
        alembic.map(|it| format!("Alembic revision {}", printable(it.as_bytes()))),
        Some(format!("user_version {}", knowledge.user_version)),
        Some(format!("application_id {}", knowledge.application_id)),
        knowledge.schema.map(|it| {
            format!("hash {}", known::hex(&it).chars().take(HASH_DIGITS).collect::<String>())
        }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Rows of each table, a line each.
fn rows(knowledge: &Knowledge) -> Vec<String> {
    let columns = [Column::left(""), Column::right("")];
    let tables: Vec<_> = knowledge
        .tables
        .iter()
        .map(|it| vec![printable(it.name.as_bytes()).into_owned(), count(it.rows)])
        .collect();
    let total: u64 = knowledge.tables.iter().map(|it| it.rows).sum();
    let mut head = format!("{} in {}", many(total, "row"), many(tables.len() as u64, "table"));
    if knowledge.tables_left_out > 0 {
        head =
            format!("{head}; {} not counted", many(u64::from(knowledge.tables_left_out), "table"));
    }
    let mut lines = vec![line("rows", &head)];
    lines.extend(table::lines(&columns, &tables).iter().map(|it| line("", it)));
    lines
}

fn findings(record: &SnapshotRecord) -> Vec<String> {
    let said = |finding: &Finding| {
        let accepted = if finding.accepted { " (accepted)" } else { "" };
        let subject = printable(&finding.subject);
        line("", &format!("{subject}: {}{accepted}", printable(finding.message.as_bytes())))
    };
    let mut lines = vec![format!("{}", many(record.findings_total, "finding"))];
    lines.extend(record.findings.iter().map(said));
    let more = record.findings_total.saturating_sub(record.findings.len() as u64);
    if more > 0 {
        lines.push(line("", &format!("and {} more, which nobody wrote down", count(more))));
    }
    lines
}

fn line(label: &str, text: &str) -> String {
    format!("  {label:<11}{text}")
}
