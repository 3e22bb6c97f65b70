//! Sources that the tests save: a small application's directory, and what is known about one at a moment.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_sample::{DATABASE, Spec, oracle};
use larder_testkit::compare::differences;
use larder_testkit::seed::Seeded;

/// A `PartsHub` of about 1 MB, larger than the smallest so that reading it takes a moment.
pub(super) fn sample(data: &Path, seed: u64) {
    let spec = Spec {
        components: 60,
        attachments: 24,
        attachment_bytes: 800_000,
        transactions: 800,
        ..Spec::tiny().with_seed(seed)
    };
    larder_sample::make(&spec, data).unwrap();
}

/// Files of so many bytes in all beside the sample: random bytes, text, names with links.
pub(super) fn ballast(data: &Path, seed: u64, bytes: usize) {
    let dir = data.join("ballast");
    fs::create_dir(&dir).unwrap();
    let mut random = Seeded::new(seed);
    for n in 0..8 {
        fs::write(dir.join(format!("{n}.bin")), random.bytes(bytes / 8)).unwrap();
    }
    let lines: Vec<_> = (0..9_000).map(|n| format!("line {n} of a log")).collect();
    fs::write(dir.join("log.txt"), lines.join("\n")).unwrap();
    fs::hard_link(dir.join("0.bin"), dir.join("zero.bin")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.join("dangling")).unwrap();
}

/// A copy that stays as it is, down to nanoseconds and links.
pub(super) fn freeze(data: &Path, copy: &Path) {
    let copied = Command::new("cp").arg("-a").args([data, copy]).status().unwrap();
    assert!(copied.success());
}

/// What a restored copy of an application's directory differs in. Of the database it must be the same commit, since a capture is not
/// bound to be the same bytes.
pub(super) fn unlike(source: &Path, restored: &Path) -> Vec<String> {
    let mut found = differences(source, restored);
    // Log and index of the log are part of what was captured.
    found.retain(|line| !line.starts_with(DATABASE));
    let commit = |dir: &Path| oracle::check(&dir.join(DATABASE)).unwrap();
    let (here, there) = (commit(source), commit(restored));
    if here != there {
        found.push(format!("{DATABASE}: commit {here:?} and {there:?}"));
    }
    found
}

/// Everything that a backup must leave as it is: names, inodes, times, and the bytes of every file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Untouched(BTreeMap<PathBuf, (u64, u32, i64, i64, Option<blake3::Hash>)>);

impl Untouched {
    pub(super) fn of(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        Self::note(root, &mut found);
        Self(found)
    }

    fn note(
        path: &Path,
        found: &mut BTreeMap<PathBuf, (u64, u32, i64, i64, Option<blake3::Hash>)>,
    ) {
        let metadata = fs::symlink_metadata(path).unwrap();
        // Readers of a database leave their marks in the index of its log; they are no part of its content.
        let is_shared_memory = path.to_string_lossy().ends_with("-shm");
        let hash = (metadata.is_file() && !is_shared_memory)
            .then(|| blake3::hash(&fs::read(path).unwrap()));
        let time =
            if is_shared_memory { (0, 0) } else { (metadata.mtime(), metadata.mtime_nsec()) };
        found.insert(path.to_owned(), (metadata.ino(), metadata.mode(), time.0, time.1, hash));
        if metadata.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                Self::note(&entry.unwrap().path(), found);
            }
        }
    }
}
