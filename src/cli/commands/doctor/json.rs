//! What doctor says to programs.

use larder::ops::doctor::{
    Concern, ConcernKind, Examined, ExaminedDatabase, Names, Origin, PathColumn, Place, State,
};
use serde::Serialize;

use super::{Said, paste};
use crate::cli::failure::Result;
use crate::cli::output::json::database::{KnowledgeBody, check, journal_mode, method};
use crate::cli::output::json::{Document, Path};
use crate::cli::output::known::label;

#[derive(Serialize)]
struct Body {
    directory: Path,
    files: u64,
    size_bytes: u64,
    databases: Vec<DatabaseBody>,
    repository: Option<PlaceBody>,
    spool: PlaceBody,
    spool_need_bytes: u64,
    sqlite_version: &'static str,
    shared_file_system: Option<&'static str>,
    volume: Option<String>,
    in_container: bool,
    concerns: Vec<ConcernBody>,
    configuration: Option<String>,
    exit_code: u8,
}

#[derive(Serialize)]
struct DatabaseBody {
    #[serde(flatten)]
    path: Path,
    size_bytes: u64,
    in_use: bool,
    holders: Vec<HolderBody>,
    state: Option<StateBody>,
    error: Option<String>,
    references: Vec<ReferencesBody>,
    elsewhere: Vec<ColumnBody>,
}

#[derive(Serialize)]
struct HolderBody {
    pid: u32,
    command: String,
}

#[derive(Serialize)]
struct StateBody {
    label: &'static str,
    method: &'static str,
    journal_mode: &'static str,
    page_size_bytes: u32,
    page_count: u64,
    size_bytes: u64,
    check: &'static str,
    check_detail: Option<String>,
    knowledge: Option<KnowledgeBody>,
}

#[derive(Serialize)]
struct ReferencesBody {
    name: String,
    origin: &'static str,
    columns: Vec<String>,
    base: Path,
    sql: String,
    named: u64,
    present: u64,
    missing_total: u64,
    missing: Vec<Path>,
    other_size_total: u64,
    other_size: Vec<Path>,
    refused_total: u64,
    refused: Vec<Path>,
    orphans_total: u64,
    orphans: Vec<Path>,
    failure: Option<String>,
}

#[derive(Serialize)]
struct ColumnBody {
    table: String,
    column: String,
    example: Path,
}

#[derive(Serialize)]
struct PlaceBody {
    #[serde(flatten)]
    path: Path,
    exists: bool,
    same_file_system: bool,
    inside: bool,
    free_bytes: Option<u64>,
}

#[derive(Serialize)]
struct ConcernBody {
    kind: &'static str,
    #[serde(flatten)]
    path: Path,
    message: String,
}

impl Said<'_> {
    /// All of it in one document.
    pub(super) fn document(&self) -> Result<()> {
        let (report, around) = (self.report, &self.report.surroundings);
        self.context.console.document(&Document::new(Body {
            directory: Path::of(report.dir.as_os_str().as_encoded_bytes()),
            files: report.files,
            size_bytes: report.bytes,
            databases: report.databases.iter().map(DatabaseBody::of).collect(),
            repository: around.repository.as_ref().map(PlaceBody::of),
            spool: PlaceBody::of(&around.spool),
            spool_need_bytes: around.spool_need_bytes,
            sqlite_version: around.sqlite_version,
            shared_file_system: around.shared_file_system,
            volume: around.volume.clone(),
            in_container: around.in_container,
            concerns: self.concerns.iter().map(ConcernBody::of).collect(),
            configuration: paste::configuration(report),
            exit_code: self.exit().code(),
        }))
    }
}

impl DatabaseBody {
    fn of(database: &ExaminedDatabase) -> Self {
        let holders = database.holders.iter();
        Self {
            path: Path::of(&database.path),
            size_bytes: database.file_bytes,
            in_use: database.is_in_use || !database.holders.is_empty(),
            holders: holders
                .map(|it| HolderBody { pid: it.pid, command: it.command.clone() })
                .collect(),
            state: database.state.as_ref().ok().map(StateBody::of),
            error: database.state.as_ref().err().cloned(),
            references: database.references.iter().map(ReferencesBody::of).collect(),
            elsewhere: database.elsewhere.iter().map(ColumnBody::of).collect(),
        }
    }
}

impl StateBody {
    fn of(state: &State) -> Self {
        let (check, check_detail) = check(&state.check);
        Self {
            label: label(state.label),
            method: method(state.method),
            journal_mode: journal_mode(state.journal_mode),
            page_size_bytes: state.page_size,
            page_count: state.page_count,
            size_bytes: state.len,
            check,
            check_detail,
            knowledge: state.knowledge.as_ref().map(KnowledgeBody::of),
        }
    }
}

impl ReferencesBody {
    fn of(set: &Examined) -> Self {
        let (origin, columns) = match &set.origin {
            Origin::BuiltIn => ("built_in", Vec::new()),
            Origin::Configured => ("configured", Vec::new()),
            Origin::Found(columns) => ("found", columns.clone()),
        };
        Self {
            name: set.query.name.clone(),
            origin,
            columns,
            base: Path::of(&set.base),
            sql: set.query.sql.clone(),
            named: set.named,
            present: set.present,
            missing_total: set.missing.total,
            missing: paths(&set.missing),
            other_size_total: set.other_size.total,
            other_size: paths(&set.other_size),
            refused_total: set.refused.total,
            refused: paths(&set.refused),
            orphans_total: set.orphans.total,
            orphans: paths(&set.orphans),
            failure: set.failure.clone(),
        }
    }
}

fn paths(names: &Names) -> Vec<Path> {
    names.first.iter().map(|name| Path::of(name)).collect()
}

impl ColumnBody {
    fn of(column: &PathColumn) -> Self {
        Self {
            table: column.table.clone(),
            column: column.column.clone(),
            example: Path::of(&column.example),
        }
    }
}

impl PlaceBody {
    fn of(place: &Place) -> Self {
        Self {
            path: Path::of(place.path.as_os_str().as_encoded_bytes()),
            exists: place.exists,
            same_file_system: place.same_file_system,
            inside: place.inside,
            free_bytes: place.space.map(|space| space.available_bytes),
        }
    }
}

impl ConcernBody {
    fn of(concern: &Concern) -> Self {
        Self {
            kind: match concern.kind {
                ConcernKind::NoDatabase => "no_database",
                ConcernKind::Database => "database",
                ConcernKind::Unreadable => "unreadable",
                ConcernKind::Dangling => "dangling",
                ConcernKind::Elsewhere => "elsewhere",
                ConcernKind::Undeclared => "undeclared",
                ConcernKind::Reference => "reference",
                ConcernKind::Repository => "repository",
                ConcernKind::Space => "space",
                ConcernKind::FileSystem => "file_system",
            },
            path: Path::of(&concern.subject),
            message: concern.message.clone(),
        }
    }
}
