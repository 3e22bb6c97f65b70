//! Everything that must hold before a change is taken, in the order of what is quickest to fail.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::source::Tree;
use crate::{Result, layers, tidy};

/// The commands that the README promises to a newcomer; CI runs the same strings.
const TEST_COMMAND: &str = "cargo test";
const DEMO_COMMAND: &str = "cargo run --release -- demo";

/// Running the built tests may take so long on two cores; more is said, and not failed, since machines differ.
const TEST_BUDGET: Duration = Duration::from_mins(3);

/// What became of a step that did not fail.
enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Outcome>,
}

const STEPS: [Step; 9] = [
    Step { name: "format", run: |root| cargo(root, &["fmt", "--all", "--", "--check"]) },
    Step {
        name: "layers",
        run: |root| Ok(verdict(layers::run(&Tree::load(root)?).print("layers"))),
    },
    Step { name: "tidy", run: |root| Ok(verdict(tidy::run(&Tree::load(root)?).print("tidy"))) },
    Step { name: "readme", run: readme },
    Step {
        name: "clippy",
        run: |root| cargo(root, &["clippy", "--all-targets", "--", "-D", "warnings"]),
    },
    Step { name: "build tests", run: |root| cargo(root, &["test", "--no-run"]) },
    Step { name: "test", run: test },
    Step { name: "demo", run: demo },
    Step { name: "deny", run: deny },
];

/// Runs the steps up to the first failure; true when none failed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let began = Instant::now();
    let mut summary = Vec::new();
    let mut passed = true;
    for step in &STEPS {
        println!("\n== {}", step.name);
        let step_began = Instant::now();
        let outcome = (step.run)(root)?;
        let seconds = step_began.elapsed().as_secs_f64();
        let word = match &outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
        };
        println!("== {}: {word}  {seconds:.1} s", step.name);
        summary.push(format!("  {:<12} {seconds:>7.1} s  {word}", step.name));
        if matches!(outcome, Outcome::Failed) {
            passed = false;
            break;
        }
    }
    println!("\n{}", summary.join("\n"));
    let verdict = if passed { "all steps passed" } else { "stopped at the first failure" };
    println!("ci: {verdict}, {:.0} s in all", began.elapsed().as_secs_f64());
    Ok(passed)
}

fn verdict(passed: bool) -> Outcome {
    if passed { Outcome::Passed } else { Outcome::Failed }
}

/// Runs cargo without input and at low priority: a build machine has other things to do.
fn cargo(root: &Path, arguments: &[&str]) -> Result<Outcome> {
    println!("$ cargo {}", arguments.join(" "));
    let status = gently("cargo", arguments).current_dir(root).status();
    Ok(verdict(started("cargo", status)?.success()))
}

fn gently(program: &str, arguments: &[&str]) -> Command {
    let has_nice = Command::new("nice")
        .arg("true")
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command = if has_nice { Command::new("nice") } else { Command::new(program) };
    if has_nice {
        command.args(["-n", "5", program]);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn started(program: &str, status: std::io::Result<ExitStatus>) -> Result<ExitStatus> {
    status.map_err(|error| format!("cannot start {program}: {error}"))
}

/// The README's commands are the ones that are run here.
fn readme(root: &Path) -> Result<Outcome> {
    let text = std::fs::read_to_string(root.join("README.md"))
        .map_err(|error| format!("cannot read README.md: {error}"))?;
    let missing: Vec<&str> = [TEST_COMMAND, DEMO_COMMAND]
        .into_iter()
        .filter(|command| !is_promised(&text, command))
        .collect();
    for command in &missing {
        println!("README.md: `{command}` does not stand on a line of its own in a code block");
    }
    Ok(verdict(missing.is_empty()))
}

/// True when a code block of the text has the command as one line.
fn is_promised(text: &str, command: &str) -> bool {
    let mut in_block = false;
    text.lines().any(|line| {
        in_block ^= line.starts_with("```");
        in_block && line.trim_start_matches("$ ").trim() == command
    })
}

fn test(root: &Path) -> Result<Outcome> {
    let began = Instant::now();
    let arguments: Vec<&str> = TEST_COMMAND.split(' ').skip(1).collect();
    let outcome = cargo(root, &arguments)?;
    if began.elapsed() > TEST_BUDGET {
        println!("note: running the tests took longer than {} s", TEST_BUDGET.as_secs());
    }
    Ok(outcome)
}

/// The demonstration, with the binary that the tests built. It passes when it says what it proved.
fn demo(root: &Path) -> Result<Outcome> {
    if !root.join("src/cli/commands/demo/mod.rs").exists() {
        return Ok(Outcome::Skipped("src/cli/commands/demo/mod.rs does not exist yet".to_owned()));
    }
    let mut command = Command::new(target_directory(root).join("debug/larder"));
    command.arg("demo").current_dir(root);
    shown(command)
}

/// Runs a demonstration while passing on what it prints.
fn shown(mut command: Command) -> Result<Outcome> {
    println!("$ {command:?}");
    let explain = |error: std::io::Error| format!("the demo: {error}");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(explain)?;
    let mut proved = false;
    for line in BufReader::new(child.stdout.take().ok_or("the demo has no output")?).lines() {
        let line = line.map_err(explain)?;
        println!("{line}");
        proved |= says_proof(&line);
    }
    let succeeded = child.wait().map_err(explain)?.success();
    if succeeded && !proved {
        println!("the demo ended without a line `proof ...`");
    }
    Ok(verdict(succeeded && proved))
}

fn says_proof(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("proof") && words.next().is_some()
}

/// Where cargo builds.
fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |directory| root.join(directory))
}

/// Licences and sources always; advisories where their database can be had.
fn deny(root: &Path) -> Result<Outcome> {
    let quiet = |arguments: &[&str]| {
        let mut command = gently("cargo", arguments);
        let status = command.current_dir(root).stdout(Stdio::null()).stderr(Stdio::null()).status();
        Ok::<bool, String>(started("cargo", status)?.success())
    };
    if !quiet(&["deny", "--version"])? {
        return Ok(Outcome::Skipped("cargo-deny is not installed".to_owned()));
    }
    let offline = cargo(root, &["deny", "check", "bans", "licenses", "sources"])?;
    if matches!(offline, Outcome::Failed) {
        return Ok(offline);
    }
    if !quiet(&["deny", "fetch", "db"])? {
        return Ok(Outcome::Skipped("advisories only, their database is out of reach".to_owned()));
    }
    cargo(root, &["deny", "check", "advisories"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_promised_only_as_a_whole_line_of_a_code_block() {
        assert!(is_promised("```sh\ncargo test\n```\n", TEST_COMMAND));
        assert!(is_promised("```\n$ cargo test\n```\n", TEST_COMMAND));
        assert!(!is_promised("cargo test\n", TEST_COMMAND));
        assert!(!is_promised("```\ncargo test --all\n```\n", TEST_COMMAND));
        assert!(!is_promised("```\n```\ncargo test\n", TEST_COMMAND));
    }

    #[test]
    fn a_demo_passes_only_with_a_proof_and_a_good_end() {
        let passes = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            matches!(shown(command), Ok(Outcome::Passed))
        };
        assert!(passes("echo ' proof  3 of 3'"));
        assert!(!passes("echo ' nights Mon'"));
        assert!(!passes("echo ' proof  3 of 3'; exit 1"));
        assert!(says_proof(" proof    7 of 7 databases are a commit"));
        assert!(!says_proof(" proof"));
        assert!(!says_proof("the proof of it"));
    }
}
