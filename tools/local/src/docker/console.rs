//! SQL for a person: psql in the container, as the service main or as the superuser.

use std::io::{self, IsTerminal as _};

use super::names::Names;
use super::{postgres, ready};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::psql::{self, DATABASE};
use crate::replace::by;
use crate::{chosen, services};

/// Puts psql in the place of this process: as AS says, else as main.
pub fn open(checkout: &Checkout) -> Outcome {
    let user = checkout.settings.get("AS").unwrap_or_else(|| "main".to_owned());
    match user.as_str() {
        "main" => {
            services::must_be(checkout, "main")?;
            if let Some(url) = chosen::by_user(checkout, "DATABASE_URL", Some("main")) {
                return psql::be_at(checkout, &url, false);
            }
            checkout.screen.to_stderr(|| ready::database(checkout, "main"))?;
        }
        "postgres" => {
            checkout.screen.hush();
            checkout.screen.to_stderr(|| postgres::up(checkout, false))?;
        }
        other => {
            return fail(format!("AS={other}: make psql is as main, or with AS=postgres as the superuser"));
        }
    }
    let mut command = checkout.command("docker");
    command.args(["exec", "--interactive"]);
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        command.args(["--tty", "--env", "TERM"]);
    }
    command.arg(Names::of(checkout)?.part("postgres"));
    command.args(["psql", &format!("--username={user}"), &format!("--dbname={DATABASE}")]);
    by(command)
}
