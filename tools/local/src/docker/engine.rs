//! The Docker engine, by its command line.

use std::process::{Command, Output, Stdio};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome, fail};

/// Fails unless an engine answers.
pub fn need(checkout: &Checkout) -> Outcome {
    match version(checkout) {
        Some(_) => Ok(()),
        None => Err(Failure::new("RUNTIME=docker, and no engine answers `docker version`").remedy(
            "install Docker, start it (systemctl start docker) and be in the group docker, or leave RUNTIME out",
        )),
    }
}

/// The version of the engine; none if none answers.
pub fn version(checkout: &Checkout) -> Option<String> {
    try_ask(checkout, &["version", "--format", "{{.Server.Version}}"]).filter(|version| !version.is_empty())
}

/// A call of `docker`.
pub fn docker(checkout: &Checkout, arguments: &[&str]) -> Command {
    let mut command = checkout.command("docker");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Calls `docker`; its output.
pub fn ask(checkout: &Checkout, arguments: &[&str]) -> Outcome<String> {
    answer(docker(checkout, arguments))
}

/// Calls `docker`; its output. None if it fails, of which nothing is said.
pub fn try_ask(checkout: &Checkout, arguments: &[&str]) -> Option<String> {
    let output = docker(checkout, arguments).output().ok()?;
    output.status.success().then(|| text(&output.stdout))
}

/// Runs a command to its end; its output. A failure tells what the command has said.
pub fn answer(mut command: Command) -> Outcome<String> {
    let shown = command.get_args().next().map(|verb| verb.to_string_lossy().into_owned());
    let shown = format!("{} {}", command.get_program().display(), shown.unwrap_or_default());
    let Output { status, stdout, stderr } = command.output().context(format!("starting {shown}"))?;
    if status.success() {
        return Ok(text(&stdout));
    }
    let said = text(&stderr);
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    fail(format!("{shown} failed: {}", last.join(" ")))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
