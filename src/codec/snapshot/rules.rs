//! What must hold within one record.

use std::collections::BTreeSet;

use crate::codec::Extension;
use crate::codec::envelope::Rules;
use crate::codec::names::{
    MAX_NAME_BYTES, absolute_path_fault, length_fault, path_fault, required_fault,
    source_name_fault, tag_fault,
};
use crate::codec::snapshot::{
    DatabaseIdentity, DatabaseRecord, FileIdentity, Knowledge, MAX_FINDINGS, MAX_REFERENCES,
    MAX_ROOTS, MAX_SEQUENCE, MAX_SIBLINGS, MAX_TAGS, References, Root, SnapshotRecord,
};
use crate::id::SnapshotId;

/// Header of a write-ahead log.
const WAL_HEADER_BYTES: usize = 32;

impl Rules for SnapshotRecord {
    fn broken_rule(&self) -> Option<&'static str> {
        if self.sequence >= MAX_SEQUENCE {
            return Some("a sequence of 2^48 or more");
        }
        if self.findings.len() > MAX_FINDINGS || self.findings_total < self.findings.len() as u64 {
            return Some("more findings than may be listed, or than were counted");
        }
        source_name_fault(&self.source)
            .or_else(|| required_fault(&self.zone, MAX_NAME_BYTES))
            .or_else(|| {
                [&self.host, &self.user, &self.version]
                    .iter()
                    .find_map(|name| length_fault(name, MAX_NAME_BYTES))
            })
            .or_else(|| roots_fault(&self.roots))
            .or_else(|| tags_fault(&self.tags))
            .or_else(|| databases_fault(&self.databases, self.roots.len()))
            .or_else(|| present_fault(&self.siblings.present))
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        let databases = self.databases.iter().map(|database| database.extensions.as_slice());
        std::iter::once(self.extensions.as_slice()).chain(databases)
    }
}

/// The order of these lists is the writer's: it says nothing, and a record must not fail by it.
pub(in crate::codec) fn each_once<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}

fn roots_fault(roots: &[Root]) -> Option<&'static str> {
    if !(1..=MAX_ROOTS).contains(&roots.len()) {
        return Some("no roots, or more than a source may have");
    }
    if !each_once(roots.iter().map(|root| &*root.path)) {
        return Some("the same root twice");
    }
    roots.iter().find_map(|root| absolute_path_fault(&root.path))
}

fn tags_fault(tags: &[String]) -> Option<&'static str> {
    if tags.len() > MAX_TAGS {
        return Some("more tags than a snapshot may be born with");
    }
    if !each_once(tags) {
        return Some("the same tag twice");
    }
    tags.iter().find_map(|tag| tag_fault(tag))
}

/// What is wrong with a list of the snapshots that were there, if something is.
pub(in crate::codec) fn present_fault(present: &[SnapshotId]) -> Option<&'static str> {
    if present.len() > MAX_SIBLINGS {
        return Some("more snapshots than a source may have");
    }
    (!each_once(present)).then_some("the same snapshot twice")
}

fn databases_fault(databases: &[DatabaseRecord], roots: usize) -> Option<&'static str> {
    if !each_once(databases.iter().map(|database| (database.root, &*database.path))) {
        return Some("the same database twice");
    }
    if databases.iter().any(|database| database.root as usize >= roots) {
        return Some("a database below a root that is not there");
    }
    databases.iter().find_map(DatabaseRecord::broken_rule)
}

impl DatabaseRecord {
    fn broken_rule(&self) -> Option<&'static str> {
        let size = self.page_size;
        if size != 0 && !(size.is_power_of_two() && (512..=65_536).contains(&size)) {
            return Some("an impossible page size");
        }
        if self.references.len() > MAX_REFERENCES {
            return Some("more sets of references than a database may have");
        }
        path_fault(&self.path)
            .or_else(|| self.knowledge.as_ref().and_then(Knowledge::broken_rule))
            .or_else(|| self.references.iter().find_map(References::broken_rule))
            .or_else(|| self.identity.as_ref().and_then(DatabaseIdentity::broken_rule))
    }
}

impl DatabaseIdentity {
    fn broken_rule(&self) -> Option<&'static str> {
        if self.wal_header.len() > WAL_HEADER_BYTES {
            return Some("more of a log than its header");
        }
        let files = [Some(&self.main), self.wal.as_ref(), self.journal.as_ref()];
        files.into_iter().flatten().find_map(FileIdentity::broken_rule)
    }
}

impl FileIdentity {
    fn broken_rule(&self) -> Option<&'static str> {
        self.mtime.broken_rule().or_else(|| self.ctime.broken_rule())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::manifest::FileTime;
    use crate::codec::snapshot::{
        Counts, Finding, FindingKind, MAX_TABLES, Outcome, Siblings, TableRows, blank,
    };
    use crate::codec::{ByteString, Durable};
    use crate::id::BlobId;

    fn identity() -> DatabaseIdentity {
        let time = FileTime { secs: 5, nanos: 6 };
        let main = FileIdentity { device: 1, inode: 2, size: 3, mtime: time, ctime: time };
        DatabaseIdentity {
            main,
            wal: Some(main),
            wal_header: [9; 32].as_slice().into(),
            journal: None,
        }
    }

    fn database(path: &str) -> DatabaseRecord {
        DatabaseRecord {
            page_count: 10,
            len: 40_960,
            captured_at_ns: 4,
            identity: Some(identity()),
            version: Some(BlobId::from_bytes([6; 32])),
            references: vec![references()],
            ..blank::database(path, Some(knowledge()))
        }
    }

    fn knowledge() -> Knowledge {
        let table = |name: &str| TableRows { name: name.into(), rows: 9 };
        Knowledge {
            application_id: 0,
            user_version: -1,
            schema: Some([5; 32]),
            alembic_revision: Some("7cb259170036".into()),
            tables: vec![table("a"), table("b")],
            tables_left_out: 0,
        }
    }

    fn references() -> References {
        References {
            name: "partshub".into(),
            base: "attachments".into(),
            named: 10,
            present: 8,
            accepted: 2,
            newer: 1,
            orphans: 3,
            rounds: 2,
            failure: None,
        }
    }

    fn finding(message: &str) -> Finding {
        let (kind, message) = (FindingKind::Source, message.to_owned());
        Finding { kind, subject: "x".into(), message, accepted: false }
    }

    fn record() -> SnapshotRecord {
        SnapshotRecord {
            sequence: 1,
            time_ns: 2,
            started_ns: 2,
            finished_ns: 3,
            zone: "Europe/Zurich".into(),
            source: "partshub".into(),
            roots: vec![root("/app/data"), root("/")],
            host: "attic".into(),
            user: String::new(),
            version: "0.1.0".into(),
            parent: None,
            manifest: BlobId::from_bytes([3; 32]),
            outcome: Outcome::WithFindings,
            counts: Counts::default(),
            databases: vec![database("b.db"), database("a.db")],
            tags: vec!["z".into(), "a".into()],
            findings: vec![finding("y")],
            findings_total: 2,
            siblings: Siblings { present: present(&[2, 1]) },
            extensions: Vec::new(),
        }
    }

    fn root(path: &str) -> Root {
        Root { path: path.into() }
    }

    fn present(ids: &[u8]) -> Vec<SnapshotId> {
        ids.iter().map(|byte| SnapshotId::from_bytes([*byte; 32])).collect()
    }

    #[test]
    fn a_sound_record_round_trips() {
        assert_eq!(SnapshotRecord::decode(&record().encode().unwrap()), Ok(record()));
    }

    #[test]
    fn broken_records_are_refused() {
        let breaks: [fn(&mut SnapshotRecord); 22] = [
            |record| record.databases[0].references[0].present = 11,
            |record| record.databases[0].references[0].accepted = 3,
            |record| record.databases[0].references = vec![references(); MAX_REFERENCES + 1],
            |record| record.databases[0].knowledge.as_mut().unwrap().tables.reverse(),
            |record| {
                let name = Some("r".repeat(MAX_NAME_BYTES + 1));
                record.databases[0].knowledge.as_mut().unwrap().alembic_revision = name;
            },
            |record| record.sequence = MAX_SEQUENCE,
            |record| record.zone.clear(),
            |record| record.source = "a/b".into(),
            |record| record.roots.clear(),
            |record| record.roots[1] = root("/app/data"),
            |record| record.roots[1] = root("data"),
            |record| record.roots = (0..=MAX_ROOTS).map(|n| root(&format!("/{n}"))).collect(),
            |record| record.host = "x".repeat(256),
            |record| record.tags = vec!["a".into(), "a".into()],
            |record| record.tags = vec![String::new()],
            |record| record.findings_total = 0,
            |record| record.siblings.present = present(&[2, 1, 2]),
            |record| record.databases[1] = database("b.db"),
            |record| record.databases[0].root = 2,
            |record| record.databases[0].page_size = 4095,
            |record| record.databases[0].path = "a/../b".into(),
            |record| {
                let identity =
                    DatabaseIdentity { wal_header: ByteString::from(vec![0; 33]), ..identity() };
                record.databases[0].identity = Some(identity);
            },
        ];
        for (number, break_it) in breaks.iter().enumerate() {
            let mut broken = record();
            break_it(&mut broken);
            assert!(broken.encode().is_err(), "break {number}");
        }
    }

    #[test]
    fn findings_give_way_to_the_limit() {
        let mut large = record();
        large.findings = vec![finding(&"m".repeat(5000)); MAX_FINDINGS + 1];
        large.findings_total = 5000;
        let bytes = large.encode_fitting().unwrap();
        let limit = SnapshotRecord::KIND.limit_bytes();
        assert!(bytes.len() <= limit && bytes.len() > limit - 5100, "{} bytes", bytes.len());
        let read = SnapshotRecord::decode(&bytes).unwrap();
        assert_eq!(read.findings_total, 5000);
        assert_eq!(read, large);
    }

    #[test]
    fn counts_of_rows_give_way_after_findings() {
        let mut large = record();
        let table = |n| TableRows { name: format!("{n:0>200}"), rows: 1 };
        let tables: Vec<_> = (0..MAX_TABLES).map(table).collect();
        large.databases = (0..4).map(|n| database(&format!("{n}.db"))).collect();
        for database in &mut large.databases {
            database.knowledge = Some(Knowledge { tables: tables.clone(), ..knowledge() });
        }
        large.encode_fitting().unwrap();
        assert!(large.findings.is_empty() && large.findings_total == 2);
        let known = large.databases[3].knowledge.as_ref().unwrap();
        assert_eq!(
            (known.tables.len(), known.tables_left_out),
            (0, u32::try_from(MAX_TABLES).unwrap())
        );
    }
}
