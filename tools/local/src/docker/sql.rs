//! psql in the container of PostgreSQL, as its superuser: nothing of PostgreSQL is needed here.

use std::fs::File;
use std::process::{Command, Stdio};

use super::engine;
use super::names::Names;
use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::place::fed_into;
use crate::progress::last_lines;
use crate::psql::DATABASE;

/// The log of the scripts.
const LOG: &str = "logs/sql.log";

/// psql for a command, which reads its script from its input. The variables are taken from the
/// environment of the call.
pub fn psql(checkout: &Checkout, variables: &[&str]) -> Outcome<Command> {
    let container = Names::of(checkout)?.part("postgres");
    let mut psql = checkout.command("docker");
    psql.args(["exec", "--interactive"]);
    // A value on the command line could be read by everybody.
    for variable in variables {
        psql.args(["--env", variable]);
    }
    psql.arg(container).args(["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-align"]);
    psql.args(["--tuples-only", "--username=postgres"]).arg(format!("--dbname={DATABASE}"));
    Ok(psql)
}

/// Runs a statement; its rows as psql prints them.
pub fn ask(checkout: &Checkout, statement: &str) -> Outcome<String> {
    let mut psql = psql(checkout, &[])?;
    psql.arg(format!("--command={statement}")).stdin(Stdio::null());
    engine::answer(psql)
}

/// Runs a script with its output in the log, whose end is shown if it fails.
pub fn run(checkout: &Checkout, mut psql: Command, script: &str, failed: &str) -> Outcome {
    let path = checkout.path(LOG);
    let file = File::create(&path).context(format!("writing {LOG}"))?;
    let errors = file.try_clone().context(format!("writing {LOG}"))?;
    psql.stderr(errors);
    if fed_into(&mut psql, script, Stdio::from(file), failed).is_ok() {
        return Ok(());
    }
    last_lines(&path, 15).iter().for_each(|line| eprintln!("{line}"));
    fail(format!("{failed}; all of its output is in {LOG}"))
}
