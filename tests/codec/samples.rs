//! One fixed value of every structure: the vectors of `docs/format.md`, and where mutations begin.

use larder::codec::config::{ChunkerConfig, CipherSuite, Config};
use larder::codec::content::{ChunkRef, Content, ContentList};
use larder::codec::fact::{Fact, Statement, Subject};
use larder::codec::index::{Place, SegmentBuilder};
use larder::codec::manifest::{
    Child, Entry, EntryKey, EntryKind, Extent, FileEntry, FileTime, Node, NodeBody, Origin, Xattr,
};
use larder::codec::pack::{Encoding, Footer, Header, PackClass, Trailer, TrailerEntry};
use larder::codec::policy::{FOR_EVER, PolicyRecord};
use larder::codec::session::SessionRecord;
use larder::codec::snapshot::{
    CaptureMethod, CheckResult, Counts, DatabaseIdentity, DatabaseLabel, DatabaseRecord,
    FileIdentity, Finding, FindingKind, JournalMode, Knowledge, Outcome, References, Root,
    Siblings, SnapshotRecord, TableRows,
};
use larder::codec::version::{Base, Layer, SegmentRef, VersionRecord};
use larder::codec::{Durable, Extension};
use larder::id::{
    BlobId, BlobType, Check, FindingId, HashKeys, PackId, RepositoryId, SessionId, SnapshotId,
};

/// 00 01 02 ... 1f.
pub(super) fn repository() -> RepositoryId {
    RepositoryId::from_bytes(counting(0))
}

pub(super) fn keys() -> HashKeys {
    HashKeys::of_repository(&repository())
}

/// Bytes that count upwards, so that a reader of a vector sees where a field begins.
fn counting<const LEN: usize>(first: u8) -> [u8; LEN] {
    std::array::from_fn(|index| first.wrapping_add(u8::try_from(index).unwrap()))
}

fn extension() -> Extension {
    Extension { tag: 0x0000_0101, bytes: "later".into() }
}

pub(super) fn config() -> Config {
    Config {
        repository: repository(),
        created_ns: 1_795_320_000_000_000_000,
        chunker: ChunkerConfig { average_bytes: 1 << 20, whole_file_bytes: 4 << 20 },
        cipher: CipherSuite::None,
        extensions: vec![extension()],
    }
}

pub(super) fn session() -> SessionRecord {
    SessionRecord {
        session: SessionId::from_bytes(counting(0x20)),
        host: "attic".into(),
        pid: 4321,
        command: "larder backup /app/data".into(),
        since_ns: 1_795_320_000_000_000_000,
        extensions: Vec::new(),
    }
}

fn time(secs: i64) -> FileTime {
    FileTime { secs, nanos: 250_000_000 }
}

fn chunk(first: u8, len: u64) -> ChunkRef {
    ChunkRef { id: BlobId::from_bytes(counting(first)), len }
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry {
        key: EntryKey { root: 0, path: path.into() },
        kind,
        mode: 0o640,
        uid: 1000,
        gid: 100,
        mtime: time(1_795_300_000),
        ctime: time(1_795_300_001),
        device: 0x803,
        inode: 77,
        links: 1,
        xattrs: Vec::new(),
        extensions: Vec::new(),
    }
}

fn file(size: u64, content: Content, sparse: Option<Vec<Extent>>) -> EntryKind {
    let read_at_ns = 1_795_320_000_500_000_000;
    EntryKind::File(FileEntry { size, content, sparse, origin: Origin::Read, read_at_ns })
}

pub(super) fn leaf() -> Node {
    let ordinary = file(3000, Content::Inline(vec![chunk(0x40, 1000), chunk(0x60, 2000)]), None);
    let holes = Some(vec![Extent { offset: 4096, len: 4096 }]);
    let sparse = file(1 << 20, Content::Inline(vec![chunk(0x80, 4096)]), holes);
    let version = Content::Version { record: BlobId::from_bytes(counting(0xb0)), len: 8192 };
    let large = file(
        1 << 40,
        Content::List { root: BlobId::from_bytes(counting(0xa0)), len: 1 << 40 },
        None,
    );
    let mut tagged = entry("attachments/a.pdf", ordinary);
    tagged.xattrs = vec![Xattr { name: "user.note".into(), value: "x".into() }];
    tagged.extensions = vec![extension()];
    let entries = vec![
        entry("", EntryKind::Directory),
        entry("attachments", EntryKind::Directory),
        tagged,
        entry("attachments/sparse", sparse),
        entry("attachments-old", EntryKind::Symlink { target: "attachments".into() }),
        entry("dev", EntryKind::CharDevice { major: 1, minor: 3 }),
        entry("disk", EntryKind::BlockDevice { major: 8, minor: 1 }),
        entry("large", large),
        entry("partshub.db", file(8192, version, None)),
        entry("pipe", EntryKind::Fifo),
        entry("socket", EntryKind::Socket),
    ];
    Node { body: NodeBody::Leaf(entries), extensions: Vec::new() }
}

pub(super) fn inner() -> Node {
    let child = |path: &str, first: u8| Child {
        first: EntryKey { root: 0, path: path.into() },
        id: BlobId::from_bytes(counting(first)),
        entries: 100,
        bytes: 123_456,
    };
    let children = vec![child("", 0x10), child("attachments/b", 0x50)];
    Node { body: NodeBody::Inner { level: 1, children }, extensions: vec![extension()] }
}

pub(super) fn list() -> ContentList {
    ContentList {
        level: 1,
        items: vec![chunk(0x40, 1 << 30), chunk(0x70, 5)],
        extensions: Vec::new(),
    }
}

fn policy() -> PolicyRecord {
    PolicyRecord {
        last: 0,
        hourly: 0,
        daily: 7,
        weekly: 4,
        monthly: FOR_EVER,
        yearly: 0,
        within_s: Some(2 * 86_400),
        tags: vec!["keep".into()],
        zone: "Europe/Zurich".into(),
    }
}

pub(super) fn facts() -> Vec<Fact> {
    let snapshot = SnapshotId::from_bytes(counting(0x30));
    let needed = Statement::Needed { to_read: false, to_write: true, to_prune: true };
    let record =
        Statement::Record { source: "partshub".into(), sequence: 41, present: vec![snapshot] };
    let findings = Statement::Findings {
        source: "partshub".into(),
        findings: vec![FindingId::from_bytes(counting(0x20))],
    };
    let said = [
        (Subject::Tag { snapshot, tag: "keep".into() }, Statement::Holds),
        (
            Subject::Damaged { pack: PackId::from_bytes(counting(0x90)), offset: 96 },
            Statement::HoldsNot,
        ),
        (Subject::Feature { name: "parity".into() }, needed),
        (Subject::Policy, Statement::Policy(policy())),
        (Subject::Forgotten { snapshot }, record),
        (Subject::Accepted { snapshot }, findings),
        (
            Subject::Pin { snapshot, name: "upgrade".into() },
            Statement::HoldsUntil(1_795_406_400_000_000_000),
        ),
    ];
    let fact = |(subject, statement)| Fact {
        subject,
        sequence: 3,
        time_ns: 1_795_320_000_000_000_000,
        host: "attic".into(),
        statement,
        extensions: Vec::new(),
    };
    said.into_iter().map(fact).collect()
}

fn knowledge() -> Knowledge {
    let table = |name: &str, rows| TableRows { name: name.into(), rows };
    Knowledge {
        application_id: 0,
        user_version: 3,
        schema: Some(counting(0x20)),
        alembic_revision: Some("7cb259170036".into()),
        tables: vec![table("attachments", 5000), table("components", 4999)],
        tables_left_out: 1,
    }
}

fn references() -> References {
    References {
        name: "partshub".into(),
        base: "attachments".into(),
        named: 7023,
        present: 7022,
        accepted: 1,
        newer: 0,
        orphans: 60,
        rounds: 2,
        failure: None,
    }
}

pub(super) fn version() -> VersionRecord {
    let segment = |first: u8, pages| SegmentRef { id: BlobId::from_bytes(counting(first)), pages };
    let layer = |page_count, segments| Layer {
        page_count,
        segments,
        time_ns: 1_795_320_000_000_000_000,
        zone: "Europe/Zurich".into(),
    };
    VersionRecord {
        page_size: 4096,
        base: Base { list: BlobId::from_bytes(counting(0x40)), page_count: 1000 },
        layers: vec![layer(1010, vec![segment(0x60, 100), segment(0x80, 7)]), layer(990, vec![])],
        root: counting(0xa0),
        extensions: Vec::new(),
    }
}

fn database() -> DatabaseRecord {
    let file =
        |inode, size| FileIdentity { device: 0x803, inode, size, mtime: time(5), ctime: time(6) };
    DatabaseRecord {
        root: 0,
        path: "partshub.db".into(),
        label: DatabaseLabel::Committed,
        method: CaptureMethod::OnlineBackup,
        page_size: 4096,
        page_count: 1000,
        len: 4_096_000,
        journal_mode: JournalMode::Wal,
        check: CheckResult::QuickOk,
        captured_at_ns: 1_795_320_000_100_000_000,
        identity: Some(DatabaseIdentity {
            main: file(78, 4_096_000),
            wal: Some(file(79, 32)),
            wal_header: counting::<32>(0xc0).as_slice().into(),
            journal: None,
        }),
        version: Some(BlobId::from_bytes(counting(0x50))),
        knowledge: Some(knowledge()),
        references: vec![references()],
        extensions: Vec::new(),
    }
}

pub(super) fn snapshot() -> SnapshotRecord {
    SnapshotRecord {
        sequence: 42,
        time_ns: 1_795_320_000_000_000_000,
        started_ns: 1_795_320_000_000_000_000,
        finished_ns: 1_795_320_000_900_000_000,
        zone: "Europe/Zurich".into(),
        source: "partshub".into(),
        roots: vec![Root { path: "/app/data".into() }],
        host: "attic".into(),
        user: "root".into(),
        version: "0.1.0".into(),
        parent: Some(SnapshotId::from_bytes(counting(0x30))),
        manifest: BlobId::from_bytes(counting(0x10)),
        outcome: Outcome::WithFindings,
        counts: Counts {
            files: 4,
            dirs: 2,
            others: 4,
            bytes: 123_456,
            new_files: 1,
            ..Counts::default()
        },
        databases: vec![database()],
        tags: vec!["nightly".into()],
        findings: vec![Finding {
            kind: FindingKind::Source,
            subject: "attachments/b".into(),
            message: "permission denied".into(),
            accepted: true,
        }],
        findings_total: 1,
        siblings: Siblings { present: vec![SnapshotId::from_bytes(counting(0x30))] },
        extensions: Vec::new(),
    }
}

/// A whole pack of two blobs: one raw, one said to be compressed (its payload is not looked at here).
pub(super) struct SamplePack {
    pub header: Header,
    pub trailer: Trailer,
    pub footer: Footer,
    pub bytes: Vec<u8>,
    pub id: PackId,
}

pub(super) fn pack() -> SamplePack {
    let keys = keys();
    let header = Header {
        salt: counting(0xe0),
        repository: repository(),
        session: session().session,
        class: PackClass::Data,
        extensions: Vec::new(),
    };
    let mut bytes = header.encode().unwrap();
    let header_check = keys.check(&bytes);
    let header_len = u32::try_from(bytes.len()).unwrap();
    let (raw, frame) = (b"larder".as_slice(), b"not really a frame".as_slice());
    let raw_entry = TrailerEntry {
        blob_type: BlobType::Data,
        id: keys.blob_id(BlobType::Data, raw),
        encoding: Encoding::Raw,
        offset: u64::from(header_len),
        stored_len: 6,
        plain_len: 6,
        check: Check::from_bytes([0; 16]),
    };
    let frame_entry = TrailerEntry {
        blob_type: BlobType::ManifestNode,
        id: BlobId::from_bytes(counting(0x10)),
        encoding: Encoding::Zstd,
        offset: u64::from(header_len) + 6,
        stored_len: 18,
        plain_len: 1000,
        check: keys.check(frame),
    };
    let trailer = Trailer { entries: vec![raw_entry, frame_entry], extensions: Vec::new() };
    let mut tail = trailer.encode().unwrap();
    let footer =
        Footer { trailer_len: u32::try_from(tail.len()).unwrap(), header_len, header_check };
    tail.extend_from_slice(&footer.encode().unwrap());
    let id = keys.pack_id(&tail);
    bytes.extend_from_slice(raw);
    bytes.extend_from_slice(frame);
    bytes.extend_from_slice(&tail);
    SamplePack { header, trailer, footer, bytes, id }
}

/// The segment that lists that pack.
pub(super) fn segment() -> Vec<u8> {
    let pack = pack();
    let mut builder = SegmentBuilder::new(repository());
    builder.add_pack(pack.id, pack.bytes.len() as u64).unwrap();
    for entry in &pack.trailer.entries {
        builder.add(&entry.id, &Place::of_entry(pack.id, entry)).unwrap();
    }
    builder.finish(&keys())
}

/// A segment of several pages.
pub(super) fn long_segment(entries: u32) -> (Vec<u8>, Vec<(BlobId, Place)>) {
    let pack = PackId::from_bytes(counting(0x90));
    let mut builder = SegmentBuilder::new(repository());
    builder.add_pack(pack, 1 << 32).unwrap();
    let mut listed = Vec::new();
    for number in 0..entries {
        let id = keys().blob_id(BlobType::Data, &number.to_le_bytes());
        let place = Place {
            pack,
            offset: u64::from(number) * 100,
            stored_len: 100,
            plain_len: 300,
            blob_type: BlobType::Data,
            encoding: Encoding::Zstd,
        };
        builder.add(&id, &place).unwrap();
        listed.push((id, place));
    }
    (builder.finish(&keys()), listed)
}
