//! Entries that no honest archive writes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use larder::codec::ByteString;
use larder::codec::content::Content;
use larder::codec::manifest::{
    Entry, EntryKey, EntryKind, Extent, FileEntry, FileTime, Origin, Xattr,
};
use larder::snapshot::restore::report::RestoreReport;
use larder::snapshot::restore::run::RestoreOptions;
use larder_testkit::compare::differences;
use proptest::prelude::*;

use super::*;

fn entry(path: impl AsRef<[u8]>, kind: EntryKind) -> Entry {
    Entry {
        key: EntryKey { root: 0, path: ByteString::from(path.as_ref()) },
        kind,
        mode: 0o755,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: FileTime { secs: 1, nanos: 1 },
        ctime: FileTime::default(),
        device: 1,
        inode: 1,
        links: 1,
        xattrs: Vec::new(),
        extensions: Vec::new(),
    }
}

fn file_kind(blobs: &Blobs, bytes: &[u8]) -> EntryKind {
    EntryKind::File(FileEntry {
        size: bytes.len() as u64,
        content: blobs.content(bytes),
        sparse: None,
        origin: Origin::Read,
        read_at_ns: 0,
    })
}

fn link_kind(target: &Path) -> EntryKind {
    EntryKind::Symlink { target: target.to_str().unwrap().into() }
}

/// A target beside a canary that nothing may touch.
struct Cage {
    yard: Yard,
    twin: tempfile::TempDir,
}

impl Cage {
    fn new() -> Self {
        let cage = Self { yard: Yard::new(), twin: tempfile::tempdir().unwrap() };
        for root in [cage.canary(), cage.twin.path().to_path_buf()] {
            fs::create_dir_all(root.join("dir")).unwrap();
            fs::write(root.join("file"), "canary").unwrap();
            for path in ["dir", "file", ""] {
                let time = rustix::fs::Timespec { tv_sec: 7, tv_nsec: 7 };
                let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
                let (path, cwd) = (root.join(path), rustix::fs::CWD);
                fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
                rustix::fs::utimensat(cwd, path, &times, rustix::fs::AtFlags::empty()).unwrap();
            }
        }
        cage
    }

    fn canary(&self) -> PathBuf {
        self.yard.0.path().join("canary")
    }

    /// Restores, and fails when anything outside the target is not as it was.
    fn restore(&self, entries: &[Entry], blobs: &Blobs, way: RestoreOptions<'_>) -> RestoreReport {
        let report = restore(entries, blobs, &self.yard.target(), way);
        assert_eq!(differences(&self.canary(), self.twin.path()), Vec::<String>::new());
        assert_eq!(names(self.yard.0.path()), ["canary", "source", "target"]);
        report.unwrap()
    }
}

#[test]
fn paths_that_climb_out_are_damage() {
    for way in every_way() {
        let (cage, blobs) = (Cage::new(), Blobs::default());
        let absolute = cage.canary().join("new");
        let hostile = [
            "..",
            "../canary/new",
            "a/../../canary/new",
            "./x",
            "a//b",
            "a/",
            "/",
            absolute.to_str().unwrap(),
            "nul\0byte",
        ];
        for path in hostile {
            for kind in [file_kind(&blobs, b"x"), EntryKind::Directory, link_kind(Path::new("/"))] {
                let report = cage.restore(&[entry(path, kind)], &blobs, way);
                assert_eq!((report.damaged.total(), report.files), (1, 0), "{path:?}");
                assert_eq!(names(&cage.yard.target()), Vec::<String>::new(), "{path:?}");
            }
        }
    }
}

#[test]
fn nothing_is_written_through_a_link_of_the_same_restore() {
    for way in every_way() {
        let (cage, blobs) = (Cage::new(), Blobs::default());
        let through = file_kind(&blobs, b"escaped");
        let mut entries = vec![
            entry("", EntryKind::Directory),
            entry("a", link_kind(&cage.canary())),
            entry("a/dir", EntryKind::Directory),
            entry("a/dir/new", through.clone()),
            entry("a/file", through),
            entry("a/pipe", EntryKind::Fifo),
        ];
        entries.push(entry("b", link_kind(Path::new("a"))));
        entries.push(entry("b/dir", link_kind(Path::new("x"))));
        let report = cage.restore(&entries, &blobs, way);
        assert_eq!(report.refused.total(), 5, "{:?}", texts(&report.refused));
        assert!(fs::symlink_metadata(cage.yard.target().join("a")).unwrap().is_symlink());
    }
}

#[test]
fn metadata_does_not_follow_a_directory_that_became_a_link() {
    for way in every_way() {
        let (cage, blobs) = (Cage::new(), Blobs::default());
        // The second entry is out of order: a link in the place of a directory whose metadata is still to come.
        let entries = [
            entry("a", EntryKind::Directory),
            entry("a/x", EntryKind::Fifo),
            entry("a", link_kind(&cage.canary())),
        ];
        let report = cage.restore(&entries, &blobs, way);
        assert_eq!(report.damaged.total(), 1);
        assert!(cage.yard.target().join("a").is_dir());
        let link = Entry { mode: 0o4777, ..entry("a", link_kind(&cage.canary().join("file"))) };
        fs::remove_dir_all(cage.yard.target()).unwrap();
        cage.restore(&[link], &blobs, way);
    }
}

#[test]
fn hard_links_lead_only_to_what_this_run_made() {
    for way in every_way() {
        let (cage, blobs) = (Cage::new(), Blobs::default());
        let named = |path: &str, kind| Entry { links: 3, inode: 9, ..entry(path, kind) };
        let secret = cage.canary().join("file");
        // A link to a link keeps pointing, but is never followed.
        let report = cage.restore(
            &[named("a", link_kind(&secret)), named("b", link_kind(&secret))],
            &blobs,
            way,
        );
        assert!(report.is_complete(), "{report:?}");
        let (a, b) = ("a", "b");
        let inode = |name| fs::symlink_metadata(cage.yard.target().join(name)).unwrap().ino();
        assert_eq!(inode(a), inode(b));
        assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);

        // One claims to be a name of what is a link: it becomes a file of its own.
        fs::remove_dir_all(cage.yard.target()).unwrap();
        let report = cage.restore(
            &[named("a", link_kind(&secret)), named("b", file_kind(&blobs, b"new"))],
            &blobs,
            way,
        );
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(fs::read(cage.yard.target().join("b")).unwrap(), b"new");
        assert_ne!(inode(a), inode(b));
    }
}

#[test]
fn a_name_serves_once() {
    for way in every_way() {
        let (cage, blobs) = (Cage::new(), Blobs::default());
        let entries = [
            entry("a", file_kind(&blobs, b"first")),
            entry("a", file_kind(&blobs, b"second")),
            entry("a", EntryKind::Directory),
            entry("a/below", file_kind(&blobs, b"x")),
            entry("b", EntryKind::Directory),
            entry("b", file_kind(&blobs, b"over a directory")),
        ];
        let report = cage.restore(&entries, &blobs, way);
        assert_eq!(report.damaged.total(), 3, "{:?}", texts(&report.damaged));
        // Two threads decide whether the file of the parent's name is there first.
        let refused = texts(&report.refused);
        assert!(
            refused == ["a/below: a parent of it is no directory"]
                || refused == ["a/below: its directory was not restored"],
            "{refused:?}"
        );
        assert_eq!(fs::read(cage.yard.target().join("a")).unwrap(), b"first");
        assert!(cage.yard.target().join("b").is_dir());
    }
}

#[test]
fn absurd_metadata_is_noted_and_absurd_lengths_are_refused() {
    let (cage, blobs) = (Cage::new(), Blobs::default());
    let hollow = |size| {
        EntryKind::File(FileEntry {
            size,
            content: Content::Inline(Vec::new()),
            sparse: Some(Vec::new()),
            origin: Origin::Read,
            read_at_ns: 0,
        })
    };
    let overlapping = EntryKind::File(FileEntry {
        size: 100,
        content: blobs.content(&[1; 20]),
        sparse: Some(vec![Extent { offset: u64::MAX, len: 10 }, Extent { offset: 0, len: 10 }]),
        origin: Origin::Read,
        read_at_ns: 0,
    });
    let odd_name = Xattr { name: ByteString::from(&b"user.\0x"[..]), value: "".into() };
    let entries = [
        Entry { uid: u32::MAX, gid: u32::MAX, ..entry("a", file_kind(&blobs, b"x")) },
        Entry {
            mtime: FileTime { secs: i64::MIN, nanos: u32::MAX },
            ..entry("b", EntryKind::Fifo)
        },
        Entry { mode: u32::MAX, xattrs: vec![odd_name], ..entry("c", file_kind(&blobs, b"x")) },
        entry("d", hollow(u64::MAX)),
        entry("e", overlapping),
        entry("f", EntryKind::Symlink { target: vec![b'x'; 10_000].into() }),
        entry("g", EntryKind::Symlink { target: "".into() }),
        entry("h", EntryKind::Socket),
    ];
    let report = cage.restore(&entries, &blobs, USUAL);
    let notes = texts(&report.notes);
    let said = |start: &str| notes.iter().any(|note| note.starts_with(start));
    assert!(
        said("a: owner") && said("b: its time") && said("c: attribute user.\\x00x"),
        "{notes:?}"
    );
    assert!(said("h: a socket"), "{notes:?}");
    assert_eq!(report.damaged.total(), 1, "{:?}", texts(&report.damaged));
    assert_eq!(report.refused.total(), 3, "{:?}", texts(&report.refused));
    assert_eq!(names(&cage.yard.target()), ["a", "b", "c"]);
}

fn hostile_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 2 => Just("c"), 1 => Just(".."), 1 => Just("."), 1 => Just(""),
    ];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever entries come in whatever order, only the target changes, and nothing panics.
    #[test]
    fn no_sequence_of_entries_leaves_the_target(
        things in prop::collection::vec((hostile_path(), 0..6_u8, any::<bool>()), 1..24),
        sorted in any::<bool>(),
        way in 0..4_usize,
    ) {
        let (cage, blobs) = (Cage::new(), Blobs::default());
        let mut entries: Vec<_> = things.iter().map(|(path, kind, linked)| {
            let kind = match kind {
                0 => file_kind(&blobs, path.as_bytes()),
                1 => EntryKind::Fifo,
                2 => link_kind(&cage.canary()),
                3 => link_kind(Path::new("../canary")),
                _ => EntryKind::Directory,
            };
            let links = if *linked { 2 } else { 1 };
            Entry { links, ..entry(path, kind) }
        }).collect();
        if sorted {
            entries.sort_by(|a, b| a.key.cmp(&b.key));
        }
        cage.restore(&entries, &blobs, every_way().nth(way).unwrap());
    }
}
