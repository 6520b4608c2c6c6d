//! The account that PostgreSQL runs under. PostgreSQL refuses root, so that root runs it as user
//! `postgres`.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::geteuid;

use crate::failure::{Context as _, Failure, Outcome};

/// The user of the servers that refuse root.
const USER: &str = "postgres";

/// The account of the servers that refuse root.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    /// The account for PostgreSQL: `postgres` when this process is root's, else the process's own.
    pub fn of_postgres() -> Outcome<Self> {
        static KNOWN: OnceLock<(u32, u32)> = OnceLock::new();
        if !geteuid().is_root() {
            return Ok(Self { other: None });
        }
        let ids = match KNOWN.get() {
            Some(ids) => *ids,
            None => *KNOWN.get_or_init({
                let ids = (id("-u")?, id("-g")?);
                move || ids
            }),
        };
        Ok(Self { other: Some(ids) })
    }

    /// Has a command run under this account, without the groups of root.
    pub fn runs(&self, command: &mut Command) {
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
    }

    /// A command that will run under this account.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.runs(&mut command);
        command
    }

    /// Gives the file or folder to this account.
    pub fn own(&self, path: &Path) -> Outcome {
        let Some((user, group)) = self.other else { return Ok(()) };
        chown(path, Some(user), Some(group)).context(format!("giving {} to {USER}", path.display()))
    }
}

/// The user id of this process.
pub fn my_uid() -> u32 {
    geteuid().as_raw()
}

/// A number of the user. `id` asks each directory of users that the machine has.
fn id(option: &str) -> Outcome<u32> {
    let answer = Command::new("id").args([option, USER]).stderr(Stdio::null()).output();
    let answer = answer.context("running id")?;
    String::from_utf8_lossy(&answer.stdout).trim().parse().map_err(|_| {
        Failure::new(format!("PostgreSQL does not run as root and there is no user {USER}"))
            .remedy("install a PostgreSQL package, which makes it")
    })
}
