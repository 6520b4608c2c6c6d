//! The end of a command that hands over to another program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::failure::{Outcome, fail};

/// Puts a program in the place of this one; its exit code becomes ours. Returns only if the program
/// cannot be started.
pub fn by(mut command: Command) -> Outcome {
    let error = command.exec();
    fail(format!("{} cannot be started: {error}", command.get_program().display()))
}
