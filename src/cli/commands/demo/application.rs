//! The application at work, in a process of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use larder_sample::WriterReport;

use crate::cli::commands::demo::scene::this_program;
use crate::cli::commands::demo::story::Work;
use crate::cli::failure::{Failure, Result};

/// Commits a second that the application makes, if the machine can.
const RATE: u32 = 250;

/// The writer of `larder-sample`. It ends when its standard input does, so it never outlives the demo, however that ends.
#[derive(Debug)]
pub(super) struct Application {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Application {
    /// Starts it on a directory, and waits until it works.
    pub(super) fn start(directory: &Path) -> Result<Self> {
        let failed = |error| Failure::io("starting the demo's application", &error);
        let mut child = Command::new(this_program()?)
            .arg("sample-writer")
            .arg(directory)
            .args(["--rate", &RATE.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the demo, which then ends the application in order.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let output = child.stdout.take().expect("invariant: its output is a pipe");
        let mut application = Self { child, output: BufReader::new(output) };
        match application.next_line()?.as_str() {
            "ready" => Ok(application),
            other => Err(Failure::failed(format!("the demo's application said {other:?}"))),
        }
    }

    /// Ends it, and returns what it did.
    pub(super) fn stop(mut self) -> Result<Work> {
        drop(self.child.stdin.take());
        let line = self.next_line()?;
        let report: WriterReport = line
            .parse()
            .map_err(|error| Failure::failed(format!("the demo's application: {error}")))?;
        Ok(Work {
            commits: report.commits,
            commits_per_second: report.commits_per_second(),
            uploads: report.uploads,
            deletes: report.deletes,
            errors: report.errors,
            slowest_ms: report.slowest_ms,
            first_error: report.first_error,
        })
    }

    fn next_line(&mut self) -> Result<String> {
        let mut line = String::new();
        let failed = |error| Failure::io("listening to the demo's application", &error);
        if self.output.read_line(&mut line).map_err(failed)? == 0 {
            return Err(Failure::failed("the demo's application ended before its time"));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It is about to end by itself; waiting leaves neither a zombie nor files that appear in a directory being removed.
        let _ = self.child.wait();
    }
}
