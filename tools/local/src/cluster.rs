//! The private PostgreSQL: a cluster of its own on a port of its own. Another PostgreSQL on this
//! machine is left alone.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::Instant;

use tpro_servers::account::Account;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::place::{Place, fed};
use crate::say::since;
use crate::{cluster_files, environment, installation, port, process, psql, secret, state};

/// Makes the database unless it is there.
const MAKE_DATABASE: &str = "\
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec
";

/// Starts it, unless it runs.
pub fn up(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("postgres")?;
    let last = state::port(checkout, "postgres", "port");
    if let (Some(_), Some(last)) = (process::pid_of(checkout, "postgres"), last) {
        if checkout.settings.get("PG_PORT").is_some_and(|given| given != last.to_string()) {
            let given = checkout.settings.get("PG_PORT").unwrap_or_default();
            checkout.screen.note(format!(
                "postgres runs on port {last} already: make stop-db first, then PG_PORT={given} is taken up"
            ));
        }
        checkout.screen.remark(format!("      postgres  127.0.0.1:{last}, running"));
        return Ok(());
    }
    let place = Place::of(checkout)?;
    place.make(checkout)?;
    installation::make(checkout, &place)?;
    cluster_files::make(checkout, &place)?;
    let (pid, port) = match server(checkout, &place)? {
        // Started by a command that was ended before it could write that down.
        Some(found) => found,
        None => {
            let given = checkout.settings.get("PG_PORT");
            start(checkout, &place, port::pick("PG_PORT", given.as_deref(), "55432", last)?)?
        }
    };
    process::remember(checkout, "postgres", pid, &[("port", &port.to_string())])?;
    let password = secret::kept(&place.base.join("superuser"))?;
    secret::replace(&checkout.path(psql::PASSFILE), &format!("127.0.0.1:{port}:*:postgres:{password}\n"))?;
    let mut admin = psql::admin(checkout)?;
    admin.arg("--dbname=postgres").arg(format!("--set=name={}", psql::DATABASE));
    fed(&mut admin, MAKE_DATABASE, "making the local database")?;
    environment::save(checkout)?;
    checkout.screen.say(format!("      postgres  127.0.0.1:{port}, started in {}", since(at)));
    Ok(())
}

/// Stops it; its data stays.
pub fn stop(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("postgres")?;
    if !process::running(checkout, "postgres") {
        checkout.screen.say("      postgres  not running");
        return Ok(());
    }
    let place = Place::of(checkout)?;
    let mut pg_ctl = place.as_postgres(checkout, place.program("pg_ctl")?)?;
    pg_ctl.args(["stop", "--wait", "--timeout=60", "--silent", "--mode=fast"]);
    pg_ctl.arg("--pgdata").arg(&place.data);
    if !pg_ctl.status().context("running pg_ctl")?.success() {
        return fail("PostgreSQL did not stop within a minute; its log is logs/postgres.log");
    }
    process::forget_pid(checkout, "postgres");
    checkout.screen.say(format!("      postgres  stopped in {}", since(at)));
    Ok(())
}

/// The process id and the port of the server that has the cluster open, also of one that something
/// else has started.
fn server(checkout: &Checkout, place: &Place) -> Outcome<Option<(u32, u16)>> {
    let mut pg_ctl = place.as_postgres(checkout, place.program("pg_ctl")?)?;
    pg_ctl.arg("status").arg("--pgdata").arg(&place.data).stdout(Stdio::null());
    if !pg_ctl.status().context("running pg_ctl")?.success() {
        return Ok(None);
    }
    let file = place.data.join("postmaster.pid");
    let read = place.as_postgres(checkout, "cat")?.arg(&file).output().context("reading postmaster.pid")?;
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    let line = |number: usize| text.lines().nth(number).unwrap_or_default().trim();
    match (line(0).parse(), line(3).parse()) {
        (Ok(pid), Ok(port)) => Ok(Some((pid, port))),
        _ => fail(format!("{} names no process and port", file.display())),
    }
}

fn start(checkout: &Checkout, place: &Place, port: u16) -> Outcome<(u32, u16)> {
    cluster_files::write_settings(checkout, place, port)?;
    let log = || format!("making {}", place.log.display());
    File::options().create(true).append(true).open(&place.log).context(log())?;
    let account = Account::of_postgres()?;
    account.own(&place.log)?;
    let link = checkout.logs().join("postgres.log");
    // It may not be there.
    let _ = fs::remove_file(&link);
    symlink(&place.log, &link).context(format!("making {}", link.display()))?;
    let errors = checkout.run_folder().join("postgres.err");
    let errors = File::create(&errors).context(format!("making {}", errors.display()))?;
    let mut pg_ctl = place.command(checkout, place.program("pg_ctl")?);
    pg_ctl.args(["start", "--wait", "--timeout=60", "--silent"]);
    pg_ctl.arg("--pgdata").arg(&place.data).arg("--log").arg(&place.log);
    let mut pg_ctl = process::letting_go(&pg_ctl, None);
    account.runs(&mut pg_ctl);
    pg_ctl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let started = pg_ctl.status().context("running pg_ctl")?.success();
    match server(checkout, place)?.filter(|_| started) {
        Some(found) => Ok(found),
        None => {
            process::last_words(checkout, "postgres", Some(&place.log));
            Err(Failure::new("PostgreSQL did not start; its log is logs/postgres.log"))
        }
    }
}
