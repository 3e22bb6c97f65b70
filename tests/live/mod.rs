//! The product as its user has it: the real binary, real processes, a real disk.
//!
//! Here live proofs that need more than one process or the command line's exit
//! code: a database that is written meanwhile, kills and signals, fidelity of
//! whole trees, bad input. Not here: what one call of the library shows, and
//! crashes at every disk operation; those run over the simulated disk.
//!
//! Invariant: a test knows the machine only through its own directory, and
//! leaves no process behind.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

mod fidelity;
mod interrupt;
mod kill9;
mod killed_maintenance;
mod limits;
mod live_writer;
mod mixture;
mod moving;
mod names;
mod power;
pub(crate) mod processes;
mod sources;
mod storage;

/// The path of the binary under test.
pub(super) const LARDER: &str = env!("CARGO_BIN_EXE_larder");

/// A repository, a source, a spool directory, and a directory to restore into.
pub(super) struct Rig {
    base: TempDir,
    program: PathBuf,
    /// Another user than the test's own.
    user: Option<u32>,
}

/// The user and the group `nobody`.
const NOBODY: u32 = 65_534;

impl Rig {
    /// Everything empty, the repository made.
    pub(super) fn new() -> Self {
        let rig = Self::bare();
        rig.run(["init"]).expect(0);
        rig
    }

    /// The same in memory, where there is enough of it: no disk is waited for. What a dead process leaves is the same in any place.
    pub(super) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let is_ample = fs2::available_space(memory).is_ok_and(|bytes| bytes > 1 << 30);
        let base = if is_ample { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let rig = Self::at_base(base.unwrap());
        rig.run(["init"]).expect(0);
        rig
    }

    /// The usual one without a repository.
    pub(super) fn bare() -> Self {
        Self::at_base(tempfile::tempdir().unwrap())
    }

    fn at_base(base: TempDir) -> Self {
        let rig = Self { base, program: LARDER.into(), user: None };
        for dir in [rig.data(), rig.spool(), rig.at("here")] {
            fs::create_dir(dir).unwrap();
        }
        rig
    }

    /// One whose commands are run by nobody; `None` for whom that is not allowed.
    pub(super) fn of_nobody() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let mut rig = Self::new();
        // Where the binary was built may be closed to nobody.
        rig.program = rig.at("larder");
        fs::copy(LARDER, &rig.program).unwrap();
        Self::give_away(rig.base.path());
        rig.user = Some(NOBODY);
        Some(rig)
    }

    /// Everything below becomes nobody's.
    pub(super) fn give_away(path: &Path) {
        let owner = format!("{NOBODY}:{NOBODY}");
        let given = Command::new("chown").args(["-hR", &owner]).arg(path).status().unwrap();
        assert!(given.success());
    }

    /// What the test's own user does.
    pub(super) fn own(&mut self, work: impl FnOnce(&Self) -> Ran) -> Ran {
        let user = self.user.take();
        let ran = work(self);
        self.user = user;
        ran
    }

    /// A path in the rig's own directory.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    pub(super) fn base(&self) -> &Path {
        self.base.path()
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.at("repo")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.at("data")
    }

    pub(super) fn spool(&self) -> PathBuf {
        self.at("spool")
    }

    /// The binary, with nothing of this machine's settings.
    pub(super) fn larder<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.args(args).current_dir(self.at("here")).env_clear();
        command.env("LARDER_REPO", self.repo()).env("TMPDIR", self.spool()).env("TZ", "UTC");
        command.env("HOME", self.base.path());
        command
    }

    pub(super) fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Ran {
        Ran::of(self.larder(args).output().unwrap())
    }

    /// Saves the source.
    pub(super) fn backup(&self) -> Ran {
        self.run(["backup".as_ref(), "--json".as_ref(), self.data().as_os_str()])
    }

    /// Restores a whole snapshot into a new directory of this name.
    pub(super) fn restore(&self, snapshot: &str, name: &str) -> PathBuf {
        self.restore_with(snapshot, name, &[0])
    }

    /// The same where damage elsewhere may be said.
    pub(super) fn restore_with(&self, snapshot: &str, name: &str, codes: &[i32]) -> PathBuf {
        let target = self.at(name);
        let words = ["restore".as_ref(), snapshot.as_ref(), "--target".as_ref()];
        self.run(words.into_iter().chain([target.as_os_str()])).expect_one_of(codes);
        target
    }

    /// One file of a snapshot, written to a new file of this name.
    pub(super) fn cat(&self, snapshot: &str, path: &str, name: &str) -> PathBuf {
        let ran = self.run(["cat", snapshot, path]).expect(0);
        let target = self.at(name);
        fs::write(&target, ran.out).unwrap();
        target
    }

    /// The snapshots that are listed, oldest first.
    pub(super) fn snapshots(&self) -> Vec<String> {
        let listed = self.run(["snapshots", "--json"]).expect(0).document();
        let ids = listed["snapshots"].as_array().unwrap().iter();
        ids.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Every stored byte is as it was, and nothing is missing.
    pub(super) fn check_is_clean(&self) {
        self.run(["check", "--read-data", "--json"]).expect(0);
    }

    /// The names in a directory of the repository.
    pub(super) fn stored(&self, dir: &str) -> Vec<String> {
        names(&self.repo().join(dir))
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

impl Ran {
    pub(super) fn of(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), out: output.stdout, err }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Stops the test unless this is the exit code.
    #[track_caller]
    pub(super) fn expect(self, code: i32) -> Self {
        self.expect_one_of(&[code])
    }

    #[track_caller]
    pub(super) fn expect_one_of(self, codes: &[i32]) -> Self {
        let fits = self.code.is_some_and(|code| codes.contains(&code));
        assert!(fits, "{codes:?} expected: {:?}\n{}\n{}", self.code, self.text(), self.err);
        self
    }

    /// The one document that it wrote.
    pub(super) fn document(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap()
    }

    /// The lines that it streamed.
    pub(super) fn lines(&self) -> Vec<Value> {
        lines_of(&self.out)
    }

    /// The last line, which is a summary or an error.
    #[track_caller]
    pub(super) fn last(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("nothing was said: {self:?}"))
    }

    /// The snapshot that was saved.
    #[track_caller]
    pub(super) fn id(&self) -> String {
        self.last()["snapshot"]["id"].as_str().expect("a snapshot").to_owned()
    }

    /// Path and message of the warnings of this kind.
    pub(super) fn warnings(&self, kind: &str) -> Vec<(String, String)> {
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let lines = self.lines();
        let warnings = lines.iter().filter(|line| line["message_type"] == "warning");
        let chosen = warnings.filter(|line| line["kind"] == kind);
        chosen.map(|line| (text(line, "path"), text(line, "message"))).collect()
    }
}

/// The complete lines of a stream, which may have been cut off anywhere.
pub(super) fn lines_of(bytes: &[u8]) -> Vec<Value> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The names in a directory, sorted.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.unwrap().file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}
