//! The table of all settings. `--help` lists it, it marks secrets, and an unknown key is compared
//! with it.

use super::secret::without_secrets;
use crate::spelling;

/// The name in the code of a program that serves any service: `SERVICE_NAME` says which.
pub const ANY: &str = "";

/// One setting.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The value that holds when nobody sets it, in words where it is no value; empty for none.
    pub default: &'static str,
    /// Its meaning, in a few words.
    pub help: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Never shown.
    Secret,
    /// Addresses, shown without a login.
    Address,
    /// The path of a file, shown unless it looks like its content.
    File,
}

const fn plain(name: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, default, help, kind: Kind::Plain }
}

const fn secret(name: &'static str, help: &'static str) -> Key {
    Key { name, default: "", help, kind: Kind::Secret }
}

const fn file(name: &'static str, help: &'static str) -> Key {
    Key { name, default: "", help, kind: Kind::File }
}

const fn address(name: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, default, help, kind: Kind::Address }
}

/// All settings, in the order in which they are printed.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    plain("ENV_FILE", "services/<name>/.env", "the file of settings (else .env here); the environment wins over it"),
    plain("SERVICE_NAME", "", "the name of the service; a program of one service knows its own"),
    plain("SERVICE_VERSION", "1.0", "the version in /version, in replies and in spans"),
    plain("COPY_NUMBER", "1", "tells the copies of a service apart"),
    plain("SERVICE_HOST", "127.0.0.1", "the address of /healthz, /readyz, /metrics and /version"),
    plain("SERVICE_PORT", "8080", "and its port; 0 takes a free one"),
    secret("DATABASE_URL", "PostgreSQL: postgresql://user:password@host:port/database; PG* variables fill in what it leaves out"),
    plain("PGHOST", "", "host of PostgreSQL, a name, an address or the directory of a socket"),
    plain("PGHOSTADDR", "", "its address, when the name shall not be looked up"),
    plain("PGPORT", "5432", "its port"),
    plain("PGUSER", "", "the login role"),
    secret("PGPASSWORD", "its password"),
    plain("PGDATABASE", "", "the database"),
    plain("PGSSLMODE", "disable", "TLS to it: disable, prefer, require, verify-ca or verify-full, as libpq has them"),
    file("PGSSLROOTCERT", "the file of the CAs that its certificate may be of, or system for those of this host"),
    file("PGSSLCERT", "the file of the certificate that it is shown"),
    file("PGSSLKEY", "and of its key, which only its owner may read"),
    plain("PGCONNECT_TIMEOUT", "5", "seconds one connection may take to be made"),
    plain("DB_POOL_MAX", "10", "connections for handlers"),
    address("NATS_URL", "nats://127.0.0.1:4222", "one NATS server or several with commas between; tls:// for TLS"),
    secret("NATS_TOKEN", "the token to log in to NATS"),
    plain("NATS_USER", "", "or the user to log in as"),
    secret("NATS_PASSWORD", "and the password"),
    file("NATS_CREDS", "or the file of credentials (a JWT with its NKEY), which only its owner may read"),
    file("NATS_NKEY", "or the file of an NKEY's seed, which only its owner may read"),
    file("NATS_CA", "TLS to NATS: the file of the CAs that its certificate may be of; else those of this host"),
    file("NATS_CERT", "the file of the certificate that it is shown"),
    file("NATS_KEY", "and of its key, which only its owner may read"),
    plain("TPRO_SPACE", "tpro", "the first token of every subject"),
    plain("REPLY_TO_PREFIX", "$$.nats-pwl-reply.", "the subject of a reply that is published to the label of its row (reply_to): this, then the label"),
    plain("TPRO_SHARE_SERVICE", "no", "yes: copies on another database may serve this service in this space, if they say so too"),
    plain("GO_CHECK", "yes", "before the first message to a service, ask if the Go system answers for it, and send it nothing then; no: nobody is asked"),
    address("OTEL_EXPORTER_OTLP_ENDPOINT", "", "the trace collector, OTLP over gRPC, http://host:4317; not set: no tracing"),
    plain("OTEL_TRACES_SAMPLER", "parentbased_always_on", "the sampler of traces"),
    plain("OTEL_TRACES_SAMPLER_ARG", "1.0", "the share that traceidratio keeps"),
    address("JAEGER_PUBLIC_URL", "", "the address at which people look at traces, for printed links"),
    plain("RUST_LOG", "info", "what is logged"),
    plain("LOG_FORMAT", "text", "text or json"),
    plain("LOG_FILE_NAME", "", "a log file beside stdout"),
    plain("LOG_MAX_SIZE_MB", "20", "size at which the log file is put aside"),
    plain("LOG_MAX_BACKUPS", "5", "files put aside that are kept"),
    plain("LOG_MAX_AGE_DAYS", "14", "and the days that they are kept"),
    plain("LOG_COMPRESS", "no", "yes: files put aside are compressed (gzip)"),
    plain("CORE_DUMPS", "no", "yes: a crash may write the memory, with bodies and passwords in it, to a core file"),
    plain("STOP_TIMEOUT", "25", "seconds a graceful stop may wait for handlers and replies"),
    plain("HANDLERS_MAX", "256", "handlers at work at once, and an eighth more for messages above priority 0; beyond it the answer is `overloaded`"),
    plain("LANE_MAX", "1024", "messages in flight per target service"),
    plain("IN_FLIGHT_MAX", "4096", "messages in flight in total"),
    plain("IN_FLIGHT_MAX_MB", "16", "their bodies, in MiB"),
    plain("RUNS_MAX", "5", "runs of one message before it is answered as an error"),
    plain("REPLY_MAX", "900000", "bytes of an answer"),
    plain("HOPS_MAX", "16", "services a chain of calls may pass through"),
    plain("REPLY_HANDLER_TIMEOUT", "30", "seconds a reply handler may take"),
    plain("RETENTION", "7d", "time that a message is kept after it was settled"),
    plain("PARTITION_ROWS", "1000000", "ids in a partition of outbox and replies; old ones are dropped by partitions"),
    plain("INBOX_WINDOW", "3d", "age at which a message is refused as stale, and beyond which the inbox forgets it"),
    plain("MAINTENANCE_INTERVAL", "60", "seconds between looks at the partitions; 0: only by the subcommand `maintain`"),
    plain("POLL_INTERVAL_MS", "5000", "the slow poll behind the bell; 0 turns it off"),
    plain("PARK_AFTER_MS", "50", "time with few messages after which the dispatcher sleeps"),
    plain("ATTEMPT_TIMEOUT_MS", "5000", "wait for a reply, or the word that it is at work, before sending again; a copy says that word twice in this time"),
    plain("PAGE_ROWS", "500", "outbox rows per read"),
    plain("LEAD_INTERVAL_MS", "500", "pause between tries of a follower to lead"),
    plain("HEARTBEAT_MS", "5000", "longest pause of the leader between two statements"),
];

/// A variable of the environment that begins with one of these is meant for a sidecar.
const PREFIXES: &[&str] = &[
    "SERVICE_",
    "COPY_",
    "DATABASE_",
    "DB_",
    "NATS_",
    "TPRO_",
    "REPLY_TO_",
    "LOG_",
    "CORE_",
    "STOP_",
    "HANDLERS_",
    "LANE_",
    "IN_FLIGHT_",
    "OTEL_TRACES_",
    "OTEL_EXPORTER_OTLP_E",
];

/// Names with these prefixes that others set: `make env`, and the addresses that Docker and
/// Kubernetes put into the environment for a service that happens to be called `nats` or `db`.
fn is_others(name: &str) -> bool {
    name == "NATS_MONITOR_URL"
        || ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"].iter().any(|end| name.ends_with(end))
        || ["_SERVICE_PORT_", "_PORT_"].iter().any(|part| name.contains(part))
}

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// True if its value must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    find(name).is_none_or(|key| key.kind == Kind::Secret)
}

/// The value as it may be shown.
pub(super) fn shown(name: &str, value: &str) -> String {
    match find(name).map(|key| key.kind) {
        Some(Kind::Plain) => value.to_owned(),
        // As a whole: a password may hold the comma that separates addresses.
        Some(Kind::Address) => without_secrets(value),
        Some(Kind::File) => tpro_tls::shown(value).to_owned(),
        Some(Kind::Secret) | None => "***".to_owned(),
    }
}

/// True if a setting of the service's own holds a secret. Only its name tells.
pub(super) fn sounds_secret(name: &str) -> bool {
    ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL", "URL"]
        .iter()
        .any(|part| name.contains(part))
}

/// True if a variable of the environment looks as if it were meant for a sidecar.
pub(super) fn looks_like_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !is_others(name)
}

/// The known setting, of tpro or of the service, that is nearest to this name, if one is near.
pub(super) fn nearest(own: impl Iterator<Item = &'static str>, name: &str) -> Option<&'static str> {
    spelling::nearest(KEYS.iter().map(|key| key.name).chain(own), &name.to_ascii_uppercase())
}
