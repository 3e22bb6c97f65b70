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

[repository]
path = "/backups/larder"

# `larder backup` takes one snapshot of each source.
[[source]]
name = "partshub"
paths = ["/app/data"]
exclude = ["*.tmp", "/cache/"]
one_file_system = false

# Kept for `larder forget`, which this version does not have yet.
[retention]
keep_last = 1
hourly = 0
daily = 7
weekly = 4
monthly = 12
yearly = 0

# Which columns name files; PartsHub is known without this. Not applied by this version yet.
[[reference]]
database = "shop.db"
table = "documents"
column = "file_name"
base = "documents"
size_column = "bytes"
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
