//! The judge of restores, judged: it must notice a difference in every attribute, and in nothing else.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use larder_testkit::compare::differences;
use larder_testkit::trees::plant;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

/// Two directories that `make` filled alike, of which `change` changed the second.
fn noticed(make: impl Fn(&Path), change: impl Fn(&Path)) -> Vec<String> {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for dir in [&a, &b] {
        make(dir.path());
        same_times(dir.path());
    }
    assert_eq!(differences(a.path(), b.path()), Vec::<String>::new(), "alike to begin with");
    change(b.path());
    let found = differences(a.path(), b.path());
    let mirrored = differences(b.path(), a.path());
    assert_eq!(found.len(), mirrored.len(), "{found:?} {mirrored:?}");
    found
}

fn set_time(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Gives everything in a directory, and the directory last, one and the same time.
fn same_times(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            same_times(&entry.path());
        } else {
            set_time(&entry.path(), 1000, 1);
        }
    }
    set_time(dir, 1000, 1);
}

/// Changes `f` and gives it and the directory their times back, so that only the change itself can be noticed.
fn quietly(change: impl Fn(&Path)) -> impl Fn(&Path) {
    move |dir| {
        change(&dir.join("f"));
        same_times(dir);
    }
}

fn file(dir: &Path) {
    fs::write(dir.join("f"), [1; 10_000]).unwrap();
}

#[test]
fn one_changed_byte_is_noticed() {
    let found = noticed(
        file,
        quietly(|f| {
            File::options().write(true).open(f).unwrap().write_all_at(&[2], 9_999).unwrap();
        }),
    );
    assert_eq!(found, ["f: content differs from byte 9999 on"]);
}

#[test]
fn another_length_is_noticed() {
    let found = noticed(
        file,
        quietly(|f| File::options().write(true).open(f).unwrap().set_len(9).unwrap()),
    );
    assert_eq!(found, ["f: size 10000 and 9"]);
}

#[test]
fn missing_and_additional_names_are_noticed() {
    let found = noticed(file, quietly(|f| fs::rename(f, f.with_file_name("g")).unwrap()));
    assert_eq!(found, ["f: only in the first", "g: only in the second"]);
}

#[test]
fn another_kind_is_noticed() {
    let found = noticed(
        file,
        quietly(|f| {
            fs::remove_file(f).unwrap();
            fs::create_dir(f).unwrap();
        }),
    );
    assert_eq!(found, ["f: kind RegularFile and Directory"]);
}

#[test]
fn another_mode_is_noticed() {
    let chmod =
        |mode| move |f: &Path| fs::set_permissions(f, fs::Permissions::from_mode(mode)).unwrap();
    let found = noticed(
        |dir| {
            file(dir);
            chmod(0o644)(&dir.join("f"));
        },
        quietly(chmod(0o4644)),
    );
    assert_eq!(found, ["f: mode \"0644\" and \"4644\""]);
    let root = noticed(|dir| chmod(0o700)(dir), |dir| chmod(0o711)(dir));
    assert_eq!(root, [".: mode \"0700\" and \"0711\""]);
}

#[test]
fn another_owner_is_noticed() {
    if !rustix::process::geteuid().is_root() {
        return; // nobody else can make the difference
    }
    let chown = |f: &Path| {
        let (uid, gid) = (Some(Uid::from_raw(7)), Some(Gid::from_raw(0)));
        rustix::fs::chownat(CWD, f, uid, gid, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    };
    assert_eq!(noticed(file, quietly(chown)), ["f: owner (0, 0) and (7, 0)"]);
    let link = |dir: &Path| symlink("x", dir.join("f")).unwrap();
    assert_eq!(noticed(link, quietly(chown)), ["f: owner (0, 0) and (7, 0)"]);
}

#[test]
fn a_nanosecond_is_noticed() {
    let found = noticed(file, |dir| set_time(&dir.join("f"), 1000, 2));
    assert_eq!(found, ["f: time (1000, 1) and (1000, 2)"]);
    let link = |dir: &Path| symlink("x", dir.join("f")).unwrap();
    assert_eq!(noticed(link, |dir| set_time(&dir.join("f"), 1000, 2)).len(), 1);
    assert_eq!(noticed(|_| {}, |dir| set_time(dir, 1001, 1)), [".: time (1000, 1) and (1001, 1)"]);
}

#[test]
fn attributes_are_noticed_by_name_and_value() {
    let set = |value: &'static [u8]| {
        move |f: &Path| {
            rustix::fs::setxattr(f, "user.note", value, XattrFlags::empty()).unwrap();
        }
    };
    let probe = tempfile::NamedTempFile::new().unwrap();
    if rustix::fs::setxattr(probe.path(), "user.note", b"", XattrFlags::empty()).is_err() {
        return; // a file system without them
    }
    let with = |dir: &Path| {
        file(dir);
        set(b"one")(&dir.join("f"));
    };
    assert_eq!(noticed(file, quietly(set(b"one"))).len(), 1);
    assert_eq!(noticed(with, quietly(set(b"two"))).len(), 1);
    let root = noticed(
        |_| {},
        |dir| {
            set(b"one")(dir);
            set_time(dir, 1000, 1);
        },
    );
    assert!(root.len() == 1 && root[0].starts_with(".: attributes"), "{root:?}");
}

#[test]
fn broken_and_additional_hard_links_are_noticed() {
    let linked = |dir: &Path| {
        file(dir);
        fs::hard_link(dir.join("f"), dir.join("g")).unwrap();
    };
    let apart = quietly(|f| {
        fs::remove_file(f).unwrap();
        file(f.parent().unwrap());
    });
    assert_eq!(noticed(linked, apart), ["f = g: one inode only in the first"]);
    let separate = |dir: &Path| {
        file(dir);
        fs::copy(dir.join("f"), dir.join("g")).map(drop).unwrap();
    };
    let joined = quietly(|f| {
        fs::remove_file(f).unwrap();
        fs::hard_link(f.with_file_name("g"), f).unwrap();
    });
    assert_eq!(noticed(separate, joined), ["f = g: one inode only in the second"]);
}

#[test]
fn filled_holes_are_noticed() {
    let sparse = |dir: &Path| {
        let file = File::create(dir.join("f")).unwrap();
        file.write_all_at(&[1; 4096], 64 << 10).unwrap();
        file.set_len(128 << 10).unwrap();
    };
    let fill = quietly(|f| {
        File::options().write(true).open(f).unwrap().write_all_at(&[0; 4096], 0).unwrap();
    });
    let probe = tempfile::tempdir().unwrap();
    sparse(probe.path());
    if larder::snapshot::source::sparse::FileSystem::of(File::open(probe.path()).unwrap())
        .maps_holes
    {
        assert_eq!(noticed(sparse, fill), ["f: data at units [(16, 17)] and [(0, 1), (16, 17)]"]);
    }
}

#[test]
fn another_link_target_is_noticed() {
    let found = noticed(
        |dir| symlink("here", dir.join("f")).unwrap(),
        quietly(|f| {
            fs::remove_file(f).unwrap();
            symlink("there", f).unwrap();
        }),
    );
    assert_eq!(found, ["f: target \"here\" and \"there\""]);
}

#[test]
fn another_device_is_noticed() {
    let node = |f: &Path, minor| {
        let number = rustix::fs::makedev(1, minor);
        rustix::fs::mknodat(CWD, f, FileType::CharacterDevice, Mode::RUSR, number)
    };
    let probe = tempfile::tempdir().unwrap();
    if node(&probe.path().join("f"), 3).is_err() {
        return; // without privileges there are none
    }
    let found = noticed(
        |dir| node(&dir.join("f"), 3).unwrap(),
        quietly(|f| {
            fs::remove_file(f).unwrap();
            node(f, 5).unwrap();
        }),
    );
    assert_eq!(found, ["f: device (1, 3) and (1, 5)"]);
}

#[test]
fn differences_deep_down_are_found() {
    let deep = |dir: &Path| {
        fs::create_dir_all(dir.join("a/b/c")).unwrap();
        file(&dir.join("a/b/c"));
    };
    let found = noticed(deep, |dir| set_time(&dir.join("a/b/c/f"), 5, 5));
    assert_eq!(found, ["a/b/c/f: time (1000, 1) and (5, 5)"]);
}

#[test]
fn planted_trees_depend_on_their_seed_alone() {
    let plant_one = |seed| {
        let dir = tempfile::tempdir().unwrap();
        let planted = plant(dir.path(), seed).unwrap();
        assert!(planted.things > 60, "{planted:?}");
        dir
    };
    let (a, b, c) = (plant_one(1), plant_one(1), plant_one(2));
    assert_eq!(differences(a.path(), b.path()), Vec::<String>::new());
    assert!(differences(a.path(), c.path()).len() > 50);
}
