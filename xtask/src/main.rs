//! The chores of the larder repository: `cargo xtask ci | layers | tidy | campaign`.
//!
//! Nothing here is shipped. It depends on std alone, so that a fresh clone gets
//! its verdict on layers and style after a few seconds of compiling.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod report;
mod source;

mod layers;
mod tidy;

mod campaign;
mod ci;

const USAGE: &str = "\
usage: cargo xtask <chore>

  ci                          format, clippy, layers, tidy, tests, demo: what .ci/run runs
  layers                      every import goes strictly downward
  tidy                        sizes, banned words, homes of crates, dead files, links
  tidy --update-codec-hash    writes the hash of src/codec into docs/format.md
  campaign <name> [--count N] [--batch N] [--release] [--fresh] [--record]
                              many repetitions of a randomised test, resumable; without a name: the list";

/// What a chore that could not do its work says; a broken rule is a finding, not an error.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&root(), &words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// True when all is well.
fn run(root: &Path, words: &[&str]) -> Result<bool> {
    match words {
        ["ci"] => ci::run(root),
        ["layers"] => Ok(layers::run(&source::Tree::load(root)?).print("layers")),
        ["tidy"] => Ok(tidy::run(&source::Tree::load(root)?).print("tidy")),
        ["tidy", "--update-codec-hash"] => tidy::update_codec_hash(root).map(|()| true),
        ["campaign", rest @ ..] => campaign::run(root, rest),
        _ => Err(USAGE.to_owned()),
    }
}

/// The top of the repository. Cargo compiles xtask in place, so its manifest's parent is it.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}
