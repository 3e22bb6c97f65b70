//! Whole trees.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use larder::codec::content::Content;
use larder::codec::manifest::EntryKind;
use larder::repo::error::{Damage, RepoError};
use larder::snapshot::restore::error::RestoreError;
use larder::snapshot::restore::plan::Placement;
use larder::snapshot::restore::run::{RestoreOptions, restore_tree};
use larder_testkit::compare::differences;
use larder_testkit::trees::plant;
use rustix::io::Errno;

use super::*;
use crate::nobody;

#[test]
fn planted_trees_come_back_with_everything() {
    for (seed, way) in (1..).zip(every_way()) {
        let (yard, blobs) = (Yard::new(), Blobs::default());
        let planted = plant(&yard.source(), seed).unwrap();
        let entries = archive(&yard.source(), &blobs);
        let report = restore(&entries, &blobs, &yard.target(), way).unwrap();
        assert_clean(&report);
        assert_eq!(differences(&yard.source(), &yard.target()), Vec::<String>::new());
        // 5 further names of inodes, and the root.
        assert_eq!(report.files + report.directories + report.others, planted.things as u64 + 6);
    }
}

#[test]
fn nobody_gets_everything_but_owners_and_devices() {
    if nobody::rerun("restore::whole::nobody_gets_everything_but_owners_and_devices") {
        return;
    }
    let (yard, blobs) = (Yard::new(), Blobs::default());
    plant(&yard.source(), 9).unwrap();
    let mut entries = archive(&yard.source(), &blobs);
    let report = restore(&entries, &blobs, &yard.target(), USUAL).unwrap();
    assert_clean(&report);
    assert_eq!(differences(&yard.source(), &yard.target()), Vec::<String>::new());

    // As if root had taken the snapshot.
    for entry in &mut entries {
        entry.uid = 0;
        entry.mode |= 0o4000;
        if entry.kind == EntryKind::Fifo {
            entry.kind = EntryKind::CharDevice { major: 1, minor: 3 };
        }
    }
    let target = yard.0.path().join("second");
    let report = restore(&entries, &blobs, &target, USUAL).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let notes = texts(&report.notes);
    assert!(notes.iter().any(|note| note.starts_with("special/pipe: the device was not restored")));
    assert!(notes.iter().any(|note| note.contains("files/empty: owner 0:")), "{notes:?}");
    let restored = fs::metadata(target.join("files/empty")).unwrap();
    assert_eq!(restored.mode() & 0o4000, 0, "nobody's program must not pass for root's");
}

#[test]
fn files_are_read_in_the_order_of_the_packs() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    for number in 0..200 {
        yard.write(&format!("d{}/{number}", number % 7), format!("content {number}"));
    }
    let entries = archive(&yard.source(), &blobs);
    let alone = RestoreOptions { threads: 1, ..USUAL };
    let stream = entries.iter().cloned().map(Ok);
    let report = restore_tree(stream, &whole(), &yard.target(), &blobs.contents(), alone).unwrap();
    assert_eq!((report.files, report.directories), (200, 8));
    let reads = blobs.reads.lock().unwrap();
    assert_eq!(reads.len(), 200, "every chunk is read once");
    assert!(reads.is_sorted());
}

#[test]
fn batches_join_without_a_seam() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    let first = yard.write("aaa/first name", "linked across batches");
    for number in 0..40 {
        yard.write(&format!("bbb/{}/{number:05}", number % 4), "");
    }
    fs::hard_link(first, yard.source().join("zzz")).unwrap();
    let entries = archive(&yard.source(), &blobs);
    for batch_entries in [1, 2, 7, entries.len()] {
        let target = yard.0.path().join(format!("by {batch_entries}"));
        let options = RestoreOptions { batch_entries, ..USUAL };
        assert_clean(&restore(&entries, &blobs, &target, options).unwrap());
        assert_eq!(differences(&yard.source(), &target), Vec::<String>::new());
    }
}

#[test]
fn several_roots_go_under_paths_of_their_own() {
    let (one, two, blobs) = (Yard::new(), Yard::new(), Blobs::default());
    one.write("a/f", "one");
    two.write("a/f", "two");
    let mut entries = archive(&one.source(), &blobs);
    entries.extend(archive(&two.source(), &blobs).into_iter().map(|mut entry| {
        entry.key.root = 1;
        entry
    }));
    let to = |root, to: &str| Placement { root, from: Vec::new(), to: to.into() };
    let placements = [to(0, "app/data"), to(1, "srv")];
    let stream = entries.into_iter().map(Ok);
    let report =
        restore_tree(stream, &placements, &one.target(), &blobs.contents(), USUAL).unwrap();
    assert_clean(&report);
    assert_eq!(differences(&one.source(), &one.target().join("app/data")), Vec::<String>::new());
    assert_eq!(differences(&two.source(), &one.target().join("srv")), Vec::<String>::new());
}

#[test]
fn a_target_with_anything_in_it_is_refused_and_left_alone() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", "new");
    fs::create_dir(yard.target()).unwrap();
    fs::write(yard.target().join("f"), "old").unwrap();
    let entries = archive(&yard.source(), &blobs);
    let refused = restore(&entries, &blobs, &yard.target(), USUAL);
    assert!(matches!(refused, Err(RestoreError::NotEmpty { .. })), "{refused:?}");
    assert_eq!(fs::read(yard.target().join("f")).unwrap(), b"old");
    assert_eq!(fs::read_dir(yard.target()).unwrap().count(), 1);
}

#[test]
fn damage_costs_the_file_and_nothing_else() {
    for (lost, threads) in [(0, 1), (0, 4), (2, 1)] {
        let (yard, blobs) = (Yard::new(), Blobs::default());
        yard.write("a", "a");
        let big: Vec<u8> =
            (0..u32::try_from(CHUNK_BYTES).unwrap()).flat_map(u32::to_le_bytes).collect();
        let b = yard.write("b", &big);
        fs::hard_link(b, yard.source().join("c")).unwrap();
        yard.write("d", "d");
        let entries = archive(&yard.source(), &blobs);
        let EntryKind::File(file) = &entries[2].kind else { panic!("not a file") };
        let Content::Inline(chunks) = &file.content else { panic!("not inline") };
        assert_eq!(chunks.len(), 4);
        blobs.lose(chunks[lost].id);
        let options = RestoreOptions { threads, ..USUAL };
        let stream = entries.into_iter().map(Ok);
        let report =
            restore_tree(stream, &whole(), &yard.target(), &blobs.contents(), options).unwrap();
        let damaged: Vec<_> = report.damaged.listed().iter().map(|hit| hit.path.clone()).collect();
        assert_eq!(damaged, [b"b".to_vec(), b"c".to_vec()], "each name is told");
        assert!(report.damaged.listed()[0].message.contains("is in no index segment"));
        assert_eq!(report.files, 2);
        let left = differences(&yard.source(), &yard.target());
        assert_eq!(left, ["b: only in the first", "c: only in the first"]);
    }
}

#[test]
fn a_chunk_of_another_length_is_damage() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", "0123456789");
    let mut entries = archive(&yard.source(), &blobs);
    let EntryKind::File(file) = &mut entries[1].kind else { panic!("not a file") };
    let Content::Inline(chunks) = &mut file.content else { panic!("not inline") };
    (chunks[0].len, file.size) = (9, 9);
    let report = restore(&entries, &blobs, &yard.target(), USUAL).unwrap();
    assert_eq!(report.damaged.total(), 1, "{report:?}");
    assert!(!yard.target().join("f").exists());
}

#[test]
fn contents_that_are_shorter_or_longer_than_their_entry_are_damage() {
    for (given, said) in [(5, "only 5 bytes of it could be had"), (20, "more bytes than its entry")]
    {
        let (yard, blobs) = (Yard::new(), Blobs::default());
        yard.write("f", "0123456789");
        let mut entries = archive(&yard.source(), &blobs);
        let EntryKind::File(file) = &mut entries[1].kind else { panic!("not a file") };
        let chunk = blobs.put(&vec![1; given]);
        file.content = Content::List { root: chunk.id, len: 10 };
        // As if a list led to other chunks than its sum says.
        let contents = Chunked::new(&blobs, |_: &Content| std::iter::once(Ok(chunk)));
        let stream = entries.into_iter().map(Ok);
        let report = restore_tree(stream, &whole(), &yard.target(), &contents, USUAL).unwrap();
        let damaged = texts(&report.damaged);
        assert!(damaged.len() == 1 && damaged[0].contains(said), "{damaged:?}");
        assert!(!yard.target().join("f").exists());
    }
}

#[test]
fn damaged_manifests_restore_what_they_still_say() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", "x");
    let damage = Damage::Object { object: "packs/x".into(), reason: "short".into() };
    let mut entries: Vec<_> = archive(&yard.source(), &blobs).into_iter().map(Ok).collect();
    entries.push(Err(RepoError::Damaged(damage)));
    let report = restore_tree(entries, &whole(), &yard.target(), &blobs.contents(), USUAL).unwrap();
    assert_eq!((report.files, report.damaged.total()), (1, 1));

    let failing = [Err(RepoError::Unsupported { what: "x".into() })];
    let target = yard.0.path().join("other");
    let failed = restore_tree(failing, &whole(), &target, &blobs.contents(), USUAL);
    assert!(
        matches!(failed, Err(RestoreError::Repository(_))),
        "a failing repository is no damage"
    );
}

#[test]
fn progress_is_told_and_a_stop_is_heeded_inside_a_file() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("a", vec![1; 10 * CHUNK_BYTES]);
    yard.write("b", "b");
    let entries = archive(&yard.source(), &blobs);
    let run = |observer: &Counting, target: &Path| {
        let options = RestoreOptions { observer, threads: 1, ..USUAL };
        let stream = entries.iter().cloned().map(Ok);
        restore_tree(stream, &whole(), target, &blobs.contents(), options)
    };
    let patient = Counting::until(u64::MAX);
    let report = run(&patient, &yard.target()).unwrap();
    assert_eq!(patient.items.into_inner(), 2);
    assert_eq!(patient.bytes.into_inner(), report.bytes);

    let hasty = Counting::until(2 * CHUNK_BYTES as u64);
    let target = yard.0.path().join("stopped");
    assert!(matches!(run(&hasty, &target), Err(RestoreError::Cancelled)));
    assert!(!target.join("a").exists(), "no half of a file");
}

#[test]
fn closed_directories_are_filled_before_they_close() {
    if nobody::rerun("restore::whole::closed_directories_are_filled_before_they_close") {
        return;
    }
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("shut/in/f", "x");
    for path in ["shut/in", "shut"] {
        let closed = fs::Permissions::from_mode(0o555);
        fs::set_permissions(yard.source().join(path), closed).unwrap();
    }
    let entries = archive(&yard.source(), &blobs);
    assert_clean(&restore(&entries, &blobs, &yard.target(), USUAL).unwrap());
    assert_eq!(differences(&yard.source(), &yard.target()), Vec::<String>::new());
    for root in [yard.source(), yard.target()] {
        for path in ["shut", "shut/in"] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

#[test]
fn a_restore_that_did_not_reach_the_disk_has_failed() {
    let (yard, blobs) = (Yard::new(), Blobs::default());
    yard.write("f", "content");
    let entries = archive(&yard.source(), &blobs);
    for (errno, is_full) in [(Errno::IO, false), (Errno::NOSPC, true), (Errno::DQUOT, true)] {
        let target = yard.0.path().join(format!("{errno:?}"));
        let options = RestoreOptions { sync: failing_with(errno), ..USUAL };
        let failed = restore(&entries, &blobs, &target, options).map(drop).unwrap_err();
        assert!(matches!(&failed, RestoreError::NotDurable { path, .. } if *path == target));
        assert_eq!(failed.is_no_space(), is_full, "{failed}");
    }
}

fn failing_with(errno: Errno) -> fn(std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    match errno {
        Errno::NOSPC => |_| Err(Errno::NOSPC.into()),
        Errno::DQUOT => |_| Err(Errno::DQUOT.into()),
        _ => |_| Err(Errno::IO.into()),
    }
}
