//! The bridge to the NATS of the Go system: `make up-bridge` and `make stop-bridge`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::cargo::Profile;
use crate::checkout::Checkout;
use crate::env_file::EnvFile;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::process::Signal;
use crate::say::since;
use crate::{cargo, http, nats_users, port, process, secret, state};

/// Its settings, and their template.
const SETTINGS: &str = "tools/bridge/.env";
const TEMPLATE: &str = "bridge.env";
/// The time that a copy has to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time that a copy has to stop, beyond the longest time of the messages in its hands.
const STOP_PATIENCE: Duration = Duration::from_secs(45);
/// The most copies that are looked for.
const COPIES: u32 = 16;

/// Starts a copy. COPY_NUMBER says which.
pub fn up(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let number = checkout.settings.copy_number()?.unwrap_or(1);
    if number > COPIES {
        return fail(format!("COPY_NUMBER={number}: the bridge has at most {COPIES} copies here"));
    }
    let _lock = checkout.lock("bridge")?;
    let file = settings(checkout)?;
    let (id, log) = (id(number), log(number));
    if process::running(checkout, &id) {
        let port = state::port(checkout, &id, "port").unwrap_or_default();
        checkout.screen.say(format!("      bridge {number}  http://127.0.0.1:{port}, running already"));
        return Ok(());
    }
    if file.get("OLD_NATS_URL").or_else(|| checkout.settings.get("OLD_NATS_URL")).is_none() {
        return Err(Failure::new(format!("{SETTINGS}: OLD_NATS_URL is not set")).remedy(
            "name the NATS of the Go system there, and the services of each side (OLD_SERVICES, NEW_SERVICES)",
        ));
    }
    cargo::build_all(checkout, Profile::Debug, "building the bridge", &["--bin", "tpro-bridge"])?;
    let port = {
        let _ports = checkout.lock("ports")?;
        let given = checkout.settings.get("SERVICE_PORT").or_else(|| file.get("SERVICE_PORT"));
        let given = given.filter(|_| number == 1);
        let port = port::pick("SERVICE_PORT", given.as_deref(), "8090", state::port(checkout, &id, "port"))?;
        let shown = port.to_string();
        let mut program = checkout.command(cargo::profile(checkout).join("tpro-bridge"));
        program.env("ENV_FILE", SETTINGS).env("COPY_NUMBER", number.to_string());
        program.env("SERVICE_PORT", &shown).env("LOG_FILE_NAME", checkout.path(&log));
        fs::create_dir_all(checkout.logs()).context("making logs")?;
        let pid = process::spawn(checkout, &id, &program)?;
        process::remember(checkout, &id, pid, &[("port", &shown)])?;
        let listens = || port::listening(port);
        if !process::is_up_within(checkout, &id, Some(&checkout.path(&log)), PATIENCE, listens) {
            return fail(format!("the bridge did not start; its log is {log}"));
        }
        port
    };
    let ready = || http::get(port, "/readyz").status == 200;
    if !process::is_up_within(checkout, &id, Some(&checkout.path(&log)), PATIENCE, ready) {
        let reasons = http::get(port, "/readyz").body.replace('\n', " ");
        return fail(format!("bridge {number} is not ready; http://127.0.0.1:{port}/readyz says: {reasons}"));
    }
    checkout
        .screen
        .say(format!("      bridge {number}  http://127.0.0.1:{port}, ready in {}, log {log}", since(at)));
    Ok(())
}

/// Stops the copy of COPY_NUMBER, or all. Each finishes what it has.
pub fn stop(checkout: &Checkout) -> Outcome {
    let numbers = match checkout.settings.copy_number()? {
        Some(number) => vec![number],
        None => known_copies(checkout).collect(),
    };
    let _lock = checkout.lock("bridge")?;
    for number in numbers {
        let (at, id) = (Instant::now(), id(number));
        let Some(pid) = process::pid_of(checkout, &id) else {
            checkout.screen.say(format!("      bridge {number}  not running"));
            continue;
        };
        process::signal(pid, Signal::TERM);
        if !process::gone_within(checkout, &id, STOP_PATIENCE) {
            return fail(format!(
                "bridge {number} (pid {pid}) did not stop within {} s",
                STOP_PATIENCE.as_secs()
            ));
        }
        process::forget_pid(checkout, &id);
        checkout.screen.say(format!("      bridge {number}  stopped in {}", since(at)));
    }
    Ok(())
}

/// The numbers of the copies that run, or ran until they were stopped.
pub fn known_copies(checkout: &Checkout) -> impl Iterator<Item = u32> {
    (1..=COPIES).filter(|number| state::is_known(checkout, &id(*number)))
}

/// The name under which a copy is remembered. No service has a dash in its name.
pub fn id(number: u32) -> String {
    format!("tpro-bridge-{number}")
}

fn log(number: u32) -> String {
    format!("logs/bridge-{number}.log")
}

/// The file of its settings. It is written from the template, and follows the local nats-server.
fn settings(checkout: &Checkout) -> Outcome<EnvFile> {
    let file = EnvFile::at(checkout.path(SETTINGS));
    if !file.path().exists() {
        let template = checkout.template(TEMPLATE);
        let text = fs::read_to_string(checkout.path(&template)).context(format!("reading {template}"))?;
        secret::replace(file.path(), &text)?;
        checkout.screen.say(format!("      {SETTINGS} written"));
    }
    fs::set_permissions(file.path(), Permissions::from_mode(0o600)).context(format!("closing {SETTINGS}"))?;
    if let Some(port) = state::port(checkout, "nats", "port") {
        file.put("NATS_URL", &format!("nats://127.0.0.1:{port}"))?;
        if file.is_ours("NATS_URL") && file.get("NATS_TOKEN").is_none() {
            file.put("NATS_USER", nats_users::ADMIN)?;
            file.put("NATS_PASSWORD", &nats_users::password(checkout, nats_users::ADMIN)?)?;
        }
    }
    Ok(file)
}
