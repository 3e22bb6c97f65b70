//! Every value that counts, and who gave it.

use serde::Serialize;

use crate::cli::config::{ReferenceConfig, SourceConfig};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::console::Form;
use crate::cli::output::json::Document;
use crate::cli::output::table::{self, Column};

#[derive(Serialize)]
struct Body {
    values: Vec<Setting>,
}

#[derive(Serialize)]
struct Setting {
    name: String,
    value: String,
    origin: String,
}

impl Setting {
    fn new(name: impl Into<String>, value: impl Into<String>, origin: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), origin: origin.into() }
    }
}

/// Shows them.
pub(super) fn run(context: &Context) -> Result<Exit> {
    let values = values(context);
    if context.console.form() != Form::Text {
        context.console.document(&Document::new(Body { values }))?;
        return Ok(Exit::Ok);
    }
    let columns = [Column::left(""), Column::left(""), Column::left("")];
    let rows: Vec<_> = values.into_iter().map(|it| vec![it.name, it.value, it.origin]).collect();
    for line in table::lines(&columns, &rows) {
        context.console.line(&line)?;
    }
    if let Some(remark) = &context.settings.zone.remark {
        context.console.note(remark.as_str());
    }
    Ok(Exit::Ok)
}

fn values(context: &Context) -> Vec<Setting> {
    let settings = &context.settings;
    let mut values = Vec::new();
    if let Some((path, _)) = &settings.config {
        let path = path.display().to_string();
        values.push(Setting::new("config", path, settings.config_origin.as_str()));
    }
    if let Some(place) = &settings.repository {
        let path = place.value.display().to_string();
        values.push(Setting::new("repository", path, place.origin.as_str()));
    }
    values.push(Setting::new("zone", settings.zone.name.as_str(), settings.zone.origin.as_str()));
    if let Some((path, config)) = &settings.config {
        let file = path.display().to_string();
        for (source, n) in config.sources.iter().zip(1..) {
            values.extend(of_source(source, n, &file));
        }
        if let Some(policy) = &config.retention {
            let origin = format!("{file}:{}", policy.line);
            values.push(Setting::new("retention", policy.value.to_string(), origin));
        }
        values.extend(config.references.iter().map(|it| of_reference(it, &file)));
        if let Some(flag) = &config.built_in_references {
            let origin = format!("{file}:{}", flag.line);
            values.push(Setting::new("built_in_references", flag.value.to_string(), origin));
        }
    }
    values
}

fn of_reference(reference: &ReferenceConfig, file: &str) -> Setting {
    let base = if reference.base.is_empty() { "." } else { &reference.base };
    let value = format!("{} in {base}: {}", reference.database, reference.sql);
    let origin = format!("{file}:{}", reference.line);
    Setting::new(format!("reference.{}", reference.name), value, origin)
}

fn of_source(source: &SourceConfig, n: usize, file: &str) -> Vec<Setting> {
    let name = source.name.clone().unwrap_or_else(|| n.to_string());
    let origin = format!("{file}:{}", source.line);
    let paths: Vec<_> = source.paths.iter().map(|path| path.display().to_string()).collect();
    let mut values =
        vec![Setting::new(format!("source.{name}.paths"), paths.join(" "), origin.as_str())];
    if !source.exclude.is_empty() {
        let patterns = source.exclude.join(" ");
        values.push(Setting::new(format!("source.{name}.exclude"), patterns, origin.as_str()));
    }
    if source.one_file_system {
        values.push(Setting::new(format!("source.{name}.one_file_system"), "true", origin));
    }
    values
}
