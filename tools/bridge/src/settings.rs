//! The settings: the environment over the file that `ENV_FILE` names. All problems are told at
//! once.

mod source;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use tpro_wire::{ServiceName, Target};

use self::source::Source;

/// A setting: its name, its default, its meaning.
type Key = (&'static str, &'static str, &'static str);

/// All settings, in the order in which they are printed.
#[rustfmt::skip]
const KEYS: &[Key] = &[
    ("OLD_NATS_URL", "", "the NATS server of the Go system, or several with commas between"),
    ("OLD_NATS_TOKEN", "", "the token to log in there"),
    ("OLD_NATS_USER", "", "or the user"),
    ("OLD_NATS_PASSWORD", "", "and the password"),
    ("OLD_NATS_CA", "", "TLS: the file of the CAs that its certificate may be of"),
    ("OLD_NATS_CERT", "", "the file of the certificate that it is shown"),
    ("OLD_NATS_KEY", "", "and of its key"),
    ("NATS_URL", "", "the NATS server of tpro, or several with commas between"),
    ("NATS_TOKEN", "", "the token to log in there"),
    ("NATS_USER", "", "or the user"),
    ("NATS_PASSWORD", "", "and the password"),
    ("NATS_CA", "", "TLS: the file of the CAs that its certificate may be of"),
    ("NATS_CERT", "", "the file of the certificate that it is shown"),
    ("NATS_KEY", "", "and of its key"),
    ("TPRO_SPACE", "tpro", "the first token of every subject"),
    ("OLD_SERVICES", "", "the services that have not moved, with commas between: main,co"),
    ("NEW_SERVICES", "", "the services that have moved: analytic"),
    ("OLD_BUDGET", "30", "seconds that a request of the Go system may take, which it does not tell"),
    ("REPLY_TO_PREFIX", "$$.nats-pwl-reply.", "the subject of a reply to a label: this, then the label"),
    ("COPY_NUMBER", "1", "tells the copies of the bridge apart"),
    ("SERVICE_HOST", "127.0.0.1", "the address of /healthz, /readyz and /metrics"),
    ("SERVICE_PORT", "8090", "and its port; 0 takes a free one"),
    ("LOG_FILE_NAME", "", "a log file instead of stdout"),
    ("STOP_TIMEOUT", "35", "seconds that a stop may wait for messages in hand"),
];

/// The login at a server.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// No login.
    None,
    /// A token.
    Token(String),
    /// A user and the password.
    User(String, String),
}

/// One of the two servers.
#[derive(Clone)]
pub struct Server {
    /// The beginning of its settings' names.
    prefix: &'static str,
    /// Its readiness check.
    pub check: &'static str,
    /// Its addresses.
    pub urls: Vec<String>,
    /// The login.
    pub login: Login,
    /// The file of the CAs that its certificate may be of.
    pub ca: Option<PathBuf>,
    /// The files of the certificate that it is shown, and of the key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Server {
    /// The name of one of its settings.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The settings that the login is from, for messages.
    pub fn keys(&self) -> String {
        match self.login {
            Login::None | Login::Token(_) => self.key("NATS_TOKEN"),
            Login::User(..) => format!("{}, {}", self.key("NATS_USER"), self.key("NATS_PASSWORD")),
        }
    }
}

/// The effective settings.
#[derive(Clone)]
pub struct Settings {
    /// The server of the Go system.
    pub old: Server,
    /// The server of tpro.
    pub new: Server,
    /// The first token of every subject.
    pub space: String,
    /// The services that have not moved.
    pub old_services: Vec<ServiceName>,
    /// The services that have moved.
    pub new_services: Vec<ServiceName>,
    /// The budget of a request of the Go system.
    pub old_budget: Duration,
    /// The subject before the label of a published reply.
    pub reply_to_prefix: String,
    /// The number of this copy.
    pub copy: u32,
    /// The address of health and metrics.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The log file.
    pub log_file: Option<PathBuf>,
    /// The longest wait of a stop.
    pub stop_timeout: Duration,
    lines: Vec<String>,
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = "tpro-bridge: carries messages between the NATS of the Go system and the NATS of tpro\n\n\
                    tpro-bridge [--check | --help | --version]\n\n\
                    Settings, from the environment or from the file of ENV_FILE:\n"
        .to_owned();
    for (name, default, meaning) in KEYS {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        text.push_str(&format!("  {name:<18} {meaning}{default}\n"));
    }
    text
}

impl Settings {
    /// Reads them. The error has a line for each problem.
    pub fn load() -> Result<Self, Vec<String>> {
        Self::read(Source::of_process(KEYS))
    }

    fn read(mut source: Source) -> Result<Self, Vec<String>> {
        let old = server(&mut source, "OLD_", "old_nats");
        let new = server(&mut source, "", "nats");
        if old.urls == new.urls && old.login == new.login && !old.urls.is_empty() {
            source.problem("OLD_NATS_URL", "is the address and the login of NATS_URL: a request of tpro ends a Go copy on the same server. Give the Go system a server, or an account, of its own");
        }
        let space = source.text("TPRO_SPACE");
        if Target::new(&space, "main", "e", "m").is_err() {
            source.problem(
                "TPRO_SPACE",
                "must be a small letter followed by at most 39 small letters, digits or underscores",
            );
        }
        let old_services = services(&mut source, "OLD_SERVICES");
        let new_services = services(&mut source, "NEW_SERVICES");
        if let Some(both) = old_services.iter().find(|service| new_services.contains(service)) {
            source.problem(
                "NEW_SERVICES",
                &format!("{both} is in OLD_SERVICES, too: a service has moved or it has not"),
            );
        }
        let prefix = source.text("REPLY_TO_PREFIX");
        if !is_prefix(&prefix) {
            source.problem("REPLY_TO_PREFIX", "must be tokens of a subject, each with a dot behind it");
        }
        let settings = Self {
            old,
            new,
            space,
            old_services,
            new_services,
            old_budget: Duration::from_secs(source.number("OLD_BUDGET", 1, 86_400)),
            reply_to_prefix: prefix,
            copy: u32::try_from(source.number("COPY_NUMBER", 1, 9999)).unwrap_or(1),
            host: source.text("SERVICE_HOST"),
            port: u16::try_from(source.number("SERVICE_PORT", 0, 65_535)).unwrap_or(0),
            log_file: Some(source.text("LOG_FILE_NAME")).filter(|path| !path.is_empty()).map(PathBuf::from),
            stop_timeout: Duration::from_secs(source.number("STOP_TIMEOUT", 0, 3600)),
            lines: source.lines(),
        };
        let problems = source.problems();
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// The effective settings, a line each, without secrets.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

fn server(source: &mut Source, prefix: &'static str, check: &'static str) -> Server {
    let key = |name: &str| format!("{prefix}{name}");
    let urls = source.required(&key("NATS_URL"));
    let urls: Vec<String> =
        urls.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect();
    let good = |url: &String| url.parse::<async_nats::ServerAddr>().is_ok() && !url.contains('@');
    if !urls.iter().all(good) {
        source.problem(&key("NATS_URL"), "must be one address or several with commas between, such as nats://127.0.0.1:4222, without a login");
    }
    let mut given = |name: &str| Some(source.text(&key(name))).filter(|text| !text.is_empty());
    let (token, user, password) = (given("NATS_TOKEN"), given("NATS_USER"), given("NATS_PASSWORD"));
    let ca = given("NATS_CA").map(PathBuf::from);
    let (certificate, of_key) = (given("NATS_CERT"), given("NATS_KEY"));
    let login = match (token, user, password) {
        (None, None, None) => Login::None,
        (Some(token), None, None) => Login::Token(token),
        (None, Some(user), Some(password)) => Login::User(user, password),
        _ => {
            source.problem(&key("NATS_TOKEN"), "give one login: the token alone, or both user and password");
            Login::None
        }
    };
    if certificate.is_some() != of_key.is_some() {
        source.problem(&key("NATS_CERT"), "a certificate has a key: give both files");
    }
    let certificate = certificate.zip(of_key).map(|(one, other)| (one.into(), other.into()));
    Server { prefix, check, urls, login, ca, certificate }
}

fn services(source: &mut Source, key: &str) -> Vec<ServiceName> {
    let text = source.text(key);
    let mut services = BTreeSet::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match ServiceName::parse(name) {
            Ok(service) => drop(services.insert(service.as_str().to_owned())),
            Err(error) => source.problem(key, &format!("{name}: {error}")),
        }
    }
    services.iter().filter_map(|name| ServiceName::parse(name).ok()).collect()
}

fn is_prefix(text: &str) -> bool {
    let token = |token: &str| {
        !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$-".contains(&b))
    };
    text.strip_suffix('.').is_some_and(|tokens| tokens.split('.').all(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 4] = [
        ("OLD_NATS_URL", "nats://127.0.0.1:4221"),
        ("OLD_NATS_TOKEN", "secret"),
        ("NATS_URL", "nats://127.0.0.1:4222"),
        ("OLD_SERVICES", "main, co"),
    ];

    fn read(more: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        Settings::read(Source::of(KEYS, &[&ALL[..], more].concat()))
    }

    #[test]
    fn settings_are_read_and_no_secret_is_shown() {
        let settings = read(&[("NEW_SERVICES", "analytic")]).unwrap_or_else(|p| panic!("{p:?}"));
        let names = |services: &[ServiceName]| services.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&settings.old_services), ["co", "main"]);
        assert_eq!(names(&settings.new_services), ["analytic"]);
        assert_eq!(settings.old_budget, Duration::from_secs(30));
        let lines = settings.lines().join("\n");
        assert!(lines.contains("OLD_NATS_TOKEN=*** (environment)") && !lines.contains("secret"), "{lines}");
        assert!(help().contains("OLD_BUDGET"));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = read(&[
            ("NEW_SERVICES", "co,No"),
            ("NATS_USER", "main"),
            ("OLD_BUDGET", "soon"),
            ("REPLY_TO_PREFIX", "a.>"),
        ]);
        let problems = problems.err().expect("problems").join("\n");
        for key in ["NEW_SERVICES", "NATS_TOKEN", "OLD_BUDGET", "REPLY_TO_PREFIX"] {
            assert!(problems.contains(key), "{key}: {problems}");
        }
        let same = read(&[("OLD_NATS_URL", ALL[2].1), ("NATS_TOKEN", "secret")]).err().expect("a problem");
        assert!(same[0].contains("the address and the login of NATS_URL"), "{same:?}");
        let none = Settings::read(Source::of(KEYS, &[])).err().expect("problems");
        assert_eq!(none.len(), 2, "{none:?}");
    }
}
