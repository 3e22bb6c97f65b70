//! The walk of a source, over real directories.

use std::cell::Cell;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use larder::codec::content::Content;
use larder::codec::manifest::{EntryKind, Origin};
use larder::snapshot::beneath::Resolution;
use larder::snapshot::source::error::{Problem, SourceError};
use larder::snapshot::source::exclude::Excludes;
use larder::snapshot::source::metadata::ItemKind;
use larder::snapshot::source::read::{ATTEMPTS, ReadFile, ReadPolicy};
use larder::snapshot::source::walk::{Event, Skipped, Source, WalkOptions};

use crate::nobody;

/// A directory that is gone at the end.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn source(&self) -> Source {
        Source::open(0, self.0.path(), Resolution::Kernel).unwrap()
    }
}

const NOTHING: &[(u64, u64)] = &[];

fn options(excludes: &Excludes) -> WalkOptions<'_> {
    WalkOptions { excludes, exclude_caches: false, same_file_system: false, never_enter: NOTHING }
}

fn events(source: &Source, options: WalkOptions<'_>) -> Vec<Event> {
    source.walk(options).unwrap().map(Result::unwrap).collect()
}

fn paths(events: &[Event]) -> Vec<String> {
    let items = events.iter().filter_map(|event| match event {
        Event::Item(item) => Some(item.key.path.escape_ascii().to_string()),
        _ => None,
    });
    items.collect()
}

fn problems(events: &[Event]) -> Vec<(String, String)> {
    let problems = events.iter().filter_map(|event| match event {
        Event::Problem { key, problem } => {
            Some((String::from_utf8_lossy(&key.path).into_owned(), problem.to_string()))
        }
        _ => None,
    });
    problems.collect()
}

fn clock() -> i64 {
    1_700_000_000_000_000_000
}

fn policy() -> ReadPolicy<'static> {
    ReadPolicy { attempts: ATTEMPTS, now_ns: &clock }
}

/// Reads a file to its end, whatever becomes of it.
fn read(source: &Source, path: &str) -> Result<ReadFile<Vec<u8>>, Problem> {
    let read = source.read_file(path.as_bytes(), policy(), |bytes| {
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).map(|_| all)
    });
    read.unwrap()
}

#[test]
fn the_walk_is_in_the_order_of_keys() {
    let tree = Tree::new();
    for path in ["b/x", "a/z/1", "a/z.txt", "a.txt", "a b", "a/\u{fc}", "a\n", "a/z/2"] {
        tree.file(path, "");
    }
    fs::create_dir(tree.at("empty")).unwrap();
    let source = tree.source();
    let excludes = Excludes::default();
    let events = events(&source, options(&excludes));
    let keys: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Item(item) => item.key.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    let expected = [
        "",
        "a",
        "a/z",
        "a/z/1",
        "a/z/2",
        "a/z.txt",
        "a/\\xc3\\xbc",
        "a\\n",
        "a b",
        "a.txt",
        "b",
        "b/x",
        "empty",
    ];
    assert_eq!(paths(&events), expected);
}

#[test]
fn a_root_that_cannot_be_walked_is_an_error_never_empty() {
    let tree = Tree::new();
    let file = tree.file("f", "x");
    let open = |path: &Path| Source::open(0, path, Resolution::Kernel).map(|_| ());
    assert!(matches!(open(&tree.at("missing")), Err(SourceError::Root { .. })));
    assert!(matches!(open(&file), Err(SourceError::NotADirectory { .. })));
    assert!(matches!(open(&file.join("below")), Err(SourceError::Root { .. })));
    symlink("nowhere", tree.at("dangling")).unwrap();
    assert!(matches!(open(&tree.at("dangling")), Err(SourceError::Root { .. })));

    let gone = tree.at("gone");
    fs::create_dir(&gone).unwrap();
    let source = Source::open(0, &gone, Resolution::Kernel).unwrap();
    fs::remove_dir(&gone).unwrap();
    let excludes = Excludes::default();
    let walked: Vec<_> = source.walk(options(&excludes)).unwrap().collect();
    assert!(matches!(walked.as_slice(), [Err(SourceError::Root { .. })]), "{walked:?}");
}

#[test]
fn only_the_root_itself_may_be_a_link() {
    let outside = Tree::new();
    outside.file("secret", "x");
    let tree = Tree::new();
    tree.file("real/inner", "x");
    symlink(outside.0.path(), tree.at("real/out")).unwrap();
    symlink("real", tree.at("link")).unwrap();
    let source = Source::open(0, &tree.at("link"), Resolution::Kernel).unwrap();
    let excludes = Excludes::default();
    let events = events(&source, options(&excludes));
    assert_eq!(paths(&events), ["", "inner", "out"]);
    let link = source.look(b"out").unwrap();
    let EntryKind::Symlink { target } = source.describe(&link).unwrap().entry.kind else {
        panic!("not a link")
    };
    assert_eq!(&*target, outside.0.path().as_os_str().as_bytes());
}

#[test]
fn what_is_excluded_is_not_even_looked_at() {
    let tree = Tree::new();
    for path in ["keep/a", "keep/b.tmp", "logs/x/y", "deep/logs/z", "c.tmp/inside"] {
        tree.file(path, "");
    }
    let patterns = ["*.tmp".to_owned(), "/logs/".to_owned()];
    let excludes = Excludes::new(&patterns, tree.0.path()).unwrap();
    let source = tree.source();
    let events = events(&source, options(&excludes));
    assert_eq!(paths(&events), ["", "deep", "deep/logs", "deep/logs/z", "keep", "keep/a"]);
    assert_eq!(events.len(), 6, "nothing is said of what the owner excluded");
}

#[test]
fn caches_keep_only_their_mark() {
    let tree = Tree::new();
    tree.file("cache/AAA/data", "x");
    tree.file("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# comment");
    tree.file("cache/ZZZ", "x");
    tree.file("fake/CACHEDIR.TAG", "Signature: something else entirely, but long enough");
    tree.file("fake/data", "x");
    let source = tree.source();
    let excludes = Excludes::default();
    let asked = WalkOptions { exclude_caches: true, ..options(&excludes) };
    let found = events(&source, asked);
    assert_eq!(
        paths(&found),
        ["", "cache", "cache/CACHEDIR.TAG", "fake", "fake/CACHEDIR.TAG", "fake/data"]
    );
    assert!(found.iter().any(|event| matches!(event, Event::Skipped { why: Skipped::Cache, .. })));
    assert_eq!(paths(&events(&source, options(&excludes))).len(), 9, "unless asked, all is saved");
}

#[test]
fn the_repository_is_never_entered() {
    let tree = Tree::new();
    tree.file("a", "");
    tree.file("repo/packs/x", "");
    tree.file("zz", "");
    let repo = fs::metadata(tree.at("repo")).unwrap();
    let own = [(repo.dev(), repo.ino())];
    let source = tree.source();
    let excludes = Excludes::default();
    let events = events(&source, WalkOptions { never_enter: &own, ..options(&excludes) });
    assert_eq!(paths(&events), ["", "a", "zz"]);
    let skipped = events.iter().find_map(|event| match event {
        Event::Skipped { key, why } => Some((key.path.to_vec(), *why)),
        _ => None,
    });
    assert_eq!(skipped, Some((b"repo".to_vec(), Skipped::Own)));

    let root = fs::metadata(tree.0.path()).unwrap();
    let own = [(root.dev(), root.ino())];
    let refused = source.walk(WalkOptions { never_enter: &own, ..options(&excludes) });
    assert!(matches!(refused, Err(SourceError::IsRepository { .. })));
}

#[test]
fn other_file_systems_are_entered_only_when_asked() {
    let device = |path: &str| fs::metadata(path).map(|stat| stat.dev());
    if device("/dev").ok() == device("/dev/shm").ok() || device("/dev/shm").is_err() {
        return; // nothing is mounted there
    }
    let inside = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    let name = format!("shm/{}", inside.path().file_name().unwrap().to_str().unwrap());
    let source = Source::open(0, Path::new("/dev"), Resolution::Kernel).unwrap();
    let excludes = Excludes::default();
    let stay = WalkOptions { same_file_system: true, ..options(&excludes) };
    let stayed = events(&source, stay);
    assert!(paths(&stayed).contains(&"shm".to_owned()) && !paths(&stayed).contains(&name));
    let said = stayed.iter().any(|event| {
        matches!(event, Event::Skipped { key, why: Skipped::OtherFileSystem } if &*key.path == b"shm")
    });
    assert!(said, "a mount point is not left out in silence");
    assert!(paths(&events(&source, options(&excludes))).contains(&name));
}

/// Makes nested directories whose path is exactly `len` bytes long, going down one descriptor at a time.
fn deep_path(root: &Path, len: usize) -> Vec<u8> {
    let mut dir = fs::File::open(root).unwrap();
    let mut path = Vec::new();
    while path.len() < len {
        let left = len - path.len() - usize::from(!path.is_empty());
        // Never leaves a remainder of one byte, which only a separator could fill.
        let name = vec![b'd'; if left <= 200 { left } else { left.min(202) - 2 }];
        rustix::fs::mkdirat(&dir, name.as_slice(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        let next =
            rustix::fs::openat(&dir, name.as_slice(), flags, rustix::fs::Mode::empty()).unwrap();
        dir = next.into();
        path.extend_from_slice(if path.is_empty() { b"" } else { b"/" });
        path.extend_from_slice(&name);
    }
    rustix::fs::mkdirat(&dir, "x", rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    path
}

#[test]
fn paths_reach_to_4095_bytes_and_longer_ones_are_named() {
    for resolution in [Resolution::Kernel, Resolution::Stepwise] {
        let tree = Tree::new();
        let longest = deep_path(tree.0.path(), 4095);
        let source = Source::open(0, tree.0.path(), resolution).unwrap();
        let excludes = Excludes::default();
        let events = events(&source, options(&excludes));
        let last = paths(&events).pop().unwrap();
        assert_eq!(last.into_bytes(), longest);
        let problems = problems(&events);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].0.len(), 4097);
        assert!(problems[0].1.contains("longer than 4,095 bytes"), "{problems:?}");
        let item = source.look(&longest).unwrap();
        assert_eq!(source.describe(&item).unwrap().entry.kind, EntryKind::Directory);
    }
}

#[test]
fn two_thousand_levels_need_few_descriptors() {
    let tree = Tree::new();
    let mut dir = fs::File::open(tree.0.path()).unwrap();
    for _ in 0..2000 {
        rustix::fs::mkdirat(&dir, "d", rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        dir = rustix::fs::openat(&dir, "d", flags, rustix::fs::Mode::empty()).unwrap().into();
    }
    let source = tree.source();
    let excludes = Excludes::default();
    let mut most_open = 0;
    for (number, event) in source.walk(options(&excludes)).unwrap().enumerate() {
        assert!(matches!(event, Ok(Event::Item(_))), "{event:?}");
        if number % 500 == 499 {
            most_open = most_open.max(open_below(tree.0.path()));
        }
    }
    assert!(most_open > 0 && most_open < 64, "{most_open}");
}

/// Descriptors of this process that lead into a directory; other tests run beside this one.
fn open_below(root: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(root)).count()
}

#[test]
fn a_pipe_does_not_hang_and_is_no_file() {
    let tree = Tree::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    let root = fs::File::open(tree.0.path()).unwrap();
    rustix::fs::mknodat(&root, "pipe", rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.at("socket")).unwrap();
    let source = tree.source();
    for (name, kind) in [("pipe", EntryKind::Fifo), ("socket", EntryKind::Socket)] {
        let item = source.look(name.as_bytes()).unwrap();
        assert_eq!(source.describe(&item).unwrap().entry.kind, kind);
        assert!(matches!(read(&source, name), Err(Problem::Replaced)), "{name}");
    }
}

#[test]
fn what_vanished_is_ordinary_and_what_became_a_link_is_not_followed() {
    let outside = Tree::new();
    outside.file("f", "secret");
    for resolution in [Resolution::Kernel, Resolution::Stepwise] {
        let tree = Tree::new();
        tree.file("dir/f", "x");
        tree.file("g", "x");
        let source = Source::open(0, tree.0.path(), resolution).unwrap();
        assert_eq!(read(&source, "dir/f").unwrap().value, b"x");
        fs::remove_file(tree.at("g")).unwrap();
        assert!(read(&source, "g").unwrap_err().is_ordinary());
        symlink(outside.at("f"), tree.at("g")).unwrap();
        assert!(matches!(read(&source, "g"), Err(Problem::Replaced)));
        fs::remove_dir_all(tree.at("dir")).unwrap();
        symlink(outside.0.path(), tree.at("dir")).unwrap();
        assert!(matches!(read(&source, "dir/f"), Err(Problem::Replaced)));
        assert!(matches!(source.look(b"dir/f"), Err(Problem::Replaced)));
    }
}

#[test]
fn a_file_that_changes_is_read_again() {
    let tree = Tree::new();
    let path = tree.file("f", "first");
    let source = tree.source();
    let calls = Cell::new(0);
    let read = source.read_file(b"f", policy(), |bytes| {
        let mut all = String::new();
        bytes.read_to_string(&mut all)?;
        calls.set(calls.get() + 1);
        if calls.get() == 1 {
            fs::write(&path, "second, longer")?;
        }
        Ok::<_, std::io::Error>(all)
    });
    let read = read.unwrap().unwrap();
    assert_eq!((read.value.as_str(), read.size, read.origin), ("second, longer", 14, Origin::Read));
    assert_eq!(calls.get(), 2);
    assert_eq!(read.read_at_ns, clock());
}

#[test]
fn a_file_that_never_holds_still_is_flagged_with_the_bytes_that_were_read() {
    let tree = Tree::new();
    let path = tree.file("f", "0123456789");
    let source = tree.source();
    let calls = Cell::new(0_u64);
    let read = source.read_file(b"f", policy(), |bytes| {
        let mut half = [0; 5];
        bytes.read_exact(&mut half)?;
        calls.set(calls.get() + 1);
        let file = fs::File::options().write(true).open(&path)?;
        file.set_len(7 + calls.get() % 2)?;
        let mut rest = Vec::new();
        bytes.read_to_end(&mut rest)?;
        file.set_len(10)?;
        Ok::<_, std::io::Error>(rest.len() as u64 + 5)
    });
    let read = read.unwrap().unwrap();
    assert_eq!((read.origin, calls.get()), (Origin::Unstable, u64::from(ATTEMPTS)));
    assert_eq!(read.size, read.value, "the length is that of the bytes, not what stat said");
}

#[test]
fn a_file_that_only_loses_its_name_is_one_state_of_itself() {
    for written in [false, true] {
        let tree = Tree::new();
        let path = tree.file("f", "0123456789");
        let source = tree.source();
        let read = source.read_file(b"f", policy(), |bytes| {
            let file = fs::File::options().write(true).open(&path)?;
            fs::remove_file(&path)?;
            if written {
                file.set_len(4)?;
            }
            let mut all = String::new();
            bytes.read_to_string(&mut all).map(|_| all)
        });
        // There is no second attempt at what has no name any more.
        match (written, read.unwrap()) {
            (false, Ok(read)) => {
                assert_eq!((read.value.as_str(), read.origin), ("0123456789", Origin::Read));
            }
            (true, Err(problem)) => assert!(problem.is_ordinary(), "{problem}"),
            (_, other) => panic!("{written}: {other:?}"),
        }
    }
}

#[test]
fn a_growing_file_is_read_to_where_it_ended() {
    let tree = Tree::new();
    let path = tree.file("log", "line 1\n");
    let source = tree.source();
    let read = source.read_file(b"log", ReadPolicy { attempts: 1, ..policy() }, |bytes| {
        let mut log = fs::File::options().append(true).open(&path)?;
        std::io::Write::write_all(&mut log, b"line 2\n")?;
        let mut all = Vec::new();
        bytes.read_to_end(&mut all).map(|_| all)
    });
    let read = read.unwrap().unwrap();
    assert_eq!((read.value.as_slice(), read.origin), (&b"line 1\n"[..], Origin::Unstable));
}

#[test]
fn a_failing_sink_is_not_an_unreadable_file() {
    let tree = Tree::new();
    tree.file("f", "x");
    let read = tree.source().read_file(b"f", policy(), |_| Err::<(), _>("disk full"));
    assert!(matches!(read, Err("disk full")));
}

#[test]
fn files_of_the_kernel_are_read_though_they_claim_to_be_empty() {
    let source = Source::open(0, Path::new("/proc/self"), Resolution::Kernel).unwrap();
    let read = read(&source, "status").unwrap();
    assert!(read.value.starts_with(b"Name:"));
    assert_eq!(read.size, read.value.len() as u64);
}

#[test]
fn holes_are_left_out_of_the_bytes_and_described() {
    let tree = Tree::new();
    let path = tree.file("sparse", "");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], 512 << 10).unwrap();
    let source = tree.source();
    let read = read(&source, "sparse").unwrap();
    assert_eq!((read.size, read.origin), (1 << 20, Origin::Read));
    let item = source.look(b"sparse").unwrap();
    if source.file_system().maps_holes {
        let extents = read.sparse.clone().expect("the file has holes");
        assert_eq!(extents.iter().map(|extent| extent.len).sum::<u64>(), read.value.len() as u64);
        assert!(read.value.len() < 1 << 19);
    } else {
        assert_eq!(read.value.len(), 1 << 20);
    }
    let described = read.describe(&item, |_| Content::Inline(Vec::new()));
    assert!(matches!(described.entry.kind, EntryKind::File(file) if file.size == 1 << 20));
}

#[test]
fn metadata_is_that_of_the_inode() {
    let tree = Tree::new();
    let path = tree.file("f", "x");
    fs::hard_link(&path, tree.at("g")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4711)).unwrap();
    let xattr = rustix::fs::setxattr(&path, "user.note", b"hi", rustix::fs::XattrFlags::empty());
    let source = tree.source();
    let item = source.look(b"f").unwrap();
    let described = read(&source, "f").unwrap().describe(&item, |_| Content::Inline(Vec::new()));
    let (entry, real) = (described.entry, fs::metadata(&path).unwrap());
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o4711, real.uid(), real.gid()));
    assert_eq!((entry.device, entry.inode, entry.links), (real.dev(), real.ino(), 2));
    assert_eq!((entry.mtime.secs, i64::from(entry.mtime.nanos)), (real.mtime(), real.mtime_nsec()));
    assert_eq!((entry.ctime.secs, i64::from(entry.ctime.nanos)), (real.ctime(), real.ctime_nsec()));
    let noted = entry.xattrs.iter().any(|x| &*x.name == b"user.note" && &*x.value == b"hi");
    assert_eq!(noted, xattr.is_ok());
    assert_eq!(source.look(b"").unwrap().stat.kind, ItemKind::Directory);
}

#[test]
fn unreadable_things_are_named_and_the_walk_goes_on() {
    if nobody::rerun("source::unreadable_things_are_named_and_the_walk_goes_on") {
        return;
    }
    let tree = Tree::new();
    tree.file("closed/inside", "x");
    let secret = tree.file("secret", "x");
    tree.file("zz", "x");
    let shut =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    shut(&secret, 0o000);
    shut(&tree.at("closed"), 0o000);
    let source = tree.source();
    let excludes = Excludes::default();
    let walked = events(&source, options(&excludes));
    assert_eq!(paths(&walked), ["", "closed", "secret", "zz"]);
    let named = problems(&walked);
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(named[0].0, "closed");
    assert!(named[0].1.contains("cannot be read: Permission denied"), "{named:?}");
    assert!(matches!(read(&source, "secret"), Err(Problem::Unreadable(_))));
    shut(&tree.at("closed"), 0o400); // may be listed, not entered
    let walked = events(&source, options(&excludes));
    assert_eq!(problems(&walked).first().map(|named| named.0.as_str()), Some("closed/inside"));
    shut(&tree.at("closed"), 0o700);

    shut(tree.0.path(), 0o000);
    assert!(matches!(
        Source::open(0, tree.0.path(), Resolution::Kernel),
        Err(SourceError::Root { .. })
    ));
    shut(tree.0.path(), 0o700);
}
