//! The account that PostgreSQL runs under. It refuses root, so that root runs it as user
//! `postgres`.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::failure::{Context, Outcome};

/// The account of the servers that refuse root.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    other: Option<(u32, u32)>,
}

impl Account {
    /// The account for PostgreSQL: `postgres` when this process is root's, else the process's own.
    pub fn of_postgres() -> Outcome<Account> {
        if my_uid()? != 0 {
            return Ok(Account { other: None });
        }
        let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        let ids = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == "postgres").then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        Ok(Account {
            other: Some(ids.context("there is no user `postgres`; install the package postgresql-15")?),
        })
    }

    /// A command that will run under this account.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.other {
            // The standard library also drops root's supplementary groups here.
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives the file or folder to this account.
    pub fn own(&self, path: &Path) -> Outcome {
        match self.other {
            Some((uid, gid)) => {
                chown(path, Some(uid), Some(gid)).context(format!("chown of {}", path.display()))
            }
            None => Ok(()),
        }
    }
}

/// The user id of this process.
pub fn my_uid() -> Outcome<u32> {
    Ok(fs::metadata("/proc/self").context("looking up this process's user")?.uid())
}
