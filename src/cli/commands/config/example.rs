//! A configuration to begin with.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::console::{Console, Form};
use crate::cli::output::json::Document;

/// Every key that a configuration may have.
pub(super) const EXAMPLE: &str = r#"# larder.toml: ./larder.toml, ~/.config/larder/larder.toml, --config FILE or LARDER_CONFIG.
# Relative paths start from this file's directory.

# Times are shown, and nights are counted, in this zone.
zone = "Europe/Zurich"

# Which files rows name is known for some applications without a [[reference]]: PartsHub.
built_in_references = true

[repository]
path = "/backups/larder"

# `larder backup` takes one snapshot of each source.
[[source]]
name = "partshub"
paths = ["/app/data"]
exclude = ["*.tmp", "/cache/"]
one_file_system = false

# What `larder forget` keeps of each source: the newest snapshot of each of the last so many days, weeks (Monday to Sunday) and
# months that have one. A snapshot stays if one rule keeps it; a count of 0 is no rule. More in docs/retention.md.
[retention]
keep_last = 0
hourly = 0
daily = 7
weekly = 4
monthly = "forever"
yearly = 0
# Also everything within this time before the newest one (12h, 30d, 8w), and everything that carries one of these tags.
# within = "2d"
# tags = ["keep"]

# Which files the rows of a database name, so that each is in the snapshot or said to be missing. PartsHub is known without this;
# `larder doctor DIR` finds out for others and prints what to put here.
[[reference]]
name = "documents"
database = "shop.db"
# From the directory that the database is in; with a slash first, from the root of the source.
base = "documents"
# One row a file: its path below the base, then, if the database knows them, its size in bytes and its SHA-256 or BLAKE3.
sql = "SELECT file_name, bytes FROM documents"
"#;

#[derive(Serialize)]
struct Body {
    example: &'static str,
}

/// Prints it.
pub(super) fn run(console: &Console) -> Result<Exit> {
    match console.form() {
        Form::Text => console.page(EXAMPLE.trim_end())?,
        _ => console.document(&Document::new(Body { example: EXAMPLE }))?,
    }
    Ok(Exit::Ok)
}
