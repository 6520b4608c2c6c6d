//! The address of the database: `--database-url` or `DATABASE_URL`. `PG*` fill in what it leaves
//! out.
//!
//! The rules are those of the services.

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tpro_tls::parameters::{self, Parameters};
use tpro_tls::postgres::Tls;

use crate::dsn;
use crate::problem::Problem;
use crate::time;

/// The folder of the socket where Debian's libpq looks when nobody names a host.
const SOCKET_DIRECTORY: &str = "/var/run/postgresql";
const UNSET: &str = "set DATABASE_URL=postgresql://user:password@host:port/database, or PGHOST, PGPORT, PGUSER, PGPASSWORD and \
                     PGDATABASE; in a checkout of tpro: eval \"$(make env)\"";

/// The address of a database.
pub struct Address {
    /// The parameters of the connection.
    pub config: Config,
    /// TLS, by the settings of libpq.
    pub tls: Tls,
    /// The address without the password.
    pub shown: String,
    /// The setting that it comes from.
    pub origin: &'static str,
}

impl Address {
    /// Reads the option and the environment. An empty value counts as not set.
    pub fn read(option: Option<&str>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Problem> {
        let variable = |name: &str| {
            environment(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let url = match option {
            Some(url) => Some(("--database-url", url.trim().to_owned())),
            None => variable("DATABASE_URL").map(|url| ("DATABASE_URL", url)),
        };
        let (origin, mut config, of_tls) = match url {
            Some((origin, url)) => {
                let (rest, of_tls) = parameters::take(&url);
                let config =
                    dsn::read(&rest).map_err(|rule| Problem::usage(format!("{origin} {rule}"), ""))?;
                (origin, config, of_tls)
            }
            None if ["PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE"]
                .iter()
                .all(|name| variable(name).is_none()) =>
            {
                return Err(Problem::usage("no database is given", UNSET));
            }
            None => ("PG*", Config::new(), Parameters::default()),
        };
        fill_in(&mut config, &variable)?;
        let tls = tpro_tls::postgres::read(of_tls, &variable);
        let tls = tls.map_err(|problem| Problem::usage(format!("{origin}: {problem}"), ""))?;
        if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1
            && config.get_target_session_attrs() == TargetSessionAttrs::Any
        {
            // Several hosts are a primary and its standbys. Only the primary knows the leaders.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let shown = shown(&config);
        Ok(Self { config, tls, shown, origin })
    }
}

/// The parts that the URL leaves out, from `PG*`.
fn fill_in(config: &mut Config, variable: &impl Fn(&str) -> Option<String>) -> Result<(), Problem> {
    let bad = |name: &str, value: &str, rule: &str| Problem::usage(format!("{name}={value}: {rule}"), "");
    if let Some(user) = variable("PGUSER").filter(|_| config.get_user().is_none()) {
        config.user(user);
    }
    if let Some(password) = variable("PGPASSWORD").filter(|_| config.get_password().is_none()) {
        config.password(password);
    }
    if let Some(name) = variable("PGDATABASE").filter(|_| config.get_dbname().is_none()) {
        config.dbname(name);
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        let host = variable("PGHOST");
        let address = variable("PGHOSTADDR");
        if let Some(text) = &address {
            let address = text.parse::<IpAddr>();
            config.hostaddr(address.map_err(|_| bad("PGHOSTADDR", text, "must be an IP address"))?);
        }
        if host.is_some() || address.is_none() {
            config.host(host.unwrap_or_else(|| SOCKET_DIRECTORY.to_owned()));
        }
    }
    if config.get_ports().is_empty() {
        let text = variable("PGPORT").unwrap_or_else(|| "5432".to_owned());
        let port = text.parse().ok().filter(|port| *port > 0);
        config.port(port.ok_or_else(|| bad("PGPORT", &text, "must be a whole number from 1 to 65535"))?);
    }
    if config.get_connect_timeout().is_none() {
        let text = variable("PGCONNECT_TIMEOUT").unwrap_or_else(|| "5".to_owned());
        let limit = time::seconds(&text).filter(|limit| (1..=300).contains(limit));
        let limit = limit.ok_or_else(|| bad("PGCONNECT_TIMEOUT", &text, "must be a time from 1s to 300s"))?;
        config.connect_timeout(Duration::from_secs(limit.unsigned_abs()));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    Ok(())
}

/// The address without the password.
fn shown(config: &Config) -> String {
    let user = config.get_user().map_or(String::new(), |user| format!("{user}@"));
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
    let place = |(n, host)| format!("{host}:{}", ports.get(n).or(ports.first()).copied().unwrap_or(5432));
    let places: Vec<String> = hosts.iter().enumerate().map(place).collect();
    format!("postgresql://{user}{}/{}", places.join(","), config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(option: Option<&str>, variables: &[(&str, &str)]) -> Result<Address, Problem> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Address::read(option, find)
    }

    #[test]
    fn the_option_goes_before_the_environment_and_pg_variables_fill_in() {
        let environment =
            [("DATABASE_URL", "postgresql://main@two/app"), ("PGPASSWORD", "canary"), ("PGPORT", "99")];
        let address = read(Some("postgresql://ann@one"), &environment).unwrap();
        assert_eq!(
            (address.shown.as_str(), address.origin),
            ("postgresql://ann@one:5432/", "--database-url")
        );
        assert_eq!(address.config.get_password(), Some("canary".as_bytes()));
        let address = read(None, &environment).unwrap();
        assert_eq!(
            (address.shown.as_str(), address.origin),
            ("postgresql://main@two:5432/app", "DATABASE_URL")
        );
        let address = read(None, &[("PGDATABASE", "app"), ("DATABASE_URL", " ")]).unwrap();
        assert_eq!(address.shown, "postgresql:///var/run/postgresql:5432/app");
    }

    #[test]
    fn of_several_hosts_the_primary_is_asked() {
        let address = read(Some("postgresql://a@one:1,two:2/app"), &[]).unwrap();
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(address.shown, "postgresql://a@one:1,two:2/app");
    }

    #[test]
    fn a_setting_that_is_wrong_is_named_and_no_password_is_shown() {
        for (variables, words) in [
            (vec![], "no database is given"),
            (vec![("PGHOST", "db"), ("PGPORT", "x"), ("PGPASSWORD", "canary")], "PGPORT=x: must be"),
            (vec![("PGHOST", "db"), ("PGPORT", "0")], "PGPORT=0"),
            (vec![("PGHOSTADDR", "db")], "PGHOSTADDR=db: must be an IP"),
            (
                vec![("PGHOST", "db"), ("PGSSLMODE", "verify-full")],
                "PGSSLMODE=verify-full: needs sslrootcert",
            ),
            (
                vec![("PGHOST", "db"), ("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "/none/ca.pem")],
                "PGSSLROOTCERT=/none/ca.pem: there is no file of this name",
            ),
            (vec![("PGHOST", "db"), ("PGCONNECT_TIMEOUT", "never")], "PGCONNECT_TIMEOUT=never"),
            (
                vec![("DATABASE_URL", "postgresql://a:canary@db/x?sslmode=on")],
                "DATABASE_URL: sslmode=on: must be",
            ),
            (vec![("DATABASE_URL", "mysql://a:canary@db/x")], "DATABASE_URL must be postgresql://"),
        ] {
            let problem = read(None, &variables).err().expect(words).to_string();
            assert!(problem.contains(words) && !problem.contains("canary"), "{problem}");
        }
    }
}
