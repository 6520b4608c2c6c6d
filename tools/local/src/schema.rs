//! The schema of a service in the local database: login role, tables, grants, and the service's own
//! scripts.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::progress::last_lines;
use crate::service_settings::{self, Told};
use crate::{address, chosen, cluster, psql, secret, services, state};

/// The log of the scripts.
const LOG: &str = "logs/sql.log";

/// Makes schema and login of a service, unless they are there.
pub fn make(checkout: &Checkout, service: &str, told: Told) -> Outcome {
    services::must_be(checkout, service)?;
    // Somebody else's server gets nothing from us without being asked to.
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_some() {
        return fail(format!(
            "DATABASE_URL of {service} is your own: psql \"$DATABASE_URL\" -v name={service} -f sql/login.sql as a \
             superuser there makes role and schema (README: your own PostgreSQL)"
        ));
    }
    checkout.screen.nowhere(|| cluster::up(checkout))?;
    let _lock = checkout.lock(&format!("sql-{service}"))?;
    service_settings::write(checkout, service, Told::No)?;
    let file = services::env_file(checkout, service);
    let password = match address::password(&file.get("DATABASE_URL").unwrap_or_default()) {
        Some(password) if told == Told::No && is_made(checkout, service, &password) => return Ok(()),
        Some(password) => password,
        None => {
            let password = secret::fresh()?;
            file.put("DATABASE_URL", &address::database(checkout, service, &password)?)?;
            password
        }
    };
    let failed = format!("making the schema of {service} failed");
    let mut login = psql::admin(checkout)?;
    login.arg(format!("--set=name={service}")).arg("--file=sql/login.sql");
    // Through the environment: a command line can be read by everybody.
    login.env("LOGIN_PASSWORD", password);
    run(checkout, login, Log::New, &failed)?;
    // Those of a service in SQL are applied each time that it comes up.
    if !services::is_in_sql(checkout, service) {
        run_scripts(checkout, service)?;
    }
    checkout.screen.say(format!("      schema {service}_service and login role {service} are there"));
    Ok(())
}

/// Applies the scripts of a service without a crate, in the local database. They can be run again:
/// CREATE OR REPLACE FUNCTION, then tpro.handle.
pub fn apply(checkout: &Checkout, service: &str) -> Outcome {
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_some() {
        is_for_user(checkout, service);
        return Ok(());
    }
    let _lock = checkout.lock(&format!("sql-{service}"))?;
    let number = run_scripts(checkout, service)?;
    checkout.screen.say(format!("      {service}  scripts of SQL applied: {number}"));
    Ok(())
}

/// Says that the scripts of a service without a crate go into a database of the user's own.
pub fn is_for_user(checkout: &Checkout, service: &str) {
    let scripts = services::folder(checkout, service).join("sql");
    checkout.screen.note(format!(
        "      {service}  DATABASE_URL is your own: apply {}/*.sql there (its README says how)",
        scripts.display()
    ));
}

/// Runs the scripts of a service; their number.
fn run_scripts(checkout: &Checkout, service: &str) -> Outcome<usize> {
    let scripts = scripts(checkout, service);
    for script in &scripts {
        let mut psql = psql::admin(checkout)?;
        psql.args(begin_of_script(service));
        psql.arg(format!("--file={}", script.display()));
        run(checkout, psql, Log::Longer, &format!("{} failed", script.display()))?;
    }
    Ok(scripts.len())
}

/// The statements before each script of a service, as arguments of psql. The script runs as the
/// owner of the service's schema and in it, since the service's own login may not change tables. It
/// grants the rights of the sidecar on a new table: GRANT ... TO NAME_sidecar.
pub fn begin_of_script(service: &str) -> [String; 3] {
    [
        "--command=SET ROLE tpro_owner".to_owned(),
        format!("--command=SET search_path = {service}_service"),
        // A service may be called order, which SET takes in quotes only.
        format!("--command=SET tpro.sender = '{service}'"),
    ]
}

/// True if the service can log in and sees its tables.
fn is_made(checkout: &Checkout, service: &str, password: &str) -> bool {
    let Ok(mut psql) = psql::local(checkout, service) else { return false };
    psql.arg(format!("--command=SELECT FROM {service}_service.mq_publish LIMIT 0"));
    psql.env("PGPASSWORD", password).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    psql.status().is_ok_and(|status| status.success())
}

/// The service's own scripts, seen from the checkout, by their names.
pub fn scripts(checkout: &Checkout, service: &str) -> Vec<PathBuf> {
    let folder = services::folder(checkout, service).join("sql");
    let entries = fs::read_dir(checkout.path(&folder)).into_iter().flatten().flatten();
    let names = entries.map(|entry| PathBuf::from(entry.file_name()));
    let mut scripts: Vec<PathBuf> =
        names.filter(|name| is_script(name)).map(|name| folder.join(name)).collect();
    scripts.sort();
    scripts
}

/// True for the name of a script. A name that begins with a dot is an editor's own file, such as
/// `.#tables.sql`.
fn is_script(name: &Path) -> bool {
    let is_hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
    !is_hidden && name.extension().is_some_and(|end| end == "sql")
}

/// The data of the demo: people who can log in through analytic.
pub fn demo(checkout: &Checkout) -> Outcome {
    let _lock = checkout.lock("sql-demo")?;
    let mut psql = psql::admin(checkout)?;
    psql.arg("--file=sql/demo.sql");
    run(checkout, psql, Log::New, "making the demo's data failed")
}

/// Removes the schema of a service with all its contents, and the role.
pub fn forget(checkout: &Checkout, service: &str) -> Outcome {
    if !state::is_known(checkout, "postgres") {
        return Ok(());
    }
    cluster::up(checkout)?;
    let mut psql = psql::admin(checkout)?;
    psql.arg(format!("--set=name={service}")).arg("--file=sql/logout.sql");
    run(checkout, psql, Log::New, &format!("removing the schema of {service} failed"))
}

/// The number of messages of the service without a reply; 0 without a database.
const UNSETTLED: &str = "SELECT to_regclass('tpro.services') IS NOT NULL AS made \\gset
\\if :made
SELECT coalesce(sum(unsettled), 0) FROM tpro.services WHERE name = :'name';
\\else
SELECT 0;
\\endif
";

/// Counts the messages of a service that have no reply yet.
pub fn unsettled(checkout: &Checkout, service: &str) -> Outcome<u64> {
    if !state::is_known(checkout, "postgres") {
        return Ok(0);
    }
    checkout.screen.to_stderr(|| cluster::up(checkout))?;
    let failed = || Failure::new(format!("the unsettled messages of {service} cannot be counted"));
    let mut psql = psql::admin(checkout)?;
    psql.arg(format!("--set=name={service}")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = psql.spawn().context("starting psql")?;
    let mut input = child.stdin.take().ok_or_else(failed)?;
    // If psql has ended before it has read all, its exit code tells.
    let _ = input.write_all(UNSETTLED.as_bytes());
    drop(input);
    let output = child.wait_with_output().context("waiting for psql")?;
    let count = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
    count.filter(|_| output.status.success()).ok_or_else(failed)
}

/// The way in which a script writes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    New,
    Longer,
}

/// Runs psql with its output in the log, whose end is shown if it fails.
fn run(checkout: &Checkout, mut psql: Command, log: Log, failed: &str) -> Outcome {
    let path = checkout.path(LOG);
    let mut options = File::options();
    options.create(true).write(true).append(log == Log::Longer).truncate(log == Log::New);
    let file = options.open(&path).context(format!("writing {LOG}"))?;
    let errors = file.try_clone().context(format!("writing {LOG}"))?;
    psql.stdin(Stdio::null()).stdout(file).stderr(errors);
    if psql.status().context("starting psql")?.success() {
        return Ok(());
    }
    last_lines(&path, 15).iter().for_each(|line| eprintln!("{line}"));
    fail(format!("{failed}; all of its output is in {LOG}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_an_editor_are_no_scripts() {
        assert!(is_script(Path::new("10.tables.sql")));
        for other in [".#tables.sql", ".tables.sql", ".sql", "tables.sql~", "tables.sql.orig", "sql"] {
            assert!(!is_script(Path::new(other)), "{other}");
        }
    }
}
