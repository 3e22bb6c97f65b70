//! What comes back is what was there, by two judges: our comparison, and rsync where it is installed.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use larder_testkit::compare::differences;
use larder_testkit::trees::{LONGEST_PATH_BYTES, plant};

use super::Rig;

/// What rsync would still have to do to make the copy equal; `None` where there is no rsync.
fn left_for_rsync(source: &Path, copy: &Path) -> Option<String> {
    let slashed = |path: &Path| path.join("");
    let mut command = Command::new("rsync");
    command.args(["-aHAXni", "--checksum", "--delete", "--modify-window=-1"]);
    match command.args([slashed(source), slashed(copy)]).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("rsync: {error}"),
    }
}

#[track_caller]
fn assert_equal(source: &Path, copy: &Path) {
    assert_eq!(differences(source, copy), [""; 0]);
    match left_for_rsync(source, copy) {
        Some(left) => assert_eq!(left, ""),
        None => eprintln!("SKIPPED: rsync is not installed; judged by our own comparison alone"),
    }
}

/// Both judges must notice what they are to notice.
fn assert_judges_see(copy: &Path, source: &Path) {
    let file = copy.join("files/of 4096 bytes");
    let before = fs::metadata(&file).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(before.permissions().mode() ^ 0o001))
        .unwrap();
    assert_eq!(differences(source, copy).len(), 1);
    assert!(left_for_rsync(source, copy).is_none_or(|left| left.contains("of 4096 bytes")));
}

#[test]
fn a_tree_with_everything_comes_back_as_it_was() {
    let rig = Rig::new();
    let planted = plant(&rig.data(), 1).unwrap();
    assert!(planted.xattrs, "this file system keeps no attributes: nothing was proved about them");
    let first = rig.backup().expect(0).id();
    let copy = rig.restore(&first, "copy");
    assert_equal(&rig.data(), &copy);
    // By way of the parent too: nothing is read again, and nothing gets lost.
    let second = rig.backup().expect(0);
    assert_eq!(second.last()["snapshot"]["new_files"], 0);
    assert_eq!(second.last()["snapshot"]["changed_files"], 0);
    assert_equal(&rig.data(), &rig.restore(&second.id(), "second"));
    // The copy is as good a source.
    let third = rig.run(["backup".as_ref(), "--json".as_ref(), copy.as_os_str()]).expect(0).id();
    let again = rig.restore(&third, "again");
    assert_equal(&rig.data(), &again);
    let judged = rig.at("copy");
    assert_judges_see(&judged, &rig.data());
    rig.check_is_clean();
}

#[test]
fn two_roots_come_back_side_by_side() {
    let rig = Rig::new();
    let roots = [rig.at("one"), rig.at("two")];
    for (root, seed) in roots.iter().zip(2..) {
        fs::create_dir(root).unwrap();
        plant(root, seed).unwrap();
    }
    let words = ["backup", "--json", "--source", "both"].map(OsString::from);
    let ran = rig.run(words.into_iter().chain(roots.iter().map(Into::into))).expect(0);
    let copy = rig.restore(&ran.id(), "copy");
    for root in &roots {
        assert_equal(root, &copy.join(root.strip_prefix("/").unwrap()));
    }
}

#[test]
fn nobody_is_told_which_owners_and_devices_could_not_be_had() {
    let Some(mut rig) = Rig::of_nobody() else {
        eprintln!("SKIPPED: only root can plant what others cannot restore");
        return;
    };
    let planted = plant(&rig.data(), 4).unwrap();
    let id = rig.own(Rig::backup).expect(0).id();
    Rig::give_away(&rig.repo());
    let target = rig.at("here/copy");
    let words = ["restore", "--json", &id, "--target"].map(OsString::from);
    let ran = rig.run(words.into_iter().chain([target.clone().into()])).expect(0);
    assert!(ran.warnings("finding").is_empty() && ran.warnings("damage").is_empty());
    let notes = ran.warnings("note");
    let about = |what: &str| notes.iter().filter(|(_, note)| note.contains(what)).count();
    assert!(about("owner ") > 20, "{notes:?}");
    assert_eq!(about("device was not restored"), if planted.devices { 3 } else { 0 }, "{notes:?}");
    // Every difference is one of those that were said.
    for line in differences(&rig.data(), &target) {
        let said = line.contains(": owner ")
            || line.contains("only in the first")
            || line.contains(": mode ");
        assert!(said, "{line}");
    }
}

#[test]
fn a_path_that_is_too_long_is_named_and_the_rest_is_saved() {
    let rig = Rig::new();
    fs::write(rig.data().join("kept"), "kept").unwrap();
    deep(&rig.data());
    let ran = rig.backup().expect(3);
    let findings = ran.warnings("finding");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].1.contains("longer than 4,095 bytes"), "{findings:?}");
    let copy = rig.restore(&ran.id(), "copy");
    assert_eq!(fs::read_to_string(copy.join("kept")).unwrap(), "kept");
    // The next night says it again: it is still not saved.
    rig.backup().expect(3);
}

/// A directory at the very end of what a path can be, with a file in it that is beyond that.
fn deep(root: &Path) {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = rustix::fs::open(root, flags, Mode::empty()).unwrap();
    let mut len = 0;
    while len < LONGEST_PATH_BYTES - 200 {
        let name = "d".repeat(199);
        rustix::fs::mkdirat(&dir, &name, Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, &name, flags, Mode::empty()).unwrap();
        len += 200;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    rustix::fs::openat(&dir, "f".repeat(250), flags, Mode::RUSR).unwrap();
}
