//! Looking for faults in a configuration.

use serde::Serialize;

use crate::cli::args::Globals;
use crate::cli::config::{Config, ConfigError, Faults};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::{Console, Form};
use crate::cli::output::json::Document;
use crate::cli::output::units::many;
use crate::cli::settings::{Environment, load_config};

#[derive(Serialize)]
struct Body {
    file: String,
    faults: Vec<FaultBody>,
    retention: Option<String>,
    exit_code: u8,
}

#[derive(Serialize)]
struct FaultBody {
    line: usize,
    message: String,
}

/// Lists every fault.
pub(super) fn run(globals: &Globals, console: &Console) -> Result<Exit> {
    match load_config(globals, &Environment::read()) {
        Ok(Some((file, config))) => sound(console, &file.value.display().to_string(), &config),
        Ok(None) => {
            let what = "there is no configuration; larder works without one";
            Err(Failure::failed(what).with_hint("larder config example > larder.toml"))
        }
        Err(ConfigError::Faulty(faults)) => faulty(console, &faults),
        Err(error) => Err(error.into()),
    }
}

fn sound(console: &Console, file: &str, config: &Config) -> Result<Exit> {
    let retention = config.retention.as_ref().map(|policy| policy.value.to_string());
    if console.form() != Form::Text {
        let body = Body { file: file.to_owned(), faults: Vec::new(), retention, exit_code: 0 };
        console.document(&Document::new(body))?;
        return Ok(Exit::Ok);
    }
    console
        .detail(&format!("{file}: no faults, {}", many(config.sources.len() as u64, "source")))?;
    if let Some(policy) = retention {
        console.detail(&format!("larder forget keeps {policy}"))?;
    }
    Ok(Exit::Ok)
}

fn faulty(console: &Console, faults: &Faults) -> Result<Exit> {
    if console.form() == Form::Text {
        for line in faults.lines() {
            console.failure(Exit::Usage, &line, None);
        }
        return Ok(Exit::Usage);
    }
    let listed = faults.faults.iter();
    console.document(&Document::new(Body {
        file: faults.path.display().to_string(),
        faults: listed.map(|it| FaultBody { line: it.line, message: it.what.clone() }).collect(),
        retention: None,
        exit_code: Exit::Usage.code(),
    }))?;
    Ok(Exit::Usage)
}
