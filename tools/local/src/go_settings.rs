//! The `.env` of the Go system, converted once into one of tpro.

use tpro_dotenv::go::{self, Now};
use tpro_dotenv::{Line, quoted};

/// A converted file, and a line for people about each key that has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The new text.
    pub text: String,
    /// The fate of each key. No value of a secret is in it.
    pub notes: Vec<String>,
}

/// The number that counts as "all" where the Go system has 0 for it.
const ALL_BACKUPS: &str = "10000";
/// The days that count as "for ever".
const FOR_EVER: &str = "36500";
/// The port of OTLP over gRPC.
const OTLP: u16 = 4317;

/// Converts the text of a file, under a line that heads the new one. Comments and keys that nobody
/// knows stay as they are.
pub fn convert(old: &str, heading: &str) -> Converted {
    let mut new = Converted::default();
    new.line(heading);
    for line in tpro_dotenv::without_mark(old).lines() {
        match tpro_dotenv::read(line) {
            Line::Set(key, value) => new.setting(old, line, key, &value),
            Line::Nothing | Line::Malformed => new.line(line),
        }
    }
    new
}

impl Converted {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// A key under its new name.
    fn put(&mut self, old: &str, new: &str, value: &str) {
        self.line(&format!("{new}={}", quoted(value)));
        self.note(format!("{old} is {new} now"));
    }

    /// A key that goes.
    fn gone(&mut self, key: &str, reason: &str) {
        self.note(format!("{key} is gone: {reason}"));
    }

    fn setting(&mut self, file: &str, line: &str, key: &str, value: &str) {
        match (key, go::now(key)) {
            // An empty value is none, there and here.
            (_, Some(_)) if value.is_empty() => {}
            ("DB_POOL_MAX", _) if value == "0" => {
                self.gone(key, "0 was the number of processors; the default holds")
            }
            ("SERVICE_PORT", _) => {
                self.line(line);
                if value.parse().is_ok_and(|port: u16| (1..1024).contains(&port)) {
                    self.note(format!(
                        "SERVICE_PORT={value} stays: health and metrics are there now, and a port below 1024 needs root"
                    ));
                }
            }
            ("DB_USER", Some(Now::Is(new))) => {
                self.put(key, new, value);
                self.note(
                    "PGUSER needs the roles NAME_sidecar and NAME_publisher: sql/from_go.sql grants them",
                );
            }
            ("URL_NATS", Some(Now::Is(new))) => self.nats(key, new, value),
            ("JAEGER_HOST", Some(Now::Is(new))) => self.put(key, new, &format!("http://{value}:{OTLP}")),
            ("TYPE_JAEGER", _) => self.sampler(value, &parameter(file)),
            // With its type.
            ("PARAM_JAEGER", _) => {}
            ("DEBUG", Some(Now::Is(new))) => {
                self.put(key, new, if value == "true" { "debug" } else { "info" });
            }
            ("MAX_BACKUPS", Some(Now::Is(new))) if value == "0" => self.put(key, new, ALL_BACKUPS),
            ("MAX_AGE", Some(Now::Is(new))) if value == "0" => self.put(key, new, FOR_EVER),
            ("COMPRESS", Some(Now::Is(new))) => {
                self.put(key, new, if value == "true" { "yes" } else { "no" });
            }
            (_, Some(Now::Is(new))) => self.put(key, new, value),
            (_, Some(Now::Gone(reason))) => self.gone(key, reason),
            (_, Some(Now::OfCheckout)) => {
                self.note(format!(
                    "{key} goes into the .env of the checkout, for RUNTIME=docker: {key}={value}"
                ));
            }
            (_, None) => self.line(line),
        }
    }

    /// The address of NATS. A login in it gets settings of its own.
    fn nats(&mut self, old: &str, new: &str, value: &str) {
        let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
        let Some((login, host)) = rest.rsplit_once('@') else { return self.put(old, new, value) };
        let address = if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") };
        self.put(old, new, &address);
        match login.split_once(':') {
            Some((user, password)) => {
                self.line(&format!("NATS_USER={}", quoted(user)));
                self.line(&format!("NATS_PASSWORD={}", quoted(password)));
                self.note("the login in URL_NATS is NATS_USER and NATS_PASSWORD now");
            }
            None => {
                self.line(&format!("NATS_TOKEN={}", quoted(login)));
                self.note("the token in URL_NATS is NATS_TOKEN now");
            }
        }
    }

    fn sampler(&mut self, kind: &str, parameter: &str) {
        const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
        match (kind, parameter) {
            ("const", "0") => self.put("TYPE_JAEGER", SAMPLER, "parentbased_always_off"),
            ("const", _) => self.put("TYPE_JAEGER", SAMPLER, "parentbased_always_on"),
            ("probabilistic", share) => {
                self.put("TYPE_JAEGER", SAMPLER, "parentbased_traceidratio");
                self.put("PARAM_JAEGER", "OTEL_TRACES_SAMPLER_ARG", share);
            }
            (other, _) => {
                self.gone("TYPE_JAEGER", &format!("there is no sampler {other}; all traces are kept"));
            }
        }
    }
}

/// The parameter of the sampler. It may stand before the type or behind it.
fn parameter(file: &str) -> String {
    tpro_dotenv::get(file, "PARAM_JAEGER").filter(|value| !value.is_empty()).unwrap_or_else(|| "1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the Go system's users have it.
    const OLD: &str = "\
# the service
SERVICE_NAME=main
COPY_NUMBER=2
SERVICE_PORT=82
LOG_FILE_NAME=./logs/main_service.log
SERVICE_VERSION=2.72
DB_POOL_MAX=0
DB_HOST=db.example.org
DB_PORT=5432
DB_NAME=app
DB_USER=app
DB_PASSWORD=pa$$word#1
URL_NATS=nats.example.org
TOKEN_NATS=hush hush
TOTAL_WAIT_NATS=9
RECON_DELAY_NATS=1
JAEGER_HOST=jaeger
JAEGER_PORT=6831
PARAM_JAEGER=0.5
TYPE_JAEGER=probabilistic
LOG_SPANS_JAEGER=true
DEBUG=true
MAX_SIZE=1
MAX_BACKUPS=0
MAX_AGE=0
COMPRESS=true
TIMEOUT_STOP=60
MODE=local
PROJECT_NAME=tpro
OWN_SETTING=7
";

    #[test]
    fn each_key_of_the_go_system_becomes_one_of_tpro_or_is_told() {
        let new = convert(OLD, "# heading");
        let lines: Vec<&str> = new.text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "# the service",
                "SERVICE_NAME=main",
                "COPY_NUMBER=2",
                "SERVICE_PORT=82",
                "LOG_FILE_NAME=./logs/main_service.log",
                "SERVICE_VERSION=2.72",
                "PGHOST=db.example.org",
                "PGPORT=5432",
                "PGDATABASE=app",
                "PGUSER=app",
                "PGPASSWORD='pa$$word#1'",
                "NATS_URL=nats.example.org",
                "NATS_TOKEN='hush hush'",
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4317",
                "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG=0.5",
                "RUST_LOG=debug",
                "LOG_MAX_SIZE_MB=1",
                "LOG_MAX_BACKUPS=10000",
                "LOG_MAX_AGE_DAYS=36500",
                "LOG_COMPRESS=yes",
                "STOP_TIMEOUT=60",
                "OWN_SETTING=7",
            ]
        );
        let notes = new.notes.join("\n");
        assert!(!notes.contains("pa$$word") && !notes.contains("hush"), "{notes}");
        for key in ["DB_HOST is PGHOST now", "JAEGER_PORT is gone", "MODE goes into", "SERVICE_PORT=82 stays"]
        {
            assert!(notes.contains(key), "{key}: {notes}");
        }
        // A converted file is not converted again.
        assert!(go::is_of_go(OLD) && !go::is_of_go(&new.text));
    }

    #[test]
    fn logins_in_the_address_and_samplers_without_a_counterpart() {
        let of = |line: &str| convert(line, "#").text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            of("URL_NATS=nats://go:s@cret@nats.example.org:4222"),
            ["NATS_URL=nats://nats.example.org:4222", "NATS_USER=go", "NATS_PASSWORD=s@cret"]
        );
        assert_eq!(
            of("URL_NATS=nats://t0ken@nats.example.org"),
            ["NATS_URL=nats://nats.example.org", "NATS_TOKEN=t0ken"]
        );
        assert_eq!(of("TYPE_JAEGER=const\nPARAM_JAEGER=0"), ["OTEL_TRACES_SAMPLER=parentbased_always_off"]);
        assert_eq!(of("TYPE_JAEGER=const"), ["OTEL_TRACES_SAMPLER=parentbased_always_on"]);
        assert!(of("TYPE_JAEGER=remote\nTOKEN_NATS=\n").is_empty());
    }
}
