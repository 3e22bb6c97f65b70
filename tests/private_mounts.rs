//! Tests that mount: run again where mounts are private and go with the process.

use std::path::Path;
use std::process::{Command, Stdio};

/// Says that this process may mount what it likes: nobody else sees it.
const MAY_MOUNT: &str = "LARDER_TEST_MAY_MOUNT";

/// Runs the named test again where mounts are private; true when that was done, or cannot be.
pub(crate) fn elsewhere(test: &str) -> bool {
    if std::env::var_os(MAY_MOUNT).is_some() {
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--test-threads=1"]).env(MAY_MOUNT, "1");
    let allowed = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: mounting is not allowed here");
        return true;
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    true
}

pub(crate) fn mount(words: &[&str], at: &Path) {
    let status = Command::new("mount").args(words).arg(at).status().unwrap();
    assert!(status.success(), "mount {words:?}");
}
