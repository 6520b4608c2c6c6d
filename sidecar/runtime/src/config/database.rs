//! The address of PostgreSQL and the login: `DATABASE_URL`, and `PG*` for the parts that it leaves
//! out, as libpq has it.

use std::{net::IpAddr, time::Duration};

use tokio_postgres::config::{Host, TargetSessionAttrs};
use tpro_tls::{parameters::Parameters, postgres::Tls};

use super::{dsn, key, origin::Origin, print::Setting, problem::Problem, reader::Reader};

/// The folder where Debian's libpq looks when no host is named.
const SOCKET_DIRECTORY: &str = "/var/run/postgresql";
/// Variables of libpq that somebody may rely on.
const UNREAD: [&str; 9] = [
    "PGSERVICE",
    "PGPASSFILE",
    "PGOPTIONS",
    "PGTARGETSESSIONATTRS",
    "PGCHANNELBINDING",
    "PGSSLNEGOTIATION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLMINPROTOCOLVERSION",
];

pub(super) fn read(reader: &mut Reader) -> Option<(tokio_postgres::Config, Tls)> {
    let url = reader.find("DATABASE_URL").map(|found| (dsn::read(found.value), found.origin));
    let (mut config, of_tls, origin) = match url {
        Some((Ok((config, of_tls)), origin)) => (config, of_tls, origin),
        Some((Err(rule), origin)) => {
            reader.problem(Problem::bad("DATABASE_URL", origin, None, rule));
            return None;
        }
        None if ["PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE"]
            .into_iter()
            .all(|key| reader.find(key).is_none()) =>
        {
            let rule = "not set; give the database as postgresql://user:password@host:port/database, or by PGHOST, \
                        PGPORT, PGUSER, PGPASSWORD and PGDATABASE";
            reader.problem(Problem::unset("DATABASE_URL", rule));
            return None;
        }
        None => (tokio_postgres::Config::new(), Parameters::default(), Origin::Default),
    };
    fill_in(reader, &mut config);
    let tls = tls(reader, of_tls, &origin);
    if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1
        && config.get_target_session_attrs() == TargetSessionAttrs::Any
    {
        // Several hosts are a primary and its standbys; a sidecar can only work with the primary.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    reader.setting(Setting::new("DATABASE_URL", &shown(&config), origin));
    Some((config, tls?))
}

/// Reads the settings of TLS. A problem is told under the name that the value has.
fn tls(reader: &mut Reader, of_address: Parameters, origin: &Origin) -> Option<Tls> {
    let mut problem = match tpro_tls::postgres::read(of_address, |key| reader.text(key)) {
        Ok(tls) => return Some(tls),
        Err(problem) => problem,
    };
    let variable = key::find(problem.setting).map(|key| key.name);
    let problem = match variable.and_then(|key| Some((key, reader.find(key)?.origin))) {
        Some((key, origin)) => Problem::bad(key, origin, Some(problem.value), problem.rule),
        None => {
            problem.rule.push_str(" (a parameter of the address)");
            Problem::bad("DATABASE_URL", origin.clone(), None, problem.to_string())
        }
    };
    reader.problem(problem);
    None
}

/// Takes the parts that the URL leaves out from `PG*`.
fn fill_in(reader: &mut Reader, config: &mut tokio_postgres::Config) {
    let host = reader.text("PGHOST");
    let hostaddr = reader.parsed("PGHOSTADDR", None, |text| {
        text.parse::<IpAddr>().map(Some).map_err(|_| "must be an IP address".to_owned())
    });
    let (user, password, dbname) =
        (reader.text("PGUSER"), reader.text("PGPASSWORD"), reader.text("PGDATABASE"));
    if let Some(user) = user.filter(|_| config.get_user().is_none()) {
        config.user(user);
    }
    if let Some(password) = password.filter(|_| config.get_password().is_none()) {
        config.password(password);
    }
    if let Some(dbname) = dbname.filter(|_| config.get_dbname().is_none()) {
        config.dbname(dbname);
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        if let Some(address) = hostaddr {
            config.hostaddr(address);
        }
        if host.is_some() || hostaddr.is_none() {
            config.host(host.unwrap_or_else(|| SOCKET_DIRECTORY.to_owned()));
        }
    }
    let port = reader.number("PGPORT", 5432, 1..=u16::MAX);
    if config.get_ports().is_empty() {
        config.port(port);
    }
    let timeout = reader.seconds("PGCONNECT_TIMEOUT", 5, 1..=300);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(timeout);
    }
    if config.get_tcp_user_timeout().is_none() {
        // A server that is gone without a word is noticed by unanswered data within this time ...
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    // ... and while nothing is said, by keepalives. The kernel's default is two hours.
    config.keepalives(true).keepalives_idle(Duration::from_secs(5));
    config.keepalives_interval(Duration::from_secs(2)).keepalives_retries(3);
    for unread in UNREAD {
        if reader.is_in_environment(unread) {
            reader.warn(format!("{unread} (environment) is not read; say it in DATABASE_URL"));
        }
    }
}

/// The address without the password.
fn shown(config: &tokio_postgres::Config) -> String {
    let user = config.get_user().unwrap_or("");
    let password = if config.get_password().is_some() { ":***" } else { "" };
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let ports = config.get_ports();
    let places: Vec<_> = hosts
        .iter()
        .enumerate()
        .map(|(n, host)| {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            format!("{host}:{port}")
        })
        .collect();
    let at = if user.is_empty() && password.is_empty() { "" } else { "@" };
    format!("postgresql://{user}{password}{at}{}/{}", places.join(","), config.get_dbname().unwrap_or(""))
}
