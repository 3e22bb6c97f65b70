//! The `larder` command.

use std::process::ExitCode;

use larder::sqlite::helper;
use larder::sqlite::options::HELPER_COMMAND;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|name| name == HELPER_COMMAND) {
        return helper::main(std::io::stdin(), std::io::stdout()).into();
    }
    ExitCode::SUCCESS
}
