//! Processes beside the test: waiting for them, finding their children, a live application.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use larder_sample::WriterReport;
use rustix::process::{Pid, Signal};

use super::LARDER;

/// Nothing that a test waits for takes so long, even where twenty tests share a core.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what another process does. It cannot tell us, so it is asked again and again.
#[track_caller]
pub(super) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_micros(500));
    }
}

/// A child that does not outlive its test.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(super) fn inner(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    #[track_caller]
    pub(super) fn end(&mut self) -> ExitStatus {
        wait_until("the end of a process", || !self.is_running());
        self.0.wait().unwrap()
    }

    /// Sends a signal; the process may have ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let pid = Pid::from_child(&self.0);
            rustix::process::kill_process(pid, signal).unwrap();
        }
    }

    /// The processes that it has started and that still run.
    pub(super) fn children(&self) -> Vec<Pid> {
        let parent = self.0.id();
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter(|pid| parent_of(*pid) == Some(parent)).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A zombie has ended, it only was not waited for.
fn parent_of(pid: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    fields.next()?.parse().ok().filter(|_| state != "Z")
}

pub(super) fn is_gone(pid: Pid) -> bool {
    parent_of(pid.as_raw_nonzero().get()).is_none()
}

/// The application at work on a sample, in a process of its own.
pub(crate) struct LiveWriter {
    process: Process,
    said: BufReader<ChildStdout>,
}

impl LiveWriter {
    /// The binary's own writer.
    pub(super) fn start(data: &Path, seed: u64, rate: u32) -> Self {
        let mut command = Command::new(LARDER);
        command.arg("sample-writer").arg(data);
        command.args(["--seed", &seed.to_string(), "--rate", &rate.to_string()]);
        Self::run(&mut command)
    }

    /// Any program that says `ready`, works until its input ends, and reports.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let said = BufReader::new(process.inner().stdout.take().unwrap());
        let mut writer = Self { process, said };
        while writer.line() != "ready" {}
        writer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "the writer ended");
        line.trim_end().to_owned()
    }

    /// Lets it end, which checkpoints its log, and returns its report.
    pub(crate) fn finish(mut self) -> WriterReport {
        drop(self.process.inner().stdin.take());
        // A test program that stands for an application says now and then that it still runs.
        let report = loop {
            if let Ok(report) = self.line().parse() {
                break report;
            }
        };
        assert!(self.process.end().success());
        report
    }

    /// Ends it in the middle of its work: the log stays.
    pub(super) fn kill(mut self) {
        self.process.signal(Signal::KILL);
        self.process.end();
    }
}
