//! Schema and login role of a service in the database of the container.

use std::fs;

use super::{database, sql};
use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::{chosen, schema, services, state};

/// Makes schema and login of a service, and runs its own scripts, unless they are there.
pub fn make(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    let _lock = checkout.lock(&format!("sql-{service}"))?;
    let made = format!("SELECT to_regnamespace('{service}_service') IS NOT NULL");
    let is_there = sql::ask(checkout, &made)? == "t";
    let failed = format!("making the schema of {service} failed");
    let mut login = sql::psql(checkout, &["LOGIN_PASSWORD"])?;
    login.env("LOGIN_PASSWORD", database::password(checkout, service)?);
    login.arg(format!("--set=name={service}")).arg("--file=-");
    sql::run(checkout, login, &read(checkout, "sql/login.sql")?, &failed)?;
    if is_there {
        return Ok(());
    }
    // Those of a service in SQL are applied each time that it comes up.
    if !services::is_in_sql(checkout, service) {
        run_scripts(checkout, service)?;
    }
    checkout.screen.say(format!("      schema {service}_service and login role {service} are there"));
    Ok(())
}

/// Applies the scripts of a service without a crate, in the database of the container, as natively.
pub fn apply(checkout: &Checkout, service: &str) -> Outcome {
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_some() {
        schema::is_for_user(checkout, service);
        return Ok(());
    }
    let _lock = checkout.lock(&format!("sql-{service}"))?;
    let number = run_scripts(checkout, service)?;
    checkout.screen.say(format!("      {service}  scripts of SQL applied: {number}"));
    Ok(())
}

/// Runs the scripts of a service; their number.
fn run_scripts(checkout: &Checkout, service: &str) -> Outcome<usize> {
    let scripts = schema::scripts(checkout, service);
    for script in &scripts {
        let script = script.display().to_string();
        let mut psql = sql::psql(checkout, &[])?;
        psql.args(schema::begin_of_script(service)).arg("--file=-");
        sql::run(checkout, psql, &read(checkout, &script)?, &format!("{script} failed"))?;
    }
    Ok(scripts.len())
}

/// The data of the demo: people who can log in through analytic.
pub fn demo(checkout: &Checkout) -> Outcome {
    let mut psql = sql::psql(checkout, &[])?;
    psql.arg("--file=-");
    sql::run(checkout, psql, &read(checkout, "sql/demo.sql")?, "making the demo's data failed")
}

/// Removes the schema of a service with all its contents, and the role.
pub fn forget(checkout: &Checkout, service: &str) -> Outcome {
    let mut psql = sql::psql(checkout, &[])?;
    psql.arg(format!("--set=name={service}")).arg("--file=-");
    let failed = format!("removing the schema of {service} failed");
    sql::run(checkout, psql, &read(checkout, "sql/logout.sql")?, &failed)
}

/// Counts the messages of a service that have no reply yet; 0 without a database.
pub fn unsettled(checkout: &Checkout, service: &str) -> Outcome<u64> {
    if !state::is_known(checkout, "postgres") {
        return Ok(0);
    }
    let count = format!("SELECT coalesce(sum(unsettled), 0) FROM tpro.services WHERE name = '{service}'");
    let count = sql::ask(checkout, &count)?;
    count.parse().ok().context(format!("the unsettled messages of {service} cannot be counted"))
}

fn read(checkout: &Checkout, file: &str) -> Outcome<String> {
    fs::read_to_string(checkout.path(file)).context(format!("reading {file}"))
}
