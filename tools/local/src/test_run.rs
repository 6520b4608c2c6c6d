//! A run of `cargo test`: all of its output goes to a log, the lines worth a look to the screen.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::{cargo, pg_config};

/// Tests that run at once beside one for each processor: most of them wait for servers.
const WAITING: usize = 2;

/// Runs the tests of the workspace that the arguments select, also after some have failed. Returns
/// true if all passed.
pub fn run(
    checkout: &Checkout,
    log: &Path,
    times: Option<&Path>,
    arguments: &[&str],
    is_shown: impl Fn(&str) -> bool,
) -> Outcome<bool> {
    let mut cargo = cargo::command(checkout)?;
    let pg_config = pg_config::checked(checkout)?;
    pg_config::for_cargo(&pg_config, &mut cargo);
    cargo.args(["test", "--workspace"]).args(cargo::flags(checkout)).args(pg_config::features(&pg_config));
    cargo.args(arguments);
    if checkout.settings.get("RUST_TEST_THREADS").is_none() {
        let processors = available_parallelism().map_or(1, NonZero::get);
        cargo.env("RUST_TEST_THREADS", (processors + WAITING).to_string());
    }
    if let Some(times) = times {
        cargo.env("TPRO_TEST_TIMES", times);
    }
    let writing = || format!("writing {}", log.display());
    let mut file = File::create(log).context(writing())?;
    let (mut child, output) = start(cargo).context("starting cargo test")?;
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).context("reading the output of cargo test")? > 0 {
        file.write_all(&line).context(writing())?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\n');
        if is_shown(text) {
            checkout.screen.say(text);
        }
        line.clear();
    }
    Ok(child.wait().context("waiting for cargo test")?.success())
}

/// Starts it with one pipe for what it says and for its errors. The command goes, so that the pipe
/// ends with the programs.
fn start(mut command: Command) -> io::Result<(std::process::Child, io::PipeReader)> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    Ok((command.spawn()?, reader))
}

/// The log as text.
pub fn text(log: &Path) -> Outcome<String> {
    let bytes = fs::read(log).context(format!("reading {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
