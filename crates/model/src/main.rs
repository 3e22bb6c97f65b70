//! Runs the model: without an argument every scenario with all guards; `larger` with one more kill and power loss each; with
//! names of guards, or `all`, every scenario without each of these, and the way into what breaks.

use std::process::ExitCode;

use larder_model::guard::{Guard, Guards};
use larder_model::scenario::{self, Scenario};
use larder_model::search::{Found, search};

/// More states than any scenario has.
const LIMIT: usize = 50_000_000;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match wanted.first().map(String::as_str) {
        None => return protocol(&scenario::all()),
        Some("larger") => return protocol(&scenario::larger()),
        Some(_) => {}
    }
    for guard in Guard::ALL
        .into_iter()
        .filter(|it| wanted.iter().any(|name| name == "all" || *name == it.to_string()))
    {
        without(guard);
    }
    ExitCode::SUCCESS
}

fn protocol(scenarios: &[Scenario]) -> ExitCode {
    let mut sound = true;
    for scenario in scenarios {
        let found = search(scenario, Guards::all(), LIMIT);
        println!("{:<28} {:>9} states  {}", scenario.name, found.states, verdict(&found));
        sound &= found.is_complete && found.violation.is_none();
        tell(&found);
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn without(guard: Guard) {
    for scenario in scenario::all() {
        let found = search(&scenario, Guards::without(guard), LIMIT);
        println!(
            "without {guard:<18} {:<28} {:>9} states  {}",
            scenario.name,
            found.states,
            verdict(&found)
        );
        tell(&found);
    }
}

fn verdict(found: &Found) -> &str {
    match &found.violation {
        Some(violation) => &violation.what,
        None if found.is_complete => "nothing is lost",
        None => "too many states",
    }
}

fn tell(found: &Found) {
    let steps = found.violation.iter().flat_map(|violation| &violation.steps);
    for (n, step) in steps.enumerate() {
        println!("    {:>2}  {step}", n + 1);
    }
}
