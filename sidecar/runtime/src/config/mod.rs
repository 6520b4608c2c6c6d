//! The configuration: environment over `services/<name>/.env`, parsed whole, all problems at once.
//!
//! This is the only code that reads the environment. A value that is set but empty counts as not
//! set, since the lines of an `.env` are commonly left empty.

mod collector;
mod database;
mod dispatch;
mod dsn;
mod from_setting;
mod key;
mod layers;
mod limits;
mod log;
mod maintenance;
mod nats;
mod nats_tls;
mod number;
mod origin;
mod own;
mod print;
mod problem;
mod reader;
mod reply_to;
mod secret;
mod settings;
mod span;
#[cfg(test)]
mod tests;
mod time;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tpro_wire::{name::ServiceName, responder::Responder, target::Target};

pub use self::{
    collector::Sampling,
    dispatch::Dispatch,
    from_setting::FromSetting,
    limits::Limits,
    log::{Format, LogSettings},
    maintenance::Maintenance,
    nats::NatsLogin,
    nats_tls::NatsTls,
    own::OwnSetting,
    problem::{Problem, Problems},
    secret::Secret,
    settings::Settings,
};
pub use self::{
    key::{ANY, KEYS},
    secret::without_secrets,
};
use self::{layers::Layers, print::Setting, reader::Reader};

/// The effective configuration of a sidecar.
#[derive(Clone, Debug)]
pub struct Config {
    /// `SERVICE_NAME`.
    pub service: ServiceName,
    /// `SERVICE_VERSION`, default `1.0`.
    pub version: String,
    /// `COPY_NUMBER`, default 1.
    pub copy: u32,
    /// `SERVICE_HOST`: the address for health, metrics and version, default `127.0.0.1`.
    pub host: String,
    /// `SERVICE_PORT`: health, metrics, version; on loopback. 0 takes a free one.
    pub port: u16,
    /// `DATABASE_URL` (or `PG*`).
    pub database: tokio_postgres::Config,
    /// `PGSSLMODE` and its files, or the parameters of the address: TLS to PostgreSQL.
    pub database_tls: tpro_tls::postgres::Tls,
    /// `DB_POOL_MAX`: connections for handlers, default 10.
    pub pool_max: usize,
    /// `NATS_URL`, comma-separated.
    pub nats_urls: Vec<String>,
    /// `NATS_TOKEN`, or `NATS_USER` and `NATS_PASSWORD`, or `NATS_CREDS`, or `NATS_NKEY`.
    pub nats_login: NatsLogin,
    /// `NATS_CA`, `NATS_CERT` and `NATS_KEY`, and the scheme of `NATS_URL`: TLS to NATS.
    pub nats_tls: NatsTls,
    /// `TPRO_SPACE`, default `tpro`.
    pub space: String,
    /// `REPLY_TO_PREFIX`: with the label of a row behind it, the subject of its published reply.
    pub reply_to_prefix: String,
    /// `TPRO_SHARE_SERVICE`: copies on another database may serve under this name, default no.
    pub shares: bool,
    /// `GO_CHECK`: nothing is sent to a service before it is known that the Go system does not
    /// answer for it, default yes.
    pub go_check: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`; none turns tracing off.
    pub otlp_endpoint: Option<String>,
    /// `OTEL_TRACES_SAMPLER` and its `_ARG`: the traces that are kept.
    pub sampling: Sampling,
    /// `JAEGER_PUBLIC_URL`: the address at which people look at traces, for printed links.
    pub jaeger_public_url: Option<String>,
    /// `LOG_FILE_NAME`; none logs to stdout only.
    pub log_file: Option<PathBuf>,
    /// The other settings of the log.
    pub log: LogSettings,
    /// `CORE_DUMPS`: a crash may write the memory to a file, default no.
    pub core_dumps: bool,
    /// `STOP_TIMEOUT`: the longest wait of a graceful stop for handlers and replies, default 25 s.
    pub stop_timeout: Duration,
    /// The bounds; each has a metric.
    pub limits: Limits,
    /// The timing of the dispatcher.
    pub dispatch: Dispatch,
    /// The settings of the maintenance.
    pub maintenance: Maintenance,
    /// Oddities that do not prevent the start.
    pub warnings: Vec<String>,
    /// All settings as they took effect, for printing.
    settings: Vec<Setting>,
    layers: Arc<Layers>,
}

impl Config {
    /// Reads the configuration of this service. `service` is the name in its code, or [`ANY`];
    /// `own` are the settings that it declares.
    pub fn load(service: &str, own: &[OwnSetting]) -> Result<Self, Problems> {
        Self::from_layers(service, own, Layers::read(service))
    }

    /// The configuration of an environment that is given, without a file: tests use it in place of
    /// the environment of the process.
    pub fn given(
        service: &str,
        own: &[OwnSetting],
        environment: &[(String, String)],
    ) -> Result<Self, Problems> {
        let pairs: Vec<_> = environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Self::from_layers(service, own, Layers::of(&pairs, None))
    }

    fn from_layers(code_name: &str, own: &[OwnSetting], layers: Layers) -> Result<Self, Problems> {
        let mut reader = Reader::new(layers);
        let service = service_name(&mut reader, code_name);
        let version = reader.parsed("SERVICE_VERSION", "1.0".to_owned(), version);
        let copy = reader.number("COPY_NUMBER", 1, 1..=u32::MAX);
        let host = reader.parsed("SERVICE_HOST", "127.0.0.1".to_owned(), host);
        let port = reader.number("SERVICE_PORT", 8080, 0..=u16::MAX);
        let database = database::read(&mut reader);
        let pool_max = reader.number("DB_POOL_MAX", 10, 1..=1000);
        let (nats_urls, nats_login) = nats::read(&mut reader);
        let nats_tls = nats_tls::read(&mut reader, &nats_urls);
        let space = reader.parsed("TPRO_SPACE", "tpro".to_owned(), space);
        let reply_to_prefix = reply_to::read(&mut reader, &space);
        let shares = reader.parsed("TPRO_SHARE_SERVICE", false, yes_or_no);
        let go_check = reader.parsed("GO_CHECK", true, yes_or_no);
        let (otlp_endpoint, sampling, jaeger_public_url) = collector::read(&mut reader);
        let (log_file, log) = log::read(&mut reader);
        let core_dumps = reader.parsed("CORE_DUMPS", false, yes_or_no);
        let stop_timeout = reader.seconds("STOP_TIMEOUT", 25, 0..=3600);
        let limits = limits::read(&mut reader);
        let dispatch = dispatch::read(&mut reader);
        let maintenance = maintenance::read(&mut reader);
        own.iter().for_each(|own| reader.own(own));
        let (layers, mut settings, warnings) = reader.finish(own)?;
        settings.iter_mut().for_each(|setting| setting.is_default_of("SERVICE_NAME", code_name));
        // The reader found no problem, so both are there. A missing one without a problem is a
        // problem too.
        let (Some(service), Some((database, database_tls)), Some(nats_tls)) = (service, database, nats_tls)
        else {
            return Err(Problems::default());
        };
        Ok(Self {
            service,
            version,
            copy,
            host,
            port,
            database,
            database_tls,
            pool_max,
            nats_urls,
            nats_login,
            nats_tls,
            space,
            reply_to_prefix,
            shares,
            go_check,
            otlp_endpoint,
            sampling,
            jaeger_public_url,
            log_file,
            log,
            core_dumps,
            stop_timeout,
            limits,
            dispatch,
            maintenance,
            warnings,
            settings,
            layers: Arc::new(layers),
        })
    }

    /// A setting of the service's own, from the environment or the file as all others; none if it
    /// is not set.
    pub fn own(&self, key: &str) -> Option<&str> {
        self.layers.find(key).map(|found| found.value)
    }

    /// The settings that a service declares as a type. They were checked when the configuration was
    /// loaded with them, so an error says that they were not declared.
    pub fn settings<P: Settings>(&self) -> Result<P, String> {
        let declared = P::declared();
        P::read(&|key| {
            let default = declared.iter().find(|own| own.key == key).map_or("", |own| own.default);
            self.own(key).unwrap_or(default).to_owned()
        })
    }

    /// The effective configuration, a line each, without secrets.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.settings.iter().map(ToString::to_string)
    }

    /// The name of this copy in replies.
    pub fn responder(&self) -> Responder {
        Responder { service: self.service.clone(), version: self.version.clone(), copy: self.copy }
    }

    /// A configuration for tests: the smallest environment that is complete.
    #[cfg(test)]
    pub fn sample(more: &[(&str, &str)]) -> Self {
        let mut environment = vec![("DATABASE_URL", "postgresql://main:secret@127.0.0.1:5432/tpro")];
        environment.extend_from_slice(more);
        Self::from_layers("main", &[], Layers::of(&environment, None))
            .unwrap_or_else(|problems| panic!("{problems}"))
    }
}

fn service_name(reader: &mut Reader, code_name: &str) -> Option<ServiceName> {
    let name = reader.parsed("SERVICE_NAME", None, |text| {
        if code_name != ANY && text != code_name {
            return Err(format!(
                "this is the program of service `{code_name}`; remove the line or start the other program"
            ));
        }
        ServiceName::parse(text).map(Some).map_err(|e| e.to_string())
    });
    // Without the setting the name in the code counts. A bad name in the code is still a problem of
    // this key.
    name.or_else(|| match ServiceName::parse(code_name) {
        Ok(name) => Some(name),
        // It is set, and that it is no name is a problem already.
        Err(_) if code_name == ANY && reader.find("SERVICE_NAME").is_some() => None,
        Err(_) if code_name == ANY => {
            let text = "must be set: this program serves any service whose handlers are in SQL".to_owned();
            reader.problem(Problem::unset("SERVICE_NAME", text));
            None
        }
        Err(error) => {
            reader.problem(Problem::unset("SERVICE_NAME", format!("`{code_name}` in the code: {error}")));
            None
        }
    })
}

fn version(text: &str) -> Result<String, String> {
    let any = ServiceName::parse("main").map_err(|e| e.to_string())?;
    Responder::new(any, text, 1).map(|responder| responder.version).map_err(|e| e.to_string())
}

fn host(text: &str) -> Result<String, String> {
    let address = text.parse::<std::net::IpAddr>();
    address.map(|_| text.to_owned()).map_err(|_| "must be an address such as 127.0.0.1 or 0.0.0.0".to_owned())
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("must be yes or no".to_owned()),
    }
}

fn space(text: &str) -> Result<String, String> {
    Target::new(text, "main", "e", "m").map(|target| target.space().to_owned()).map_err(|_| {
        "must be a small letter followed by at most 39 small letters, digits or underscores".to_owned()
    })
}
