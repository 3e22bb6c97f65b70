//! The real disk: what it promises of modes, names, locks and mappings, on a real file system.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use larder::repo::disk::real::RealDisk;
use larder::repo::disk::{Disk, DiskErrorKind, DiskFile, LockMode};
use tempfile::TempDir;

fn disk() -> (TempDir, RealDisk) {
    let root = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(root.path()).unwrap();
    (root, disk)
}

fn written(disk: &RealDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let mut file = disk.create_new(path).unwrap();
    file.append(bytes).unwrap();
    file
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn kind<T>(outcome: Result<T, larder::repo::disk::DiskError>) -> Option<DiskErrorKind> {
    outcome.err().map(|error| error.kind())
}

#[test]
fn what_is_made_is_private() {
    let (root, disk) = disk();
    disk.create_dir("packs").unwrap();
    drop(written(&disk, "packs/a", b"x"));
    assert!(disk.lock("packs/lock", LockMode::Shared).unwrap().is_some());
    assert_eq!(mode(&root.path().join("packs")), 0o700);
    assert_eq!(mode(&root.path().join("packs/a")), 0o600);
    assert_eq!(mode(&root.path().join("packs/lock")), 0o600);
}

#[test]
fn make_private_takes_rights_away() {
    let (root, disk) = disk();
    disk.create_dir("packs").unwrap();
    drop(written(&disk, "a", b"x"));
    fs::set_permissions(root.path().join("packs"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(root.path().join("a"), fs::Permissions::from_mode(0o644)).unwrap();
    disk.make_private("packs").unwrap();
    disk.make_private("a").unwrap();
    assert_eq!((mode(&root.path().join("packs")), mode(&root.path().join("a"))), (0o700, 0o600));
    assert_eq!(kind(disk.make_private("absent")), Some(DiskErrorKind::NotFound));
}

#[test]
fn a_root_is_created_private_and_a_full_one_is_left_alone() {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("repo");
    assert_eq!(kind(RealDisk::open(&root)), Some(DiskErrorKind::NotFound));
    RealDisk::create(&root).unwrap();
    assert_eq!(mode(&root), 0o700);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    RealDisk::create(&root).unwrap();
    assert_eq!(mode(&root), 0o700, "an empty directory becomes private");
    fs::write(root.join("file"), b"x").unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
    RealDisk::create(&root).unwrap();
    assert_eq!(mode(&root), 0o750, "its owner may have shared it on purpose");
    assert_eq!(
        kind(RealDisk::create(&above.path().join("no/parent"))),
        Some(DiskErrorKind::NotFound)
    );
    RealDisk::open(&root.join("file")).unwrap_err();
}

#[test]
fn no_name_is_ever_replaced() {
    let (root, disk) = disk();
    drop(written(&disk, "a", b"first"));
    drop(written(&disk, "b", b"second"));
    assert_eq!(kind(disk.create_new("a")), Some(DiskErrorKind::AlreadyExists));
    assert_eq!(kind(disk.rename_noreplace("b", "a")), Some(DiskErrorKind::AlreadyExists));
    assert_eq!(kind(disk.hard_link("b", "a")), Some(DiskErrorKind::AlreadyExists));
    disk.create_dir("d").unwrap();
    assert_eq!(kind(disk.create_dir("d")), Some(DiskErrorKind::AlreadyExists));
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"first");
    assert_eq!(fs::read(root.path().join("b")).unwrap(), b"second");
    disk.rename_noreplace("b", "d/c").unwrap();
    disk.hard_link("d/c", "e").unwrap();
    assert_eq!(fs::read(root.path().join("e")).unwrap(), b"second");
    assert_eq!(kind(disk.rename_noreplace("b", "f")), Some(DiskErrorKind::NotFound));
}

#[test]
fn bytes_are_appended_synced_and_read_back() {
    let (_root, disk) = disk();
    let mut file = written(&disk, "a", b"some ");
    file.append(b"bytes").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.stat("a").unwrap().len, 10);
    let mut buffer = [0; 5];
    disk.read_at("a", 5, &mut buffer).unwrap();
    assert_eq!(&buffer, b"bytes");
    assert_eq!(kind(disk.read_at("a", 6, &mut buffer)), Some(DiskErrorKind::ShortRead));
    assert_eq!(kind(disk.read_at("b", 0, &mut buffer)), Some(DiskErrorKind::NotFound));
}

#[test]
fn a_mapping_shows_the_file_and_outlives_its_name() {
    let (_root, disk) = disk();
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    drop(written(&disk, "a", &bytes));
    drop(written(&disk, "empty", b""));
    let map = disk.map("a").unwrap();
    disk.unlink("a").unwrap();
    assert!(map[..] == bytes[..]);
    assert!(disk.map("empty").unwrap().is_empty());
    assert_eq!(kind(disk.map("a")), Some(DiskErrorKind::NotFound));
}

#[test]
fn a_lock_excludes_other_handles_until_it_is_dropped() {
    let (root, disk) = disk();
    let other = RealDisk::open(root.path()).unwrap();
    let first = disk.lock("lock", LockMode::Shared).unwrap().unwrap();
    let second = other.lock("lock", LockMode::Shared).unwrap().unwrap();
    assert!(other.lock("lock", LockMode::Exclusive).unwrap().is_none());
    drop((first, second));
    let alone = disk.lock("lock", LockMode::Exclusive).unwrap().unwrap();
    assert!(other.lock("lock", LockMode::Shared).unwrap().is_none());
    drop(alone);
    assert!(other.lock("lock", LockMode::Exclusive).unwrap().is_some());
}

#[test]
fn the_lock_of_a_new_file_goes_with_it_when_it_is_renamed() {
    let (_root, disk) = disk();
    let mut file = written(&disk, "1", b"me");
    assert!(file.lock().unwrap());
    disk.rename_noreplace("1", "2").unwrap();
    assert!(disk.lock("2", LockMode::Exclusive).unwrap().is_none());
    drop(file);
    assert!(disk.lock("2", LockMode::Exclusive).unwrap().is_some());
}

#[test]
fn a_listing_has_names_lengths_and_kinds() {
    let (root, disk) = disk();
    disk.create_dir("d").unwrap();
    drop(written(&disk, "a", b"four"));
    symlink("a", root.path().join("link")).unwrap();
    let mut listed: Vec<_> =
        disk.list("").unwrap().into_iter().map(|entry| (entry.name, entry.stat.is_dir)).collect();
    listed.sort();
    assert_eq!(
        listed,
        [("a".to_owned(), false), ("d".to_owned(), true), ("link".to_owned(), false)]
    );
    assert_eq!(kind(disk.list("absent")), Some(DiskErrorKind::NotFound));
    assert_eq!(kind(disk.list("a")), Some(DiskErrorKind::Other));
    assert_eq!(kind(disk.remove_dir("")), Some(DiskErrorKind::Unsupported));
    disk.remove_dir("d").unwrap();
    assert_eq!(disk.list("").unwrap().len(), 2);
}

#[test]
fn touching_moves_the_time_and_nothing_else() {
    let (root, disk) = disk();
    drop(written(&disk, "a", b"four"));
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(root.path().join("a")).unwrap().set_modified(old).unwrap();
    assert_eq!(disk.stat("a").unwrap().modified_ns, 1_000_000_000_000_000_000);
    disk.touch("a").unwrap();
    let stat = disk.stat("a").unwrap();
    assert!(stat.modified_ns > 1_700_000_000_000_000_000 && stat.len == 4, "{stat:?}");
    assert_eq!(kind(disk.touch("b")), Some(DiskErrorKind::NotFound));
}

#[test]
fn no_path_leaves_the_root() {
    let (root, disk) = disk();
    for path in ["..", "../x", "/etc/passwd", "a/../b", "a//b", "./a", "a/", "a\0b"] {
        disk.create_new(path).map(drop).unwrap_err();
        disk.stat(path).unwrap_err();
        disk.list(path).unwrap_err();
        disk.unlink(path).unwrap_err();
        disk.rename_noreplace("x", path).unwrap_err();
        disk.lock(path, LockMode::Shared).map(drop).unwrap_err();
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn neither_a_symlink_nor_a_fifo_passes_for_an_object() {
    let (root, disk) = disk();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(elsewhere.path(), b"secret").unwrap();
    symlink(elsewhere.path(), root.path().join("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let mut buffer = [0; 1];
    for name in ["link", "fifo"] {
        disk.read_at(name, 0, &mut buffer).unwrap_err();
        disk.map(name).map(drop).unwrap_err();
    }
    disk.lock("link", LockMode::Exclusive).map(drop).unwrap_err();
    assert_eq!(fs::read(elsewhere.path()).unwrap(), b"secret");
}

#[test]
fn free_space_is_that_of_the_file_system() {
    let (_root, disk) = disk();
    let space = disk.free_space().unwrap();
    assert!(space.available_bytes > 0 && space.available_bytes <= space.total_bytes, "{space:?}");
}

/// How many descriptors of this process lead to a file beneath a directory.
fn open_beneath(root: &Path) -> usize {
    let root = root.canonicalize().unwrap();
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(&root) && *target != root).count()
}

fn first_byte(disk: &RealDisk, path: &str) -> Result<u8, DiskErrorKind> {
    let mut byte = [0];
    disk.read_at(path, 0, &mut byte).map_err(|error| error.kind())?;
    Ok(byte[0])
}

#[test]
fn a_few_files_stay_open_for_the_next_read() {
    let (root, disk) = disk();
    for number in 0..20_u8 {
        drop(written(&disk, &format!("{number}"), &[number]));
    }
    for _ in 0..3 {
        assert_eq!(first_byte(&disk, "0"), Ok(0));
    }
    assert_eq!(open_beneath(root.path()), 1);
    for number in (0..20_u8).chain(0..20) {
        assert_eq!(first_byte(&disk, &format!("{number}")), Ok(number));
    }
    assert_eq!(open_beneath(root.path()), 8);
}

#[test]
fn what_lost_its_name_is_not_read_by_it() {
    let (root, disk) = disk();
    disk.create_dir("a").unwrap();
    for path in ["one", "two", "a/three"] {
        drop(written(&disk, path, b"1"));
        assert_eq!(first_byte(&disk, path), Ok(b'1'));
    }
    disk.unlink("one").unwrap();
    disk.rename_noreplace("two", "moved").unwrap();
    disk.rename_noreplace("a", "b").unwrap();
    for path in ["one", "two", "a/three"] {
        assert_eq!(first_byte(&disk, path), Err(DiskErrorKind::NotFound), "{path}");
    }
    assert_eq!(open_beneath(root.path()), 0);
    drop(written(&disk, "one", b"2"));
    assert_eq!((first_byte(&disk, "one"), first_byte(&disk, "moved")), (Ok(b'2'), Ok(b'1')));
}

#[test]
fn a_failed_read_is_tried_on_a_new_handle() {
    let (root, disk) = disk();
    drop(written(&disk, "short", b""));
    assert_eq!(first_byte(&disk, "short"), Err(DiskErrorKind::ShortRead));
    fs::rename(root.path().join("short"), root.path().join("aside")).unwrap();
    drop(written(&disk, "short", b"3"));
    assert_eq!(first_byte(&disk, "short"), Ok(b'3'));
}
