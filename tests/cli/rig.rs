//! A home, a source and a repository of its own for each test.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Everything that a run may look at.
pub(super) struct Rig {
    dir: TempDir,
}

/// How a run ended.
pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Rig {
    /// A home, and a source `app` with a few files.
    pub(super) fn new() -> Self {
        let rig = Self { dir: tempfile::tempdir().unwrap() };
        for directory in ["home", "tmp", "app/attachments", "work"] {
            fs::create_dir_all(rig.path(directory)).unwrap();
        }
        rig.write("app/readme.txt", "hello\n");
        rig.write("app/attachments/a.pdf", "%PDF-1.4 a");
        rig.write("app/attachments/b.pdf", "%PDF-1.4 b");
        rig
    }

    /// The same, saved once on Sunday 22 November 2026 at 03:00 in Zurich.
    pub(super) fn saved() -> Self {
        let rig = Self::new();
        rig.backup_at("2026-11-22T03:00:00+01:00");
        rig
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path as an argument.
    pub(super) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// The default repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.path("home/.local/share/larder/repo")
    }

    /// Saves the source as it is; returns the id.
    pub(super) fn backup_at(&self, time: &str) -> String {
        let run = self.run(&["backup", "-q", "--time", time, &self.arg("app")]);
        run.out_of(0).trim().to_owned()
    }

    /// The command, not yet started: in the directory `work`, in Zurich, with nothing of the caller's environment that counts.
    pub(super) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(arguments).current_dir(self.path("work"));
        for name in ["LARDER_REPO", "LARDER_CONFIG", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "TERM"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("TZ", "Europe/Zurich")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// A run with something changed about the command.
    pub(super) fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Run {
        Run::of(&change(&mut self.command(arguments)).output().unwrap())
    }

    /// The JSON document of a command that ends with 0.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["--json"], arguments].concat());
        serde_json::from_str(run.out_of(0)).unwrap()
    }
}

impl Run {
    pub(super) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Standard output of a run that must have ended like this.
    #[track_caller]
    pub(super) fn out_of(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "stdout: {}stderr: {}", self.out, self.err);
        &self.out
    }

    /// Standard error of a run that must have ended like this and said nothing else.
    #[track_caller]
    pub(super) fn err_of(&self, code: i32) -> &str {
        assert_eq!(self.out_of(code), "");
        &self.err
    }

    /// Standard error of a run that must have ended like this and written exactly this.
    #[track_caller]
    pub(super) fn err_of_output(&self, code: i32, out: &str) -> &str {
        assert_eq!(self.out_of(code), out);
        &self.err
    }

    /// Every line of standard output as JSON, progress aside.
    #[track_caller]
    pub(super) fn lines_of(&self, code: i32) -> Vec<Value> {
        let lines = self.out_of(code).lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["message_type"] != "status").collect()
    }
}

/// The one file in a directory of a repository.
pub(super) fn only_file(directory: &Path) -> PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Inverts one byte of a file that is written only once.
pub(super) fn damage(file: &Path, at: usize) {
    rewrite(file, |bytes| bytes[at] = !bytes[at]);
}

/// Changes a file that is written only once.
pub(super) fn rewrite(file: &Path, change: impl FnOnce(&mut [u8])) {
    use std::os::unix::fs::PermissionsExt;
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(file, bytes).unwrap();
}
