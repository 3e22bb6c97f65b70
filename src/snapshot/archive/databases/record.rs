//! What is known of a captured database, and what is said of one that is less than a committed state.

use crate::codec::content::Content;
use crate::codec::manifest::{EntryKey, FileEntry, Origin};
use crate::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseLabel, DatabaseRecord, FindingKind, JournalMode,
};
use crate::snapshot::archive::late::Act;
use crate::sqlite::captured::Captured;

impl Act<'_, '_> {
    pub(super) fn report(&mut self, key: &EntryKey, record: &DatabaseRecord) {
        let what = match record.label {
            DatabaseLabel::Committed => match &record.check {
                CheckResult::NotRun(_) if record.len > 0 => Some("saved, but not checked"),
                _ => None,
            },
            DatabaseLabel::Recovered => Some("recovered from its journal in a private copy"),
            DatabaseLabel::CrashImage => {
                Some("saved as a crash would have left it: it could not be read through SQLite")
            }
            DatabaseLabel::SourceCorrupt => Some("the database itself is corrupt; saved as it is"),
            DatabaseLabel::Opaque if record.identity.is_none() => Some(
                "not readable as SQLite; its bytes changed as they were copied, or just before",
            ),
            DatabaseLabel::Opaque => {
                Some("not readable as SQLite; its bytes were saved as they are")
            }
        };
        let failed = match &record.check {
            CheckResult::Failed(problem) => format!(" (quick_check: {problem})"),
            CheckResult::NotRun(why) if record.label == DatabaseLabel::Committed => {
                format!(": quick_check did not run: {why}")
            }
            _ => String::new(),
        };
        if let Some(what) = what {
            // Bytes that changed while they were copied are not just unreadable: they are torn.
            let kind = match record.label {
                DatabaseLabel::Opaque if record.identity.is_some() => FindingKind::Opaque,
                _ => FindingKind::Database,
            };
            self.tally.finding_of(kind, key.clone(), format!("{what}{failed}"));
        }
    }
}

/// The entry of captured bytes, without them.
pub(super) fn file_entry(captured: &Captured) -> FileEntry {
    FileEntry {
        size: captured.len,
        content: Content::Inline(Vec::new()),
        sparse: None,
        origin: Origin::Database,
        read_at_ns: captured.started_ns,
    }
}

pub(super) fn record_of(key: &EntryKey, captured: &Captured) -> DatabaseRecord {
    DatabaseRecord {
        root: key.root,
        path: key.path.clone(),
        label: captured.label,
        method: captured.method,
        page_size: captured.page_size,
        page_count: captured.page_count,
        len: captured.len,
        journal_mode: captured.journal_mode,
        check: captured.check.clone(),
        captured_at_ns: captured.started_ns,
        identity: captured.identity.clone(),
        version: None,
        knowledge: captured.knowledge.clone(),
        references: Vec::new(),
        extensions: Vec::new(),
    }
}

/// The record of a database whose bytes were read like those of any file.
pub(in crate::snapshot::archive) fn record_as_it_lies(
    key: &EntryKey,
    file: &FileEntry,
    why: &str,
) -> DatabaseRecord {
    DatabaseRecord {
        root: key.root,
        path: key.path.clone(),
        label: DatabaseLabel::Opaque,
        method: CaptureMethod::RawCopy,
        page_size: 0,
        page_count: 0,
        len: file.size,
        journal_mode: JournalMode::Unknown,
        check: CheckResult::NotRun(why.to_owned()),
        captured_at_ns: file.read_at_ns,
        identity: None,
        version: None,
        knowledge: None,
        references: Vec::new(),
        extensions: Vec::new(),
    }
}
