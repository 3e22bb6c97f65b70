//! Running a test without privileges, also where the tests run as root.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs the named test of this binary in a process of the user nobody and returns true; returns false when this is
/// that process, or has no privileges to begin with: then the caller does the work.
pub(crate) fn rerun(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    // The link leads to the binary also where its directory is closed to others.
    let child = Command::new("/proc/self/exe")
        .args([test, "--exact", "--test-threads=1"])
        .env_remove("TMPDIR")
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    true
}
