//! The settings of a copy in its container: one file, made of services/NAME/.env, of the settings
//! of the environment, and of the addresses on the network of the containers. Certificates and keys
//! that they name come with it.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use tpro_servers::files::remove;

use super::database;
use super::key_files::KeyFiles;
use super::names::Names;
use super::private;
use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome};
use crate::{chosen, nats_users, of_file, services, state};

/// The keys that make fills in.
const OURS: [&str; 6] = [
    "DATABASE_URL",
    "NATS_URL",
    "NATS_USER",
    "NATS_PASSWORD",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "JAEGER_PUBLIC_URL",
];
/// Keys that the container itself decides.
const OF_CONTAINER: [&str; 4] = ["SERVICE_PORT", "SERVICE_HOST", "LOG_FILE_NAME", "COPY_NUMBER"];
/// Addresses that in a container lead to itself.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The places of what a copy is handed.
#[derive(Clone, Debug)]
pub struct Handed {
    /// Its file of settings.
    pub settings: PathBuf,
    /// The folder of its certificates and keys.
    pub key_files: PathBuf,
}

impl Handed {
    fn at(checkout: &Checkout, service: &str, number: u32) -> Outcome<Self> {
        let folder = private::folder(checkout, "services")?;
        let named = |what: &str| folder.join(format!("{service}-{number}.{what}"));
        Ok(Self { settings: named("env"), key_files: named("files") })
    }
}

/// Writes what a copy is handed.
pub fn write(checkout: &Checkout, service: &str, number: u32, version: &str) -> Outcome<Handed> {
    let key_files = KeyFiles::of(checkout, service)?;
    let handed = Handed::at(checkout, service, number)?;
    key_files.write(&handed.key_files)?;
    private::replace(&handed.settings, &text(checkout, service, number, version, &key_files)?)?;
    Ok(handed)
}

/// Removes what a copy was handed.
pub fn forget(checkout: &Checkout, service: &str, number: u32) -> Outcome {
    let handed = Handed::at(checkout, service, number)?;
    remove(&handed.key_files)?;
    match fs::remove_file(&handed.settings) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context(format!("removing {}", handed.settings.display()))
        }
        _ => Ok(()),
    }
}

fn text(
    checkout: &Checkout,
    service: &str,
    number: u32,
    version: &str,
    key_files: &KeyFiles,
) -> Outcome<String> {
    let names = Names::of(checkout)?;
    let mut text = services::env_file(checkout, service).without_ours(&OURS);
    text.push_str("\n# Of the environment and of make. The last line of a key counts.\n");
    let mut put = |key: &str, value: &str| text.push_str(&format!("{key}={}\n", tpro_dotenv::quoted(value)));
    for key in settings(checkout)? {
        if let Some(value) = checkout.settings.get(&key).filter(|_| !OF_CONTAINER.contains(&key.as_str())) {
            put(&key, &value);
        }
    }
    key_files.settings().for_each(|(key, value)| put(key, &value));
    let by_user = |key: &str| chosen::by_user(checkout, key, Some(service));
    match by_user("DATABASE_URL") {
        Some(url) => must_be_reachable(service, "DATABASE_URL", &url)?,
        None => put("DATABASE_URL", &database::inside(checkout, service)?),
    }
    match by_user("NATS_URL") {
        Some(url) => must_be_reachable(service, "NATS_URL", &url)?,
        None => {
            put("NATS_URL", &format!("nats://{}:4222", names.host("nats")));
            put("NATS_USER", service);
            put("NATS_PASSWORD", &nats_users::password(checkout, service)?);
        }
    }
    match by_user("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Some(url) => must_be_reachable(service, "OTEL_EXPORTER_OTLP_ENDPOINT", &url)?,
        None => put("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}:4317", names.host("jaeger"))),
    }
    if let (None, Some(port)) = (by_user("JAEGER_PUBLIC_URL"), state::port(checkout, "jaeger", "ui")) {
        put("JAEGER_PUBLIC_URL", &format!("http://127.0.0.1:{port}"));
    }
    // The ready-made program of services in SQL learns by it which of them it is.
    if services::is_in_sql(checkout, service) {
        put("SERVICE_NAME", service);
    }
    put("SERVICE_VERSION", version);
    put("COPY_NUMBER", &number.to_string());
    put("SERVICE_HOST", "0.0.0.0");
    put("SERVICE_PORT", "8080");
    put("LOG_FILE_NAME", &log(checkout, service, number)?);
    Ok(text)
}

/// The log of a copy in its container: the one that the file names for it in logs/, else the usual
/// one. The container can write to no other place.
fn log(checkout: &Checkout, service: &str, number: u32) -> Outcome<String> {
    let in_logs = |log: String| {
        let name = log.trim_start_matches("./").strip_prefix("logs/")?;
        let is_name = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        is_name.then(|| format!("/logs/{name}"))
    };
    let named = of_file::log(checkout, service, number)?.and_then(in_logs);
    Ok(named.unwrap_or_else(|| format!("/{}", services::log(service, number))))
}

/// The settings that a new `.env` names, set or not.
fn settings(checkout: &Checkout) -> Outcome<Vec<String>> {
    let template = "make/service.env";
    let text = fs::read_to_string(checkout.path(template)).context(format!("reading {template}"))?;
    let mut keys: Vec<String> = text.lines().filter_map(key).map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    Ok(keys)
}

/// The key of a line such as `#KEY=value`, `KEY=value` or `# KEY: its meaning`.
fn key(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['#', ' ']);
    let end = line.find(['=', ':'])?;
    let key = &line[..end];
    let is_key = key.len() > 2 && key.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
    is_key.then_some(key)
}

/// Fails for an address that in a container leads to the container itself.
fn must_be_reachable(service: &str, key: &str, url: &str) -> Outcome {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = after.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    if place.split(',').any(|server| LOOPBACK.iter().any(|host| server.starts_with(host))) {
        return Err(Failure::new(format!(
            "{key} of {service} leads to loopback, which in a container is itself"
        ))
        .remedy("name the host host.docker.internal, or leave the setting out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_loopback_address_is_refused_and_its_secret_is_not_told() {
        let refused = must_be_reachable("co", "DATABASE_URL", "postgres://co:secret@127.0.0.1:5432/d");
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with("DATABASE_URL of co leads to loopback") && !refused.contains("secret"));
        assert!(must_be_reachable("co", "NATS_URL", "nats://a:4222,localhost").is_err());
        for url in
            ["postgres://co:p@db.example/localhost", "nats://host.docker.internal:4222", "nats.example"]
        {
            must_be_reachable("co", "NATS_URL", url).unwrap();
        }
    }

    #[test]
    fn the_keys_of_a_template_are_read_set_or_not() {
        assert_eq!(key("#RETENTION=7d"), Some("RETENTION"));
        assert_eq!(key("LOG_FILE_NAME=logs/x"), Some("LOG_FILE_NAME"));
        assert_eq!(key("# NATS_URL: one server"), Some("NATS_URL"));
        for other in ["# Limits.", "", "# All settings, with their defaults: target"] {
            assert_eq!(key(other), None, "{other}");
        }
    }
    #[test]
    fn the_copy_that_the_file_names_has_the_log_of_the_file_in_the_folder_of_the_logs() -> Outcome {
        let root = std::env::temp_dir().join(format!("tpro-local-service-file-{}", std::process::id()));
        let of = |lines: &str, number: u32| -> Outcome<(String, String)> {
            let address = "DATABASE_URL=postgres://db.example/d\nNATS_URL=nats://nats.example\n\
                           OTEL_EXPORTER_OTLP_ENDPOINT=http://traces.example:4317\n";
            for (file, text) in
                [("make/service.env", "#SERVICE_VERSION=1.0\n"), ("services/co/Cargo.toml", "")]
            {
                let file = root.join(file);
                fs::create_dir_all(file.parent().unwrap_or(&root)).context("a folder")?;
                fs::write(file, text).context("a file")?;
            }
            fs::write(root.join("services/co/.env"), format!("{address}{lines}")).context("its settings")?;
            let mut settings = Settings::default();
            settings.set("RUNTIME", "docker");
            let text =
                text(&Checkout::open(root.clone(), settings)?, "co", number, "1.0", &KeyFiles::default())?;
            let value = |key: &str| tpro_dotenv::get(&text, key).unwrap_or_default();
            Ok((value("COPY_NUMBER"), value("LOG_FILE_NAME")))
        };
        let second = "COPY_NUMBER=2\nSERVICE_PORT=9000\nLOG_FILE_NAME=logs/mine.log\n";
        for (lines, number, log) in [
            (second, 2, "/logs/mine.log"),
            // The file says nothing of these.
            (second, 1, "/logs/co_service.log"),
            (second, 3, "/logs/co-3_service.log"),
            ("LOG_FILE_NAME=./logs/mine.log\n", 1, "/logs/mine.log"),
            ("LOG_FILE_NAME=logs/mine.log\n", 2, "/logs/co-2_service.log"),
            // The log of the first copy is left to it.
            ("COPY_NUMBER=2\nLOG_FILE_NAME=./logs/co_service.log\n", 2, "/logs/co-2_service.log"),
            // These places are not in the container.
            ("LOG_FILE_NAME=/var/log/mine.log\n", 1, "/logs/co_service.log"),
            ("LOG_FILE_NAME=logs/../mine.log\n", 1, "/logs/co_service.log"),
            ("LOG_FILE_NAME=logs/..\n", 1, "/logs/co_service.log"),
        ] {
            assert_eq!(of(lines, number)?, (number.to_string(), log.to_owned()), "{lines} copy {number}");
        }
        fs::remove_dir_all(&root).context("removing it")
    }
}
