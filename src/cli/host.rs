//! The machine: its clock, its randomness, its names.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::host::Host;

use crate::cli::shell;

/// The machine that this process runs on.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    user: String,
    command: String,
}

impl Machine {
    /// Reads the names once; they do not change while a command runs.
    pub(crate) fn look() -> Self {
        Self { name: host_name(), user: user_name(), command: command_line() }
    }
}

impl Host for Machine {
    fn now_ns(&self) -> i64 {
        let signed = |nanos: u128| i64::try_from(nanos).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => signed(since.as_nanos()),
            Err(before) => -signed(before.duration().as_nanos()),
        }
    }

    fn pause(&self, time: Duration) {
        thread::sleep(time);
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("invariant: Linux gives random bytes once it has booted");
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn user(&self) -> String {
        self.user.clone()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn command(&self) -> String {
        self.command.clone()
    }
}

fn host_name() -> String {
    let named = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    });
    named.unwrap_or_else(|| "localhost".to_owned())
}

/// By the system's list: `USER` may be anybody's under sudo and cron.
fn user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &list).unwrap_or_else(|| uid.to_string())
}

fn name_of(uid: u32, list: &str) -> Option<String> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn command_line() -> String {
    let mut arguments = std::env::args_os().map(|it| it.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let words: Vec<_> = std::iter::once(program).chain(arguments).collect();
    shell::words(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_looked_up_by_number() {
        let list = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(1000, list).as_deref(), Some("app"));
        assert_eq!(name_of(0, list).as_deref(), Some("root"));
        assert_eq!(name_of(7, list), None);
    }

    #[test]
    fn the_clock_counts_from_1970_and_random_bytes_differ() {
        let machine = Machine::look();
        assert!(machine.now_ns() > 1_700_000_000_000_000_000);
        let (mut one, mut other) = ([0; 16], [0; 16]);
        machine.fill_random(&mut one);
        machine.fill_random(&mut other);
        assert_ne!(one, other);
    }
}
