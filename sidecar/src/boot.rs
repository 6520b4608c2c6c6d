//! The life of the process, as a list of steps.

use std::process::ExitCode;

use crate::handler::Service;

/// Runs a service until it is told to stop.
pub fn run(_service: Service) -> ExitCode {
    ExitCode::SUCCESS
}
