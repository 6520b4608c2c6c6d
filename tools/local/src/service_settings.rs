//! The file services/NAME/.env. One that is there keeps every line that its user wrote; make's own
//! lines follow the local installation.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::checkout::Checkout;
use crate::env_file::EnvFile;
use crate::failure::{Context as _, Failure, Outcome};
use crate::{address, chosen, go_settings, nats, nats_users, secret, services, state};

/// The first line of a file that was converted, in English and in Russian.
const HEADING: &str = "# Converted from the settings of the Go system, which are in .env.go.";
const HEADING_RU: &str = "# Переведено из настроек системы на Go, которые лежат в .env.go.";

/// True if the user has asked for the step itself, and wants to hear that nothing was left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The user has.
    Yes,
    /// It is a means of another.
    No,
}

/// Writes the file, unless it is there, and brings make's lines in it up to date.
pub fn write(checkout: &Checkout, service: &str, told: Told) -> Outcome {
    let file = create(checkout, service, told)?;
    let _lock = checkout.lock(&format!("env-{service}"))?;
    follow_nats(checkout, service, &file)?;
    follow_viewer(checkout, &file)?;
    if state::port(checkout, "postgres", "port").is_some() && file.is_ours("DATABASE_URL") {
        let password = address::password(&file.get("DATABASE_URL").unwrap_or_default());
        file.put("DATABASE_URL", &address::database(checkout, service, &password.unwrap_or_default())?)?;
    }
    Ok(())
}

/// Writes the file, unless it is there.
pub fn create(checkout: &Checkout, service: &str, told: Told) -> Outcome<EnvFile> {
    services::must_be(checkout, service)?;
    let _lock = checkout.lock(&format!("env-{service}"))?;
    let file = services::env_file(checkout, service);
    let shown = format!("{}/.env", services::folder(checkout, service).display());
    convert(checkout, &file, &shown)?;
    if !file.path().exists() {
        let template = checkout.template("service.env");
        let text = fs::read_to_string(checkout.path(&template)).context(format!("reading {template}"))?;
        let program = format!("target/debug/{}", services::program(checkout, service));
        let text = text.replace("target/debug/@NAME@_service", &program).replace("@NAME@", service);
        secret::replace(file.path(), &text)?;
        checkout.screen.say(format!("      {shown} written"));
        // The keys that only make can fill in, once.
        file.put("SERVICE_PORT", &next_port(checkout, service).to_string())?;
    } else if told == Told::Yes {
        checkout
            .screen
            .say(format!("      {shown} is there already and stays; remove it first to have it made again"));
    }
    fs::set_permissions(file.path(), Permissions::from_mode(0o600)).context(format!("closing {shown}"))?;
    Ok(file)
}

/// Converts a file of the Go system, once. The old one stays beside it.
fn convert(checkout: &Checkout, file: &EnvFile, shown: &str) -> Outcome {
    // A file that cannot be read is told of by those that need it.
    let Ok(old) = fs::read_to_string(file.path()) else { return Ok(()) };
    if !tpro_dotenv::go::is_of_go(&old) {
        return Ok(());
    }
    let kept = file.path().with_extension("go");
    if kept.exists() {
        return Err(Failure::new(format!(
            "{shown} has settings of the Go system, and {shown}.go is there already"
        ))
        .remedy(format!("move {shown}.go away, and {shown} is converted")));
    }
    let heading = if checkout.person_is_russian() { HEADING_RU } else { HEADING };
    let new = go_settings::convert(&old, heading);
    secret::replace(&kept, &old)?;
    secret::replace(file.path(), &new.text)?;
    checkout.screen.say(format!("      {shown} converted from the Go system; the old file is {shown}.go"));
    new.notes.iter().for_each(|note| checkout.screen.say(format!("        {note}")));
    Ok(())
}

/// The lines that follow the local nats-server.
fn follow_nats(checkout: &Checkout, service: &str, file: &EnvFile) -> Outcome {
    let Some(port) = state::port(checkout, "nats", "port") else { return Ok(()) };
    file.put("NATS_URL", &format!("nats://127.0.0.1:{port}"))?;
    // A login goes with the server it is for. Before there were users, it was a token.
    file.drop("NATS_TOKEN")?;
    if file.is_ours("NATS_URL") && file.get("NATS_TOKEN").is_none() {
        file.put("NATS_USER", service)?;
        file.put("NATS_PASSWORD", &nats_users::password(checkout, service)?)?;
        return nats::follow_users(checkout);
    }
    file.drop("NATS_USER")?;
    file.drop("NATS_PASSWORD")
}

/// The lines that follow the local trace viewer.
fn follow_viewer(checkout: &Checkout, file: &EnvFile) -> Outcome {
    for (key, port) in [("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp"), ("JAEGER_PUBLIC_URL", "ui")] {
        if let Some(port) = state::port(checkout, "jaeger", port) {
            file.put(key, &format!("http://127.0.0.1:{port}"))?;
        }
    }
    Ok(())
}

/// The demo's three have the ports that the docs name; a new service has the next one that no other
/// file has.
fn next_port(checkout: &Checkout, service: &str) -> u16 {
    match service {
        "main" => 8081,
        "analytic" => 8082,
        "co" => 8083,
        _ => {
            let taken = services::ports(checkout);
            (8084..).find(|port| !taken.contains(port)).unwrap_or(8084)
        }
    }
}

/// True if the user has chosen a value for a key, in the environment or for one of these services.
pub fn is_chosen_for_any(checkout: &Checkout, key: &str, of: &[&str]) -> bool {
    of.iter().any(|service| chosen::by_user(checkout, key, Some(service)).is_some())
}
