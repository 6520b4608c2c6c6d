//! The program as a test runs it.

use std::process::{Command, Stdio};

use serde_json::Value;
use tpro_testkit::{Context, Database, Failure, Outcome};

/// The end of a run of the program.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// A run that must have ended so.
    pub fn ended(self, code: i32) -> Outcome<Ran> {
        if self.code == code {
            return Ok(self);
        }
        Err(Failure::new(format!("tpro ended with {} and not {code}: {self:?}", self.code)))
    }

    /// Its output as JSON.
    pub fn json(&self) -> Outcome<Value> {
        serde_json::from_str(&self.out).context(format!("reading {self:?}"))
    }
}

/// The program, with nothing of the developer's own environment.
pub fn tpro(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tpro"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs it.
pub fn run(command: &mut Command) -> Outcome<Ran> {
    let output = command.output().context("running tpro")?;
    Ok(Ran {
        code: output.status.code().context("tpro was killed")?,
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// Runs it on a database, as a role or as the superuser.
pub fn on(database: &Database, role: &str, arguments: &[&str]) -> Outcome<Ran> {
    let url = if role == "postgres" { database.url() } else { database.role_url(role) };
    run(tpro(arguments).env("DATABASE_URL", url))
}

/// A login of the database that is a member of this role only.
pub async fn member(database: &Database, role: &str) -> Outcome<String> {
    let name = format!("{}_{role}", database.name());
    database.create_role(&name).await?;
    database.connect().await?.batch_execute(&format!("GRANT {role} TO {name}")).await?;
    Ok(name)
}
