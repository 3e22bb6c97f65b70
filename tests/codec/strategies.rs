//! Arbitrary sound values of every structure.

use std::collections::{BTreeMap, BTreeSet};

use larder::codec::config::{ChunkerConfig, CipherSuite, Config};
use larder::codec::content::{ChunkRef, Content, ContentList};
use larder::codec::fact::{Fact, Statement, Subject};
use larder::codec::manifest::{
    Child, Entry, EntryKey, EntryKind, Extent, FileEntry, FileTime, Node, NodeBody, Origin, Xattr,
};
use larder::codec::pack::{Encoding, Header, PackClass, Trailer, TrailerEntry};
use larder::codec::policy::{FOR_EVER, PolicyRecord};
use larder::codec::session::SessionRecord;
use larder::codec::snapshot::{
    CaptureMethod, CheckResult, Counts, DatabaseIdentity, DatabaseLabel, DatabaseRecord,
    FileIdentity, Finding, FindingKind, JournalMode, Knowledge, Outcome, References, Root,
    Siblings, SnapshotRecord, TableRows,
};
use larder::codec::version::{Base, Layer, SegmentRef, VersionRecord};
use larder::codec::{ByteString, Extension};
use larder::id::{BlobId, BlobType, Check, FindingId, PackId, RepositoryId, SessionId, SnapshotId};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn bytes(most: usize) -> impl Strategy<Value = ByteString> {
    vec(any::<u8>(), 0..=most).prop_map(ByteString::from)
}

fn extensions() -> impl Strategy<Value = Vec<Extension>> {
    btree_map(0_u32..1 << 31, bytes(20), 0..3)
        .prop_map(|map| map.into_iter().map(|(tag, bytes)| Extension { tag, bytes }).collect())
}

fn blob_id() -> impl Strategy<Value = BlobId> {
    any::<[u8; 32]>().prop_map(BlobId::from_bytes)
}

fn snapshot_id() -> impl Strategy<Value = SnapshotId> {
    any::<[u8; 32]>().prop_map(SnapshotId::from_bytes)
}

fn present() -> impl Strategy<Value = Vec<SnapshotId>> {
    btree_set(snapshot_id(), 0..5).prop_map(|ids| ids.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .\u{e4}\u{20ac}-]{1,20}"
}

fn sequence() -> impl Strategy<Value = u64> {
    0..1_u64 << 48
}

/// Paths of one to four components, with bytes that no text has.
fn path() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("a byte of a name", |byte| !matches!(byte, 0 | b'/'));
    let component = vec(byte, 1..8).prop_filter("a name", |name| name != b"." && name != b"..");
    vec(component, 1..5).prop_map(|parts| parts.join(&b'/'))
}

fn key() -> impl Strategy<Value = EntryKey> {
    let path = prop_oneof![1 => Just(Vec::new()), 9 => path()];
    (0_u32..3, path).prop_map(|(root, path)| EntryKey { root, path: path.into() })
}

fn file_time() -> impl Strategy<Value = FileTime> {
    (any::<i64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| FileTime { secs, nanos })
}

fn chunk() -> impl Strategy<Value = ChunkRef> {
    (blob_id(), 1_u64..=1 << 24).prop_map(|(id, len)| ChunkRef { id, len })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        vec(chunk(), 0..6).prop_map(Content::Inline),
        (blob_id(), 1..=u64::MAX >> 20).prop_map(|(root, len)| Content::List { root, len }),
        (blob_id(), 1..=u64::MAX >> 20).prop_map(|(record, len)| Content::Version { record, len }),
    ]
}

/// The content cut into extents with holes before, between and after them.
fn extents(len: u64, holes: &[u64]) -> (u64, Vec<Extent>) {
    let parts = (holes.len() as u64).min(len);
    let (mut at, mut left, mut extents) = (0, len, Vec::new());
    for (hole, parts_left) in holes.iter().zip((1..=parts).rev()) {
        let take = if parts_left == 1 { left } else { left / parts_left };
        at += hole;
        extents.push(Extent { offset: at, len: take });
        at += take;
        left -= take;
    }
    (at + holes.first().unwrap_or(&1), extents)
}

fn file() -> impl Strategy<Value = EntryKind> {
    let origin = select(vec![Origin::Read, Origin::Unstable, Origin::Database]);
    let holes = option::of(vec(1_u64..5000, 1..4));
    (content(), holes, origin, any::<i64>()).prop_map(|(content, holes, origin, read_at_ns)| {
        let len = content.len_bytes().unwrap();
        let (size, sparse) = match holes {
            None => (len, None),
            Some(holes) => {
                let (size, extents) = extents(len, &holes);
                (size, Some(extents))
            }
        };
        EntryKind::File(FileEntry { size, content, sparse, origin, read_at_ns })
    })
}

fn entry_kind() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        4 => file(),
        1 => Just(EntryKind::Directory),
        1 => path().prop_map(|target| EntryKind::Symlink { target: target.into() }),
        1 => select(vec![EntryKind::Fifo, EntryKind::Socket]),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| EntryKind::CharDevice { major, minor }),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
    ]
}

fn xattrs() -> impl Strategy<Value = Vec<Xattr>> {
    btree_map("[a-z.]{1,10}", bytes(30), 0..3).prop_map(|map| {
        map.into_iter().map(|(name, value)| Xattr { name: name.as_str().into(), value }).collect()
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let owner = (0_u32..=0o7777, any::<u32>(), any::<u32>());
    let times = (file_time(), file_time());
    let inode = (any::<u64>(), any::<u64>(), any::<u32>());
    (key(), entry_kind(), owner, times, inode, xattrs(), extensions()).prop_map(
        |(
            key,
            kind,
            (mode, uid, gid),
            (mtime, ctime),
            (device, inode, links),
            xattrs,
            extensions,
        )| Entry {
            key,
            kind,
            mode,
            uid,
            gid,
            mtime,
            ctime,
            device,
            inode,
            links,
            xattrs,
            extensions,
        },
    )
}

fn leaf() -> impl Strategy<Value = NodeBody> {
    vec(entry(), 0..6).prop_map(|mut entries| {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries.dedup_by(|one, other| one.key == other.key);
        NodeBody::Leaf(entries)
    })
}

fn inner_node() -> impl Strategy<Value = NodeBody> {
    let child = (key(), blob_id(), 1_u64..1 << 40, any::<u64>());
    (1_u8..=32, vec(child, 1..6)).prop_map(|(level, children)| {
        let by_key: BTreeMap<EntryKey, Child> = children
            .into_iter()
            .map(|(first, id, entries, bytes)| (first.clone(), Child { first, id, entries, bytes }))
            .collect();
        NodeBody::Inner { level, children: by_key.into_values().collect() }
    })
}

pub(super) fn node() -> impl Strategy<Value = Node> {
    let body = prop_oneof![leaf(), inner_node()];
    (body, extensions()).prop_map(|(body, extensions)| Node { body, extensions })
}

pub(super) fn list() -> impl Strategy<Value = ContentList> {
    (0_u8..=8, vec(chunk(), 1..10), extensions())
        .prop_map(|(level, items, extensions)| ContentList { level, items, extensions })
}

pub(super) fn config() -> impl Strategy<Value = Config> {
    let chunker = (128_u32..=1 << 21).prop_flat_map(|half| (Just(half), half..=1 << 24));
    (any::<[u8; 32]>(), any::<i64>(), chunker, extensions()).prop_map(
        |(repository, created_ns, (half, whole_file_bytes), extensions)| Config {
            repository: RepositoryId::from_bytes(repository),
            created_ns,
            chunker: ChunkerConfig { average_bytes: half * 2, whole_file_bytes },
            cipher: CipherSuite::None,
            extensions,
        },
    )
}

pub(super) fn session() -> impl Strategy<Value = SessionRecord> {
    (any::<[u8; 16]>(), name(), any::<u32>(), "\\PC{0,40}", any::<i64>(), extensions()).prop_map(
        |(session, host, pid, command, since_ns, extensions)| SessionRecord {
            session: SessionId::from_bytes(session),
            host,
            pid,
            command,
            since_ns,
            extensions,
        },
    )
}

fn policy() -> impl Strategy<Value = PolicyRecord> {
    let count = || prop_oneof![Just(0), Just(FOR_EVER), any::<u32>()];
    let counts = [count(), count(), count(), count(), count()];
    (counts, any::<Option<u64>>(), btree_set(name(), 0..4), name()).prop_map(
        |([hourly, daily, weekly, monthly, yearly], within_s, tags, zone)| {
            let tags = tags.into_iter().collect();
            PolicyRecord { last: 1, hourly, daily, weekly, monthly, yearly, within_s, tags, zone }
        },
    )
}

fn pinned() -> impl Strategy<Value = Statement> {
    prop_oneof![
        select(vec![Statement::Holds, Statement::HoldsNot]),
        any::<i64>().prop_map(Statement::HoldsUntil),
    ]
}

fn said() -> impl Strategy<Value = (Subject, Statement)> {
    let ids = btree_set(any::<[u8; 16]>().prop_map(FindingId::from_bytes), 0..5);
    let findings = (name(), ids).prop_map(|(source, findings)| {
        let findings = findings.into_iter().collect();
        Statement::Findings { source, findings }
    });
    let holds = || select(vec![Statement::Holds, Statement::HoldsNot]);
    let needed = any::<(bool, bool, bool)>().prop_map(|(to_read, to_write, to_prune)| {
        Statement::Needed { to_read, to_write, to_prune }
    });
    let record = (name(), sequence(), present())
        .prop_map(|(source, sequence, present)| Statement::Record { source, sequence, present });
    let pack = any::<[u8; 32]>().prop_map(PackId::from_bytes);
    prop_oneof![
        (snapshot_id(), name(), holds())
            .prop_map(|(snapshot, tag, holds)| (Subject::Tag { snapshot, tag }, holds)),
        (pack, any::<u64>(), holds())
            .prop_map(|(pack, offset, holds)| (Subject::Damaged { pack, offset }, holds)),
        (name(), needed).prop_map(|(name, needed)| (Subject::Feature { name }, needed)),
        policy().prop_map(|policy| (Subject::Policy, Statement::Policy(policy))),
        (snapshot_id(), name(), pinned())
            .prop_map(|(snapshot, name, pinned)| (Subject::Pin { snapshot, name }, pinned)),
        (snapshot_id(), record)
            .prop_map(|(snapshot, record)| (Subject::Forgotten { snapshot }, record)),
        (snapshot_id(), findings)
            .prop_map(|(snapshot, findings)| (Subject::Accepted { snapshot }, findings)),
    ]
}

pub(super) fn fact() -> impl Strategy<Value = Fact> {
    (said(), sequence(), any::<i64>(), name(), extensions()).prop_map(
        |((subject, statement), sequence, time_ns, host, extensions)| Fact {
            subject,
            sequence,
            time_ns,
            host,
            statement,
            extensions,
        },
    )
}

pub(super) fn header() -> impl Strategy<Value = Header> {
    let class = select(vec![PackClass::Data, PackClass::BaseGroups, PackClass::Metadata]);
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 16]>(), class, extensions()).prop_map(
        |(salt, repository, session, class, extensions)| Header {
            salt,
            repository: RepositoryId::from_bytes(repository),
            session: SessionId::from_bytes(session),
            class,
            extensions,
        },
    )
}

pub(super) fn trailer() -> impl Strategy<Value = Trailer> {
    let blob_type = select(BlobType::ALL.to_vec());
    let lens = (any::<bool>(), 1_u32..=1 << 24, 1_u32..=1 << 24);
    let blob = (blob_type, blob_id(), lens, any::<[u8; 16]>());
    (1_u64..4096, vec(blob, 1..8), extensions()).prop_map(|(mut offset, blobs, extensions)| {
        let mut entries = Vec::new();
        for (blob_type, id, (raw, stored_len, plain_len), check) in blobs {
            let (encoding, plain_len, check) = if raw {
                (Encoding::Raw, stored_len, [0; 16])
            } else {
                (Encoding::Zstd, plain_len, check)
            };
            let check = Check::from_bytes(check);
            entries.push(TrailerEntry {
                blob_type,
                id,
                encoding,
                offset,
                stored_len,
                plain_len,
                check,
            });
            offset += u64::from(stored_len);
        }
        Trailer { entries, extensions }
    })
}

fn file_identity() -> impl Strategy<Value = FileIdentity> {
    (any::<u64>(), any::<u64>(), any::<u64>(), file_time(), file_time()).prop_map(
        |(device, inode, size, mtime, ctime)| FileIdentity { device, inode, size, mtime, ctime },
    )
}

fn identity() -> impl Strategy<Value = DatabaseIdentity> {
    (file_identity(), option::of(file_identity()), bytes(32), option::of(file_identity())).prop_map(
        |(main, wal, wal_header, journal)| DatabaseIdentity { main, wal, wal_header, journal },
    )
}

fn knowledge() -> impl Strategy<Value = Knowledge> {
    let tables = btree_map(name(), any::<u64>(), 0..4).prop_map(|tables| {
        tables.into_iter().map(|(name, rows)| TableRows { name, rows }).collect::<Vec<_>>()
    });
    let said = (any::<i32>(), any::<i32>(), option::of(any::<[u8; 32]>()), option::of(name()));
    (said, tables, any::<u32>()).prop_map(
        |((application_id, user_version, schema, alembic_revision), tables, tables_left_out)| {
            Knowledge {
                application_id,
                user_version,
                schema,
                alembic_revision,
                tables,
                tables_left_out,
            }
        },
    )
}

fn references() -> impl Strategy<Value = References> {
    let counts = (0..1_u64 << 40, 0..1_u64 << 40, any::<u64>(), any::<u32>());
    let parts = (0..=100_u64, 0..=100_u64);
    (name(), path(), counts, parts, option::of(name())).prop_map(
        |(name, base, (present, missing, orphans, rounds), (accepted, newer), failure)| {
            References {
                name,
                base: base.into(),
                named: present + missing,
                present,
                accepted: missing * accepted / 100,
                newer: present * newer / 100,
                orphans,
                rounds,
                failure,
            }
        },
    )
}

fn layer(below: u32) -> impl Strategy<Value = Layer> {
    let segments = vec((blob_id(), 1_u32..300), 0..4);
    (0..below, segments, any::<i64>(), name()).prop_map(move |(fewer, segments, time_ns, zone)| {
        let segments = segments.into_iter().map(|(id, pages)| SegmentRef { id, pages }).collect();
        Layer { page_count: below - fewer.min(below / 4), segments, time_ns, zone }
    })
}

/// Layers that shrink the database a little, so that none of them must hold new pages.
pub(super) fn version() -> impl Strategy<Value = VersionRecord> {
    let size = select(vec![512_u32, 4096, 65_536]);
    let sizes = (size, 5000_u32..1 << 20);
    let said = (blob_id(), any::<[u8; 32]>(), extensions());
    (sizes, said, vec(layer(1200), 0..4)).prop_map(
        |((page_size, page_count), (list, root, extensions), layers)| {
            let layers: Vec<_> =
                layers.into_iter().filter(|it| it.changed_pages() <= 900).take(1).collect();
            // No base may be more than twice the database and 4,096 pages long.
            let most = layers.first().map_or(page_count, |it| 2 * it.page_count + 4096);
            let base = Base { list, page_count: page_count.min(most) };
            VersionRecord { page_size, base, layers, root, extensions }
        },
    )
}

fn database() -> impl Strategy<Value = DatabaseRecord> {
    let label = select(vec![
        DatabaseLabel::Committed,
        DatabaseLabel::Recovered,
        DatabaseLabel::CrashImage,
        DatabaseLabel::SourceCorrupt,
        DatabaseLabel::Opaque,
    ]);
    let method = select(vec![
        CaptureMethod::OnlineBackup,
        CaptureMethod::Immutable,
        CaptureMethod::PrivateRecovery,
        CaptureMethod::RawCopy,
    ]);
    let check = prop_oneof![
        Just(CheckResult::QuickOk),
        name().prop_map(CheckResult::Failed),
        name().prop_map(CheckResult::NotRun),
    ];
    let numbers =
        (select(vec![0_u32, 512, 4096, 65_536]), any::<u64>(), any::<u64>(), any::<i64>());
    let mode = select(vec![JournalMode::Rollback, JournalMode::Wal, JournalMode::Unknown]);
    let inside = (option::of(blob_id()), option::of(knowledge()), vec(references(), 0..3));
    let ways = (label, method, mode);
    (key(), ways, numbers, check, option::of(identity()), inside, extensions()).prop_map(
        |(
            key,
            (label, method, journal_mode),
            (page_size, page_count, len, captured_at_ns),
            check,
            identity,
            (version, knowledge, references),
            extensions,
        )| {
            DatabaseRecord {
                root: key.root,
                path: key.path,
                label,
                method,
                page_size,
                page_count,
                len,
                journal_mode,
                check,
                captured_at_ns,
                identity,
                version,
                knowledge,
                references,
                extensions,
            }
        },
    )
}

fn databases() -> impl Strategy<Value = Vec<DatabaseRecord>> {
    vec(database(), 0..4).prop_map(|databases| {
        let key = |database: &DatabaseRecord| EntryKey {
            root: database.root,
            path: database.path.clone(),
        };
        let by_key: BTreeMap<EntryKey, DatabaseRecord> =
            databases.into_iter().map(|database| (key(&database), database)).collect();
        by_key.into_values().collect()
    })
}

fn roots() -> impl Strategy<Value = Vec<Root>> {
    btree_set(path(), 3..5).prop_map(|paths: BTreeSet<Vec<u8>>| {
        let absolute = |path: Vec<u8>| Root { path: [b"/".as_slice(), &path].concat().into() };
        paths.into_iter().map(absolute).collect()
    })
}

fn counts() -> impl Strategy<Value = Counts> {
    any::<[u64; 9]>().prop_map(
        |[
            files,
            dirs,
            others,
            bytes,
            new_files,
            changed_files,
            removed_files,
            new_plain_bytes,
            new_stored_bytes,
        ]| {
            Counts {
                files,
                dirs,
                others,
                bytes,
                new_files,
                changed_files,
                removed_files,
                new_plain_bytes,
                new_stored_bytes,
            }
        },
    )
}

fn findings() -> impl Strategy<Value = (Vec<Finding>, u64)> {
    let kind = select(vec![
        FindingKind::Source,
        FindingKind::Database,
        FindingKind::Dangling,
        FindingKind::Reference,
        FindingKind::Unreadable,
        FindingKind::Opaque,
        FindingKind::Row,
    ]);
    let finding = (kind, bytes(20), "\\PC{0,20}", any::<bool>()).prop_map(
        |(kind, subject, message, accepted)| Finding { kind, subject, message, accepted },
    );
    (vec(finding, 0..4), 4..=u64::MAX)
}

pub(super) fn snapshot() -> impl Strategy<Value = SnapshotRecord> {
    let times = (sequence(), any::<i64>(), any::<i64>(), any::<i64>());
    let names = (name(), name(), name(), name(), name());
    let lineage = (option::of(snapshot_id()), blob_id(), present());
    let outcome = select(vec![Outcome::Clean, Outcome::WithFindings]);
    let tags = btree_set(name(), 0..4).prop_map(|tags| tags.into_iter().collect());
    let said = (outcome, tags, findings(), extensions());
    (times, names, roots(), lineage, counts(), databases(), said).prop_map(
        |(times, names, roots, (parent, manifest, present), counts, databases, said)| {
            let (sequence, time_ns, started_ns, finished_ns) = times;
            let (zone, source, host, user, version) = names;
            let (outcome, tags, (findings, findings_total), extensions) = said;
            SnapshotRecord {
                sequence,
                time_ns,
                started_ns,
                finished_ns,
                zone,
                source,
                roots,
                host,
                user,
                version,
                parent,
                manifest,
                outcome,
                counts,
                databases,
                tags,
                findings,
                findings_total,
                siblings: Siblings { present },
                extensions,
            }
        },
    )
}
