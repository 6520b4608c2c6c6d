//! The settings of a command: the variables of its environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use crate::digest;
use crate::failure::{Failure, Outcome, fail};
use crate::say::Screen;

/// Variables that `make env` sets and that a shell may still hold.
const OF_MAKE_ENV: [&str; 6] =
    ["DATABASE_URL", "NATS_URL", "NATS_TOKEN", "NATS_USER", "NATS_PASSWORD", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Settings whose names Kubernetes and Docker give to their links, too.
const PORTS: [&str; 6] =
    ["PG_PORT", "NATS_PORT", "NATS_MONITOR_PORT", "OTLP_PORT", "JAEGER_PORT", "SERVICE_PORT"];

/// Settings that the `.env` of the checkout may hold: how and where everything runs.
const OF_CHECKOUT: [&str; 12] = [
    "RUNTIME",
    "BASE_IMAGE",
    "BINARIES",
    "BIND",
    "BUILD_IMAGE",
    "DCAPE_NET",
    "JAEGER_IMAGE",
    "MODE",
    "NATS_IMAGE",
    "PG",
    "POSTGRES_IMAGE",
    "PROJECT_NAME",
];

/// Reads the number of a copy.
pub fn copy_number(value: &str) -> Outcome<u32> {
    let digits = value.len() <= 4 && value.bytes().all(|c| c.is_ascii_digit());
    match value.parse().ok().filter(|_| digits && !value.starts_with('0')) {
        Some(number) => Ok(number),
        None => fail(format!("COPY_NUMBER={}: a copy has a number from 1 to 9999", shortened(value))),
    }
}

/// The variables, as programs get them that are started here.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    variables: BTreeMap<OsString, OsString>,
}

impl Settings {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// Takes settings from the `.env` of the checkout, which may not be there. The environment
    /// wins.
    pub fn take_file(&mut self, path: &Path) {
        let Ok(text) = fs::read_to_string(path) else { return };
        for key in OF_CHECKOUT {
            let value = tpro_dotenv::get(&text, key).filter(|value| !value.is_empty());
            if let Some(value) = value.filter(|_| self.get(key).is_none()) {
                self.set(key, value);
            }
        }
    }

    /// A value. A blank one counts as not set, as in the programs.
    pub fn get(&self, key: &str) -> Option<String> {
        let value = self.variables.get(OsStr::new(key))?.to_string_lossy();
        (!value.trim().is_empty()).then(|| value.into_owned())
    }

    /// True if the setting says yes.
    pub fn is_yes(&self, key: &str) -> bool {
        self.get(key).as_deref() == Some("yes")
    }

    /// Sets a variable.
    pub fn set(&mut self, key: &str, value: impl Into<OsString>) {
        self.variables.insert(key.into(), value.into());
    }

    /// Takes a variable away.
    pub fn remove(&mut self, key: &str) {
        self.variables.remove(OsStr::new(key));
    }

    /// All variables.
    pub fn all(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(key, value)| (key.as_os_str(), value.as_os_str()))
    }

    /// The setting, which must be a whole number. `told_as` is its name for the person.
    pub fn whole_number(&self, key: &str, default: u64, told_as: &str) -> Outcome<u64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let digits = value.len() <= 9 && value.bytes().all(|c| c.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits && (value == "0" || !value.starts_with('0')));
        number.ok_or_else(|| {
            Failure::new(format!("{told_as}={}", shortened(&value)))
                .remedy("this is not a whole number from 0 to 999999999")
        })
    }

    /// COPY_NUMBER, if it is given.
    pub fn copy_number(&self) -> Outcome<Option<u32>> {
        self.get("COPY_NUMBER").map(|value| copy_number(&value)).transpose()
    }

    /// Takes away what is no choice of the user's.
    ///
    /// A shell that ran `eval "$(make env)"` carries the local addresses in its environment; its
    /// DATABASE_URL is that of main. `make env` lists their digests, by which they are known.
    pub fn forget_leftovers(&mut self, screen: &Screen) {
        let ours = self.get("MAKE_ENV_DIGESTS").unwrap_or_default();
        for key in OF_MAKE_ENV {
            let value = self.get(key);
            if value.is_some_and(|value| is_listed(&ours, &digest::short(&format!("{key}={value}")))) {
                self.remove(key);
            }
        }
        // Kubernetes and Docker tell the address of a service called `nats` by
        // NATS_PORT=tcp://10.0.0.1:4222.
        for key in PORTS {
            let Some(value) = self.get(key) else { continue };
            if ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme)) {
                let value: String = value.chars().take(60).collect();
                screen.note_aside(format!(
                    "{key}={value} is a service link of Kubernetes or Docker and no setting of ours: it is set aside"
                ));
                self.remove(key);
            }
        }
        // The program would read that file, make another.
        if self.get("ENV_FILE").is_some() {
            screen.note_aside(
                "ENV_FILE is for programs that are started by hand: make goes by services/NAME/.env",
            );
            self.remove("ENV_FILE");
        }
    }
}

fn is_listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

/// The beginning of a value, for a message.
pub fn shortened(value: &str) -> String {
    value.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        pairs.iter().for_each(|(key, value)| settings.set(key, *value));
        settings
    }

    #[test]
    fn numbers_are_whole_and_others_are_refused_by_name() {
        let number = |value| of(&[("LOAD_SECONDS", value)]).whole_number("LOAD_SECONDS", 7, "SECONDS");
        assert_eq!(number("").unwrap(), 7);
        assert_eq!(number("0").unwrap(), 0);
        assert_eq!(number("999999999").unwrap(), 999_999_999);
        for wrong in ["01", "-1", "1.5", "1000000000", "a[$(touch pwned)]", "+1"] {
            let refused = number(wrong).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("SECONDS={wrong}: ")), "{refused}");
        }
        let copy = |value| of(&[("COPY_NUMBER", value)]).copy_number();
        assert_eq!(copy(" ").unwrap(), None);
        assert_eq!(copy("9999").unwrap(), Some(9999));
        for wrong in ["0", "01", "10000", "+1", "x"] {
            assert!(copy(wrong).unwrap_err().to_string().contains("COPY_NUMBER"), "{wrong}");
        }
    }

    #[test]
    fn the_file_of_the_checkout_says_how_all_runs_and_the_environment_wins() {
        let path = std::env::temp_dir().join(format!("tpro-local-checkout-{}", std::process::id()));
        fs::write(&path, "RUNTIME=docker\nMODE=test\nPATH=/nowhere\n").unwrap();
        let mut settings = of(&[("MODE", "rel")]);
        settings.take_file(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(settings.get("RUNTIME").as_deref(), Some("docker"));
        assert_eq!((settings.get("MODE").as_deref(), settings.get("PATH")), (Some("rel"), None));
    }

    #[test]
    fn leftovers_of_make_env_and_links_are_set_aside_and_choices_stay() {
        let mark = digest::short("NATS_URL=nats://127.0.0.1:1");
        let mut settings = of(&[
            ("NATS_URL", "nats://127.0.0.1:1"),
            ("DATABASE_URL", "postgres://mine"),
            ("MAKE_ENV_DIGESTS", &format!("0123456789 {mark}")),
            ("NATS_PORT", "tcp://10.0.0.1:4222"),
            ("PG_PORT", "5432"),
            ("ENV_FILE", "/nowhere"),
        ]);
        settings.forget_leftovers(&Screen::new(|_| None));
        assert_eq!(settings.get("NATS_URL"), None);
        assert_eq!(settings.get("DATABASE_URL").as_deref(), Some("postgres://mine"));
        assert_eq!(settings.get("NATS_PORT"), None);
        assert_eq!(settings.get("PG_PORT").as_deref(), Some("5432"));
        assert_eq!(settings.get("ENV_FILE"), None);
    }
}
