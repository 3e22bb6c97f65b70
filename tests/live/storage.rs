//! Objects of a repository that are truncated, lost or exchanged: what they concern is not handed out, all else is,
//! and the next backup mends what the source still has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_testkit::compare::differences;

use super::{Rig, names};

/// What happens to an object.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Truncated,
    Missing,
    /// Under its name are the bytes of another object of its kind.
    Swapped,
}

const HARMS: [Harm; 3] = [Harm::Truncated, Harm::Missing, Harm::Swapped];

/// Two nights: `old` is of the first, `new` of the second; each has a data pack, a segment and a record of its own.
struct World {
    rig: Rig,
    /// The objects that the second night added, by directory.
    added: Vec<(String, PathBuf)>,
    ids: [String; 2],
}

impl World {
    fn new() -> Self {
        let rig = Rig::new();
        let random = |seed| larder_testkit::seed::Seeded::new(seed).bytes(300_000);
        fs::write(rig.data().join("old"), random(1)).unwrap();
        let first = rig.backup().expect(0).id();
        let before = Self::objects(&rig);
        fs::write(rig.data().join("new"), random(2)).unwrap();
        let second = rig.backup().expect(0).id();
        let mut added = Self::objects(&rig);
        added.retain(|object| !before.contains(object));
        Self { rig, added, ids: [first, second] }
    }

    fn objects(rig: &Rig) -> Vec<(String, PathBuf)> {
        let dirs = ["packs", "index", "snapshots"].into_iter();
        let objects = dirs.flat_map(|dir| {
            let names = rig.stored(dir).into_iter();
            names.map(move |name| (dir.to_owned(), rig.repo().join(dir).join(name)))
        });
        objects.collect()
    }

    /// The largest of the second night's objects of a kind, and one of the first night's.
    fn object(&self, kind: &str) -> (PathBuf, PathBuf) {
        let of_kind = |(dir, path): &(String, PathBuf)| (dir == kind).then(|| path.clone());
        let size = |path: &PathBuf| fs::metadata(path).unwrap().len();
        let mut added: Vec<_> = self.added.iter().filter_map(of_kind).collect();
        added.sort_by_key(size);
        let all = Self::objects(&self.rig);
        let is_older = |path: &PathBuf| !added.contains(path);
        let older = all.iter().filter_map(of_kind).filter(is_older).max_by_key(size).unwrap();
        (added.pop().unwrap(), older)
    }

    fn harm(&self, kind: &str, harm: Harm) {
        let (victim, other) = self.object(kind);
        let bytes = fs::read(&victim).unwrap();
        match harm {
            Harm::Missing => fs::remove_file(victim).unwrap(),
            Harm::Truncated => overwrite(&victim, &bytes[..bytes.len() / 2]),
            Harm::Swapped => {
                let others = fs::read(&other).unwrap();
                overwrite(&victim, &others);
                overwrite(&other, &bytes);
            }
        }
    }

    /// Lets nothing that was not proved have a name; returns which of the two files came back.
    fn restored(&self, id: &str) -> (Option<i32>, Vec<String>) {
        let target = self.rig.at("restored");
        let _ = fs::remove_dir_all(&target);
        let words = ["restore".as_ref(), id.as_ref(), "--target".as_ref(), target.as_os_str()];
        let code = self.rig.run(words).code;
        let there = if target.exists() { names(&target) } else { Vec::new() };
        for name in &there {
            let (here, source) = (target.join(name), self.rig.data().join(name));
            assert!(fs::read(here).unwrap() == fs::read(source).unwrap(), "{name} is not itself");
        }
        (code, there)
    }

    fn cat(&self, id: &str, name: &str) -> Option<i32> {
        let ran = self.rig.run(["cat", id, name]);
        let whole = fs::read(self.rig.data().join(name)).unwrap();
        match ran.code {
            Some(0 | 3) => assert!(ran.out == whole, "{name} is not itself"),
            _ => assert!(whole.starts_with(&ran.out), "a wrong byte of {name}"),
        }
        ran.code
    }

    /// The next backups go through; from the second on nothing is said of the harm any more where it could be mended.
    fn assert_goes_on(&self, what: &str) {
        let ran = self.rig.backup().expect_one_of(&[0, 3]);
        let target = self.rig.restore_with(&ran.id(), "after", &[0, 3]);
        assert_eq!(differences(&self.rig.data(), &target), [""; 0], "{what}");
    }
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_harmed_pack_costs_its_own_files_until_the_next_backup() {
    for harm in HARMS {
        let world = World::new();
        world.harm("packs", harm);
        world.rig.run(["check", "--read-data"]).expect(20);
        let [_, second] = &world.ids;
        assert_eq!(world.cat(second, "new"), Some(20), "{harm:?}");
        let (code, there) = world.restored(second);
        assert_eq!(code, Some(20), "{harm:?}");
        assert!(!there.contains(&"new".to_owned()), "{harm:?}");
        if !matches!(harm, Harm::Swapped) {
            assert_eq!(there, ["old"], "{harm:?}");
            assert!(matches!(world.cat(second, "old"), Some(0 | 3)));
            assert!(matches!(world.restored(&world.ids[0]).0, Some(0 | 3)));
        }
        world.assert_goes_on(&format!("{harm:?} pack"));
        // Both nights are whole again: they name what they need by its content.
        for (id, files) in world.ids.iter().zip([&["old"][..], &["new", "old"]]) {
            let (code, there) = world.restored(id);
            assert!(matches!(code, Some(0 | 3)) && there == files, "{harm:?}: {code:?} {there:?}");
        }
    }
}

#[test]
fn a_harmed_index_costs_nothing() {
    for harm in HARMS {
        let world = World::new();
        world.harm("index", harm);
        for (id, files) in world.ids.iter().zip([&["old"][..], &["new", "old"]]) {
            let (code, there) = world.restored(id);
            assert!(matches!(code, Some(0 | 3)) && there == files, "{harm:?}: {code:?} {there:?}");
        }
        assert!(matches!(world.cat(&world.ids[1], "new"), Some(0 | 3)));
        world.assert_goes_on(&format!("{harm:?} index"));
    }
}

/// The newest record is named by no other yet: that it was ever there is known only while it is.
#[test]
fn a_harmed_record_costs_its_own_snapshot() {
    for harm in HARMS {
        let mut world = World::new();
        let [first, second] = world.ids.clone();
        world.added = World::objects(&world.rig);
        world.added.retain(|(_, path)| path.ends_with(&first));
        world.harm("snapshots", harm);
        world.rig.run(["check"]).expect(20);
        world.rig.run(["snapshots"]).expect(20);
        let (code, there) = world.restored(&first);
        assert!(matches!(code, Some(1 | 20)), "{harm:?}: {code:?}");
        assert!(there.is_empty());
        assert!(matches!(world.cat(&first, "old"), Some(1 | 20)));
        if !matches!(harm, Harm::Swapped) {
            let (code, there) = world.restored(&second);
            assert!(matches!(code, Some(0 | 3)) && there == ["new", "old"], "{harm:?}: {code:?}");
        }
        world.assert_goes_on(&format!("{harm:?} record"));
        world.rig.run(["snapshots"]).expect(20);
    }
}

#[test]
fn one_config_is_enough_and_none_is_said() {
    for harmed in ["config", "config.copy"] {
        for harm in [Harm::Truncated, Harm::Missing] {
            let world = World::new();
            let path = world.rig.repo().join(harmed);
            match harm {
                Harm::Missing => fs::remove_file(&path).unwrap(),
                _ => overwrite(&path, &fs::read(&path).unwrap()[..20]),
            }
            assert_eq!(world.restored(&world.ids[1]).1, ["new", "old"]);
            world.rig.run(["check"]).expect_one_of(&[0, 20]);
            world.assert_goes_on(harmed);
        }
    }
    let world = World::new();
    for name in ["config", "config.copy"] {
        let path = world.rig.repo().join(name);
        overwrite(&path, &fs::read(&path).unwrap()[..20]);
    }
    for words in [&["snapshots"][..], &["check"], &["restore", "latest"]] {
        let ran = world.rig.run(words).expect(20);
        assert!(ran.err.contains("config"), "{}", ran.err);
    }
}

#[test]
fn a_directory_of_other_things_is_no_repository_and_stays_as_it_is() {
    let rig = Rig::bare();
    let copied = Command::new("cp").arg("-a").args([rig.data(), rig.repo()]).status().unwrap();
    assert!(copied.success());
    fs::write(rig.repo().join("letter.txt"), "dear").unwrap();
    for words in [&["snapshots"][..], &["check"], &["backup", "--json"]] {
        let mut command = rig.larder(words);
        let ran = super::Ran::of(
            command.args([rig.data()].iter().filter(|_| words[0] == "backup")).output().unwrap(),
        );
        ran.expect(10);
    }
    rig.run(["init"]).expect(1);
    assert_eq!(names(&rig.repo()), ["letter.txt"]);
}

#[test]
fn a_target_that_is_taken_stays_as_it_is() {
    let world = World::new();
    let target = world.rig.at("taken");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine"), "mine").unwrap();
    let words = |path: &Path| {
        let words = ["restore", "latest", "--target"].map(std::ffi::OsString::from);
        words.into_iter().chain([path.as_os_str().to_owned()])
    };
    let ran = world.rig.run(words(&target)).expect(1);
    assert!(ran.err.contains("hint: restore into a missing or empty directory"), "{}", ran.err);
    assert_eq!(names(&target), ["mine"]);
    // A file is no directory, and an empty word names none.
    world.rig.run(words(&target.join("mine"))).expect(1);
    assert_eq!(fs::read_to_string(target.join("mine")).unwrap(), "mine");
    world.rig.run(["restore", "latest", "--target", ""]).expect_one_of(&[1, 2]);
    let empty = world.rig.at("empty");
    fs::create_dir(&empty).unwrap();
    world.rig.run(words(&empty)).expect(0);
    assert_eq!(names(&empty), ["new", "old"]);
}
