//! Named paths, into a directory that is in use.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use larder::codec::manifest::Entry;
use larder::snapshot::restore::error::RestoreError;
use larder::snapshot::restore::report::RestoreReport;
use larder::snapshot::restore::run::{NamedPathRestore, RestoreOptions, restore_path};
use larder_testkit::compare::differences;

use super::*;

fn named<'a>(place: &'a Path, from: &'a str, at: &'a str, overwrite: bool) -> NamedPathRestore<'a> {
    let (from, at) = (from.as_bytes(), at.as_bytes());
    let time = "20261122T030000";
    NamedPathRestore { root: 0, from, target: place, at, database: false, overwrite, time }
}

/// The same for an entry that was captured as a database.
fn of_database<'a>(place: &'a Path, name: &'a str, overwrite: bool) -> NamedPathRestore<'a> {
    NamedPathRestore { database: true, ..named(place, name, name, overwrite) }
}

fn restore_named(
    entries: &[Entry],
    blobs: &Blobs,
    named: &NamedPathRestore<'_>,
) -> Result<RestoreReport, RestoreError> {
    let entries = entries.iter().cloned().map(Ok);
    restore_path(entries, named, &blobs.contents(), USUAL)
}

#[test]
fn one_file_goes_to_a_name_that_must_be_free() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("deep/er/f", "content");
    let entries = archive(&yard.source(), &blobs);
    let target = yard.target();
    let here = named(&target, "deep/er/f", "f", false);
    let report = restore_named(&entries, &blobs, &here).unwrap();
    assert_clean(&report);
    assert_eq!((report.files, report.directories, report.replaced), (1, 0, None));
    assert_eq!(names(&target), ["f"]);
    assert_eq!(fs::read(target.join("f")).unwrap(), b"content");

    fs::write(target.join("f"), "mine").unwrap();
    let again = restore_named(&entries, &blobs, &here);
    assert!(matches!(&again, Err(RestoreError::Exists { path }) if *path == target.join("f")));
    symlink("nowhere", target.join("g")).unwrap();
    let dangling = restore_named(&entries, &blobs, &named(&target, "deep/er/f", "g", false));
    assert!(matches!(dangling, Err(RestoreError::Exists { .. })), "also a link to nothing");
    assert_eq!(fs::read(target.join("f")).unwrap(), b"mine");
    assert_eq!(names(&target), ["f", "g"]);
}

#[test]
fn a_replaced_database_moves_aside_with_its_journals() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("app.db", "snapshot");
    yard.write("other", "untouched");
    let entries = archive(&yard.source(), &blobs);
    let live = yard.target();
    fs::create_dir(&live).unwrap();
    for name in ["app.db", "app.db-wal", "app.db-shm", "app.db-journal", "app.db2", "other"] {
        fs::write(live.join(name), format!("live {name}")).unwrap();
    }
    let report = restore_named(&entries, &blobs, &of_database(&live, "app.db", true)).unwrap();
    let aside = live.join(".larder-replaced-20261122T030000");
    assert_eq!(report.replaced.as_ref(), Some(&aside));
    assert_eq!(fs::read(live.join("app.db")).unwrap(), b"snapshot");
    assert_eq!(names(&live), [".larder-replaced-20261122T030000", "app.db", "app.db2", "other"]);
    assert_eq!(names(&aside), ["app.db", "app.db-journal", "app.db-shm", "app.db-wal"]);
    assert_eq!(fs::read(aside.join("app.db-wal")).unwrap(), b"live app.db-wal");
    assert_eq!(fs::metadata(&aside).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_stale_journal_alone_is_in_the_way_too() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("app.db", "snapshot");
    let entries = archive(&yard.source(), &blobs);
    let live = yard.target();
    fs::create_dir(&live).unwrap();
    fs::write(live.join("app.db-wal"), "stale").unwrap();
    let refused = restore_named(&entries, &blobs, &of_database(&live, "app.db", false));
    assert!(matches!(refused, Err(RestoreError::Exists { path }) if path.ends_with("app.db-wal")));
    restore_named(&entries, &blobs, &of_database(&live, "app.db", true)).unwrap();
    assert_eq!(names(&live), [".larder-replaced-20261122T030000", "app.db"]);
}

#[test]
fn a_name_like_a_journals_beside_a_plain_file_is_somebodys_file() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("notes", "snapshot");
    yard.write("sealed", b"SQLite format 3\0 and so on");
    let entries = archive(&yard.source(), &blobs);
    let live = yard.target();
    fs::create_dir(&live).unwrap();
    for name in ["notes-wal", "notes-journal"] {
        fs::write(live.join(name), "mine").unwrap();
    }
    assert_clean(&restore_named(&entries, &blobs, &named(&live, "notes", "notes", false)).unwrap());
    let report = restore_named(&entries, &blobs, &named(&live, "notes", "notes", true)).unwrap();
    assert_eq!(names(&report.replaced.unwrap()), ["notes"]);
    assert_eq!(names(&live)[1..], ["notes", "notes-journal", "notes-wal"]);

    // What stood there was a database, so the log is its.
    fs::write(live.join("notes"), b"SQLite format 3\0").unwrap();
    let here = NamedPathRestore { time: "later", ..named(&live, "notes", "notes", true) };
    let report = restore_named(&entries, &blobs, &here).unwrap();
    assert_eq!(names(&report.replaced.unwrap()), ["notes", "notes-journal", "notes-wal"]);
    // What comes there is one, whatever its entry says of it.
    fs::write(live.join("sealed-wal"), "stale").unwrap();
    let here = named(&live, "sealed", "sealed", false);
    let refused = restore_named(&entries, &blobs, &here);
    assert!(matches!(refused, Err(RestoreError::Exists { path }) if path.ends_with("sealed-wal")));
    assert_eq!(names(&live)[2..], ["notes", "sealed-wal"], "and nothing of it is left");
}

#[test]
fn what_did_not_reach_the_disk_takes_the_place_of_nothing() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", "content");
    let entries = archive(&yard.source(), &blobs);
    let live = yard.target();
    fs::create_dir(&live).unwrap();
    fs::write(live.join("f"), "live").unwrap();
    let options = RestoreOptions { sync: |_| Err(rustix::io::Errno::IO.into()), ..USUAL };
    let here = named(&live, "f", "f", true);
    let failed = restore_path(entries.into_iter().map(Ok), &here, &blobs.contents(), options);
    let message = failed.map(drop).unwrap_err().to_string();
    assert!(message.contains("did not reach the disk: Input/output error"), "{message}");
    assert_eq!(
        (names(&live), fs::read(live.join("f")).unwrap()),
        (vec!["f".into()], b"live".into())
    );
}

#[test]
fn a_directory_is_replaced_as_a_whole() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("att/x/1", "one");
    yard.write("att/y", "two");
    let entries = archive(&yard.source(), &blobs);
    let live = yard.target();
    fs::create_dir_all(live.join("att/z")).unwrap();
    fs::write(live.join("att/z/new"), "since then").unwrap();
    let report = restore_named(&entries, &blobs, &named(&live, "att", "att", true)).unwrap();
    assert_clean(&report);
    assert_eq!(differences(&yard.source().join("att"), &live.join("att")), Vec::<String>::new());
    let aside = report.replaced.unwrap();
    assert_eq!(fs::read(aside.join("att/z/new")).unwrap(), b"since then");
}

#[test]
fn what_is_there_is_not_given_up_for_something_damaged() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("att/bad", "lost");
    yard.write("att/good", "sound");
    let entries = archive(&yard.source(), &blobs);
    blobs.lose(blobs.put(b"lost").id);
    let live = yard.target();
    fs::create_dir_all(live.join("att")).unwrap();
    fs::write(live.join("att/bad"), "live").unwrap();
    let report = restore_named(&entries, &blobs, &named(&live, "att", "att", true)).unwrap();
    assert_eq!((report.damaged.total(), report.replaced), (1, None));
    assert_eq!(fs::read(live.join("att/bad")).unwrap(), b"live");
    let left = report.left_aside.unwrap();
    assert_eq!(fs::read(left.join("att/good")).unwrap(), b"sound");

    let file = restore_named(&entries, &blobs, &named(&live, "att/bad", "x/bad", true)).unwrap();
    assert_eq!(file.damaged.total(), 1);
    assert_eq!(names(&live.join("x")), Vec::<String>::new(), "nothing under its final name");
    let fresh = yard.0.path().join("fresh");
    restore_named(&entries, &blobs, &named(&fresh, "att", "att", false)).unwrap();
    assert_eq!(names(&fresh.join("att")), ["good"], "nothing was in the way of the rest");
}

#[test]
fn a_stopped_restore_of_a_path_leaves_the_place_as_it_was() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", vec![7; 5 * CHUNK_BYTES]);
    let entries = archive(&yard.source(), &blobs);
    let live = yard.target();
    fs::create_dir(&live).unwrap();
    fs::write(live.join("f"), "live").unwrap();
    let observer = Counting::until(1);
    let options = RestoreOptions { observer: &observer, ..USUAL };
    let here = named(&live, "f", "f", true);
    let stopped = restore_path(entries.into_iter().map(Ok), &here, &blobs.contents(), options);
    assert!(matches!(stopped, Err(RestoreError::Cancelled)), "{stopped:?}");
    assert_eq!(names(&live), ["f"]);
    assert_eq!(fs::read(live.join("f")).unwrap(), b"live");
}

#[test]
fn named_paths_stay_in_their_target() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", "x");
    let entries = archive(&yard.source(), &blobs);
    let (live, outside) = (yard.target(), yard.0.path().join("outside"));
    fs::create_dir(&live).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(&outside, live.join("link")).unwrap();
    for at in ["", "../outside/f", "/etc/f", "a//b", "link/f", "link/deeper/f"] {
        for overwrite in [false, true] {
            let refused = restore_named(&entries, &blobs, &named(&live, "f", at, overwrite));
            let refused = refused.map(drop).unwrap_err();
            assert!(
                matches!(refused, RestoreError::BadPath { .. } | RestoreError::Target { .. }),
                "{at}: {refused:?}"
            );
        }
    }
    assert_eq!(names(&outside), Vec::<String>::new());
}
