//! What every backend must do, and must refuse.

use larder::repo::backend::{Backend, BackendError, Key, ObjectInfo};
use larder::repo::disk::LockMode;

/// The store that every check begins with.
pub(super) const DIRECTORIES: [&str; 6] =
    ["packs", "index", "sessions", "locks", "tmp", "trash/one"];

pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) needs_locks: bool,
    pub(super) run: fn(&dyn Backend),
}

macro_rules! checks {
    ($($run:ident),* $(,)?) => {
        &[$(Check { name: stringify!($run), needs_locks: false, run: $run }),*,
          Check { name: "locks_exclude", needs_locks: true, run: locks_exclude },
          Check { name: "a_marker_is_locked_while_its_stage_lives", needs_locks: true, run: a_marker_is_locked_while_its_stage_lives }]
    };
}

pub(super) const ALL: &[Check] = checks![
    published_objects_read_back,
    nothing_is_visible_before_the_barrier,
    large_objects_are_whole,
    taken_names_are_refused,
    a_name_taken_before_the_barrier_is_refused_unless_the_bytes_agree,
    ranges_past_the_end_are_refused,
    what_has_no_name_yet_is_read_back,
    missing_objects_are_said_to_be_missing,
    listings_are_sorted_and_empty_without_a_directory,
    dropped_uploads_leave_nothing,
    dropped_stages_keep_only_what_they_published,
    a_failed_stage_publishes_nothing_more,
    renames_move_and_never_replace,
    deleted_objects_are_gone,
    touched_objects_get_no_older,
    markers_are_visible_at_once,
    sweeping_removes_what_a_dead_writer_left,
    stage_names_are_single_components,
    directories_are_made_once,
    only_empty_directories_are_removed,
    empty_barriers_are_fine,
    threads_share_a_stage,
];

pub(super) fn key(text: &str) -> Key {
    Key::new(text).expect("a well-formed key")
}

pub(super) fn publish(backend: &dyn Backend, name: &str, bytes: &[u8]) {
    let stage = backend.stage(&format!("for-{}", name.replace('/', "-"))).unwrap();
    stage.put(&key(name), bytes).unwrap();
    stage.barrier().unwrap();
}

fn names(backend: &dyn Backend, directory: &str) -> Vec<String> {
    backend.list(directory).unwrap().into_iter().map(|object| object.name).collect()
}

fn is_taken<T>(outcome: &Result<T, BackendError>) -> bool {
    matches!(outcome, Err(BackendError::AlreadyExists { .. }))
}

fn is_missing<T>(outcome: &Result<T, BackendError>) -> bool {
    matches!(outcome, Err(BackendError::NotFound { .. }))
}

fn is_poisoned<T>(outcome: &Result<T, BackendError>) -> bool {
    matches!(outcome, Err(BackendError::Poisoned))
}

fn published_objects_read_back(backend: &dyn Backend) {
    publish(backend, "packs/a", b"some bytes");
    publish(backend, "packs/empty", b"");
    publish(backend, "config", b"at the top");
    assert_eq!(backend.get(&key("packs/a")).unwrap(), b"some bytes");
    assert_eq!(backend.get(&key("packs/empty")).unwrap(), b"");
    assert_eq!(backend.get(&key("config")).unwrap(), b"at the top");
    assert_eq!(&backend.map(&key("packs/a")).unwrap()[..], b"some bytes");
    assert!(backend.map(&key("packs/empty")).unwrap().is_empty());
    assert_eq!(backend.get_range(&key("packs/a"), 5, 3).unwrap(), b"byt");
    let listed = backend.list("packs").unwrap();
    let lens: Vec<_> =
        listed.iter().map(|object| (object.name.as_str(), object.len, object.is_dir)).collect();
    assert_eq!(lens, [("a", 10, false), ("empty", 0, false)]);
    assert_eq!(backend.stat(&key("packs/a")).unwrap(), listed[0]);
}

fn nothing_is_visible_before_the_barrier(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    stage.put(&key("packs/a"), b"bytes").unwrap();
    let mut upload = stage.create().unwrap();
    assert!(upload.is_empty());
    upload.append(b"bytes").unwrap();
    assert_eq!((upload.len(), upload.is_empty()), (5, false));
    upload.finish(&key("index/b")).unwrap();
    let unfinished = stage.create().unwrap();
    assert!(names(backend, "packs").is_empty() && names(backend, "index").is_empty());
    assert!(
        is_missing(&backend.get(&key("packs/a"))) && is_missing(&backend.stat(&key("packs/a")))
    );
    stage.barrier().unwrap();
    assert_eq!(
        (names(backend, "packs"), names(backend, "index")),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    unfinished.finish(&key("packs/c")).unwrap();
    assert!(is_missing(&backend.get(&key("packs/c"))));
    stage.barrier().unwrap();
    assert_eq!(backend.get(&key("packs/c")).unwrap(), b"");
}

fn large_objects_are_whole(backend: &dyn Backend) {
    let bytes: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
    let stage = backend.stage("s").unwrap();
    let mut upload = stage.create().unwrap();
    for part in bytes.chunks(100_001) {
        upload.append(part).unwrap();
    }
    upload.finish(&key("packs/a")).unwrap();
    stage.barrier().unwrap();
    assert!(backend.get(&key("packs/a")).unwrap() == bytes);
    assert!(backend.map(&key("packs/a")).unwrap()[..] == bytes[..]);
    let range = backend.get_range(&key("packs/a"), 262_143, 1_600_000).unwrap();
    assert!(range == bytes[262_143..1_862_143]);
    assert_eq!(backend.get_range(&key("packs/a"), 2_399_999, 1).unwrap(), bytes[2_399_999..]);
}

fn taken_names_are_refused(backend: &dyn Backend) {
    publish(backend, "packs/a", b"first");
    let stage = backend.stage("s").unwrap();
    assert!(is_taken(&stage.put(&key("packs/a"), b"second")));
    stage.put(&key("packs/b"), b"staged").unwrap();
    assert!(is_taken(&stage.put(&key("packs/b"), b"staged twice")));
    assert!(is_taken(&stage.announce(&key("packs/a"), b"marker")));
    assert!(is_taken(&stage.announce(&key("packs/b"), b"marker")));
    // An answer, not a failure: the stage goes on.
    stage.barrier().unwrap();
    assert!(is_taken(&stage.put(&key("packs/b"), b"after the barrier")));
    assert_eq!(backend.get(&key("packs/a")).unwrap(), b"first");
    assert_eq!(backend.get(&key("packs/b")).unwrap(), b"staged");
}

fn a_name_taken_before_the_barrier_is_refused_unless_the_bytes_agree(backend: &dyn Backend) {
    let stages: Vec<_> =
        ["one", "two", "three", "four"].map(|name| backend.stage(name).unwrap()).into();
    for (stage, bytes) in stages.iter().zip([&b"bytes"[..], b"bytes", b"other", b"longer"]) {
        stage.put(&key("index/a"), bytes).unwrap();
    }
    stages[0].barrier().unwrap();
    stages[1].barrier().unwrap();
    for stage in &stages[2..] {
        assert!(is_taken(&stage.barrier()));
        assert!(is_poisoned(&stage.barrier()));
    }
    assert_eq!(backend.get(&key("index/a")).unwrap(), b"bytes");
    drop(stages);
    assert_eq!(names(backend, "tmp"), [""; 0]);
}

fn ranges_past_the_end_are_refused(backend: &dyn Backend) {
    publish(backend, "packs/a", b"0123456789");
    let a = key("packs/a");
    assert_eq!(backend.get_range(&a, 0, 10).unwrap(), b"0123456789");
    assert_eq!(backend.get_range(&a, 9, 1).unwrap(), b"9");
    for offset in [0, 10, 11, u64::MAX] {
        assert_eq!(backend.get_range(&a, offset, 0).unwrap(), b"");
    }
    for (offset, len) in [
        (0, 11),
        (10, 1),
        (9, 2),
        (11, 1),
        (u64::MAX, 1),
        (0, usize::MAX),
        (5, 1 << 40),
        (0, 2 << 20),
    ] {
        let outcome = backend.get_range(&a, offset, len);
        let Err(BackendError::ShortObject { key, end }) = outcome else {
            panic!("{offset} {len}: {outcome:?}")
        };
        assert_eq!((key.as_str(), end), ("packs/a", offset.saturating_add(len as u64)));
    }
}

fn what_has_no_name_yet_is_read_back(backend: &dyn Backend) {
    let stage = backend.stage("reading").unwrap();
    let mut upload = stage.create().unwrap();
    upload.append(b"abc").unwrap();
    upload.append(b"defg").unwrap();
    assert_eq!(upload.read_back(2, 3).unwrap(), b"cde", "while it grows");
    let short = |outcome: Result<Vec<u8>, BackendError>| {
        matches!(outcome, Err(BackendError::ShortObject { end: 8, .. }))
    };
    assert!(short(upload.read_back(4, 4)));
    upload.finish(&key("packs/read")).unwrap();
    let read = |offset, len| stage.read_back(&key("packs/read"), offset, len);
    assert_eq!(read(0, 7).unwrap(), b"abcdefg", "when it is finished");
    assert!(short(read(4, 4)));
    assert!(is_missing(&stage.read_back(&key("packs/other"), 0, 1)));
    stage.barrier().unwrap();
    assert!(is_missing(&read(0, 7)), "it has its name now");
    assert_eq!(backend.get(&key("packs/read")).unwrap(), b"abcdefg", "no refusal was a failure");
}

fn missing_objects_are_said_to_be_missing(backend: &dyn Backend) {
    for missing in [key("packs/a"), key("nowhere/a"), key("a")] {
        assert!(is_missing(&backend.get(&missing)));
        assert!(is_missing(&backend.get_range(&missing, 0, 1)));
        assert!(is_missing(&backend.get_range(&missing, 0, 2 << 20)));
        assert!(is_missing(&backend.get_range(&missing, 0, 0)));
        assert!(is_missing(&backend.map(&missing).map(drop)));
        assert!(is_missing(&backend.stat(&missing)));
        assert!(is_missing(&backend.touch(&missing)));
        assert!(is_missing(&backend.delete(&missing)));
        assert!(is_missing(&backend.rename(&missing, &key("packs/b"))));
    }
    assert_eq!(names(backend, "packs"), [""; 0]);
}

fn listings_are_sorted_and_empty_without_a_directory(backend: &dyn Backend) {
    assert_eq!(backend.list("nowhere").unwrap(), []);
    assert_eq!(backend.list("trash/nowhere").unwrap(), []);
    assert_eq!(backend.list("packs").unwrap(), []);
    for name in ["b", "a", "c0", "c"] {
        publish(backend, &format!("packs/{name}"), b"");
    }
    assert_eq!(names(backend, "packs"), ["a", "b", "c", "c0"]);
    let is_dir = |object: &ObjectInfo| object.is_dir;
    assert!(
        backend.list("").unwrap().iter().all(is_dir)
            && backend.list("trash").unwrap().iter().all(is_dir)
    );
    assert_eq!(names(backend, ""), ["index", "locks", "packs", "sessions", "tmp", "trash"]);
    assert_eq!(names(backend, "trash"), ["one"]);
    // What is not a directory has no listing, not an empty one.
    assert!(backend.list("packs/a").is_err());
}

fn dropped_uploads_leave_nothing(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    let mut upload = stage.create().unwrap();
    upload.append(b"bytes").unwrap();
    drop(upload);
    assert_eq!(names(backend, "tmp/s"), [""; 0]);
    stage.put(&key("packs/a"), b"bytes").unwrap();
    stage.barrier().unwrap();
    assert_eq!((names(backend, "tmp/s"), names(backend, "packs")), (vec![], vec!["a".to_owned()]));
    drop(stage);
    assert_eq!(names(backend, "tmp"), [""; 0]);
}

fn dropped_stages_keep_only_what_they_published(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    stage.announce(&key("sessions/s"), b"me").unwrap();
    stage.put(&key("packs/a"), b"bytes").unwrap();
    stage.barrier().unwrap();
    stage.put(&key("packs/b"), b"bytes").unwrap();
    let mut late = stage.create().unwrap();
    drop(stage);
    // An upload that outlives its stage still leaves nothing.
    late.append(b"bytes").unwrap();
    late.finish(&key("packs/c")).unwrap();
    assert_eq!(
        (names(backend, "packs"), names(backend, "sessions")),
        (vec!["a".to_owned()], vec!["s".to_owned()])
    );
    assert_eq!(names(backend, "tmp"), [""; 0]);
}

fn a_failed_stage_publishes_nothing_more(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    let mut begun = stage.create().unwrap();
    stage.put(&key("nowhere/a"), b"bytes").unwrap();
    let error = stage.barrier().unwrap_err();
    assert!(matches!(error, BackendError::Disk(_)), "{error}");
    backend.create_directories(&["nowhere"]).unwrap();
    assert!(is_poisoned(&begun.append(b"bytes")));
    assert!(is_poisoned(&begun.finish(&key("packs/a"))));
    assert!(is_poisoned(&stage.create().map(drop)));
    assert!(is_poisoned(&stage.put(&key("packs/b"), b"bytes")));
    assert!(is_poisoned(&stage.announce(&key("sessions/s"), b"me")));
    assert!(is_poisoned(&stage.barrier()));
    drop(stage);
    for directory in ["packs", "nowhere", "sessions", "tmp"] {
        assert_eq!(names(backend, directory), [""; 0], "{directory}");
    }
    // Another writer is not concerned.
    publish(backend, "nowhere/a", b"bytes");
}

fn renames_move_and_never_replace(backend: &dyn Backend) {
    publish(backend, "packs/a", b"first");
    publish(backend, "packs/b", b"second");
    assert!(is_taken(&backend.rename(&key("packs/a"), &key("packs/b"))));
    let error = backend.rename(&key("packs/a"), &key("nowhere/a")).unwrap_err();
    assert!(matches!(error, BackendError::Disk(_)), "{error}");
    assert_eq!(backend.get(&key("packs/a")).unwrap(), b"first");
    assert_eq!(backend.get(&key("packs/b")).unwrap(), b"second");
    backend.rename(&key("packs/a"), &key("trash/one/a")).unwrap();
    backend.sync("packs").unwrap();
    backend.sync("trash/one").unwrap();
    assert_eq!(
        (names(backend, "packs"), names(backend, "trash/one")),
        (vec!["b".to_owned()], vec!["a".to_owned()])
    );
    assert_eq!(backend.get(&key("trash/one/a")).unwrap(), b"first");
}

fn deleted_objects_are_gone(backend: &dyn Backend) {
    publish(backend, "packs/a", b"bytes");
    backend.delete(&key("packs/a")).unwrap();
    assert!(is_missing(&backend.get(&key("packs/a"))));
    assert!(is_missing(&backend.delete(&key("packs/a"))));
    assert_eq!(names(backend, "packs"), [""; 0]);
    publish(backend, "packs/a", b"another");
    assert_eq!(backend.get(&key("packs/a")).unwrap(), b"another");
}

fn touched_objects_get_no_older(backend: &dyn Backend) {
    publish(backend, "sessions/s", b"me");
    let before = backend.stat(&key("sessions/s")).unwrap();
    backend.touch(&key("sessions/s")).unwrap();
    let after = backend.stat(&key("sessions/s")).unwrap();
    assert!(after.modified_ns >= before.modified_ns && before.modified_ns > 0);
    assert_eq!(ObjectInfo { modified_ns: 0, ..after }, ObjectInfo { modified_ns: 0, ..before });
}

fn markers_are_visible_at_once(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    stage.announce(&key("sessions/s"), b"me").unwrap();
    assert_eq!(backend.get(&key("sessions/s")).unwrap(), b"me");
    assert!(is_taken(&stage.announce(&key("sessions/s"), b"me again")));
    assert!(is_taken(&stage.put(&key("sessions/s"), b"not me")));
    stage.barrier().unwrap();
    drop(stage);
    assert_eq!(backend.get(&key("sessions/s")).unwrap(), b"me");
}

fn sweeping_removes_what_a_dead_writer_left(backend: &dyn Backend) {
    assert!(!backend.sweep_stage("s").unwrap());
    let stage = backend.stage("s").unwrap();
    stage.put(&key("packs/a"), b"published").unwrap();
    stage.barrier().unwrap();
    stage.put(&key("packs/b"), b"finished").unwrap();
    let mut upload = stage.create().unwrap();
    upload.append(b"begun").unwrap();
    // A killed process runs no destructors.
    std::mem::forget((stage, upload));
    assert_eq!(names(backend, "tmp"), ["s"]);
    assert!(backend.sweep_stage("s").unwrap());
    assert!(!backend.sweep_stage("s").unwrap());
    assert_eq!((names(backend, "tmp"), names(backend, "packs")), (vec![], vec!["a".to_owned()]));
}

fn stage_names_are_single_components(backend: &dyn Backend) {
    for name in ["", ".", "..", "a/b", "../packs", ".hidden", "UPPER", "a b"] {
        assert!(backend.stage(name).is_err(), "{name:?}");
        assert!(backend.sweep_stage(name).is_err(), "{name:?}");
    }
}

fn directories_are_made_once(backend: &dyn Backend) {
    publish(backend, "packs/a", b"bytes");
    backend.create_directories(&["packs", "trash/one", "trash/two/deep"]).unwrap();
    assert_eq!(
        (names(backend, "trash"), names(backend, "packs")),
        (vec!["one".into(), "two".into()], vec!["a".into()])
    );
    backend.sync("trash/two/deep").unwrap();
    backend.sync("").unwrap();
}

fn only_empty_directories_are_removed(backend: &dyn Backend) {
    publish(backend, "packs/a", b"first");
    backend.create_directories(&["trash/two"]).unwrap();
    backend.rename(&key("packs/a"), &key("trash/two/pack-a")).unwrap();
    assert!(backend.remove_directory("trash/two").is_err());
    assert!(backend.remove_directory("trash").is_err(), "a directory in it");
    assert!(backend.remove_directory("trash/two/pack-a").is_err(), "an object is none");
    assert_eq!(backend.get(&key("trash/two/pack-a")).unwrap(), b"first");
    backend.delete(&key("trash/two/pack-a")).unwrap();
    backend.remove_directory("trash/two").unwrap();
    backend.sync("trash").unwrap();
    assert_eq!(names(backend, "trash"), ["one"]);
    backend.remove_directory("trash/two").unwrap();
    let error = backend.rename(&key("trash/two/a"), &key("packs/b")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    backend.create_directories(&["trash/two"]).unwrap();
    publish(backend, "trash/two/again", b"");
}

fn empty_barriers_are_fine(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    stage.barrier().unwrap();
    stage.barrier().unwrap();
    assert_eq!(names(backend, "tmp"), [""; 0], "an unused stage makes no directory");
}

fn threads_share_a_stage(backend: &dyn Backend) {
    let stage = backend.stage("s").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let stage = &*stage;
            scope.spawn(move || {
                for number in 0..8 {
                    stage.put(&key(&format!("packs/{thread}-{number}")), &[thread; 100]).unwrap();
                    if number % 4 == thread {
                        stage.barrier().unwrap();
                    }
                }
            });
        }
    });
    stage.barrier().unwrap();
    assert_eq!(names(backend, "packs").len(), 32);
    assert_eq!(backend.get(&key("packs/3-7")).unwrap(), [3; 100]);
}

fn locks_exclude(backend: &dyn Backend) {
    let lock = |mode| backend.lock(&key("locks/repository"), mode).unwrap();
    let first = lock(LockMode::Shared).expect("free");
    let second = lock(LockMode::Shared).expect("shared with another reader");
    assert!(lock(LockMode::Exclusive).is_none());
    drop(first);
    assert!(lock(LockMode::Exclusive).is_none());
    drop(second);
    let alone = lock(LockMode::Exclusive).expect("free again");
    assert!(lock(LockMode::Exclusive).is_none() && lock(LockMode::Shared).is_none());
    assert!(backend.lock(&key("locks/maintenance"), LockMode::Exclusive).unwrap().is_some());
    drop(alone);
    assert!(lock(LockMode::Shared).is_some());
}

fn a_marker_is_locked_while_its_stage_lives(backend: &dyn Backend) {
    let free = |mode| backend.lock(&key("sessions/s"), mode).unwrap().is_some();
    let stage = backend.stage("s").unwrap();
    stage.announce(&key("sessions/s"), b"me").unwrap();
    assert!(!free(LockMode::Shared) && !free(LockMode::Exclusive));
    stage.barrier().unwrap();
    assert!(!free(LockMode::Exclusive));
    drop(stage);
    assert!(free(LockMode::Exclusive));
}
