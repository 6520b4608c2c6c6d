//! Connections to PostgreSQL, with TLS or without.

use std::sync::Arc;

use tokio_postgres::{
    CancelToken, Client, Config, Connection, Error, Socket,
    config::{Host, SslMode},
    error::SqlState,
};

use super::{connector::Maker, mode::Mode, words};
use crate::{settings::Settings, stream::Stream};

/// TLS to PostgreSQL, as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    mode: Mode,
    settings: Arc<Settings>,
}

impl Tls {
    pub(crate) fn new(mode: Mode, settings: Arc<Settings>) -> Self {
        Self { mode, settings }
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Connects.
    ///
    /// [`Mode::Prefer`] tries once more without TLS when it comes to nothing, or when the server
    /// takes this login only without.
    pub async fn connect(
        &self,
        config: &Config,
    ) -> Result<(Client, Connection<Socket, Stream<Socket>>), Error> {
        let mut config = config.clone();
        self.apply(&mut config);
        let first = match config.connect(self.maker()).await {
            Err(error) if config.get_ssl_mode() == SslMode::Prefer && is_about_tls(&error) => error,
            result => return result,
        };
        let second = config.ssl_mode(SslMode::Disable).connect(self.maker()).await;
        second.map_err(|second| if is_about_tls(&second) { first } else { second })
    }

    /// Cancels the statement that runs on a connection.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), Error> {
        token.cancel_query(self.maker()).await
    }

    fn maker(&self) -> Maker {
        Maker(self.settings.clone())
    }

    fn apply(&self, config: &mut Config) {
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        let sockets = !config.get_hosts().is_empty() && config.get_hosts().iter().all(is_socket);
        config.ssl_mode(match self.mode {
            // Nobody listens on the way to a socket of this host.
            _ if sockets => SslMode::Disable,
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        if self.mode != Mode::Disable && config.get_hosts().is_empty() {
            // The address is the name, for a server that has no other.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
    }
}

/// True if the error may be another one without TLS, or with it.
fn is_about_tls(error: &Error) -> bool {
    let refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    refused || words::failure(error).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parameters, postgres};

    fn applied(address: &str) -> (SslMode, Vec<Host>) {
        let (rest, parameters) = parameters::take(address);
        let mut config: Config = rest.parse().expect("it is an address");
        postgres::read(parameters, |_| None).expect("it is right").apply(&mut config);
        (config.get_ssl_mode(), config.get_hosts().to_vec())
    }

    #[test]
    fn the_driver_is_told_the_mode_and_a_name() {
        let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(applied("host=db"), (SslMode::Disable, tcp("db")));
        assert_eq!(applied("host=db sslmode=prefer"), (SslMode::Prefer, tcp("db")));
        assert_eq!(applied("hostaddr=10.0.0.1 sslmode=require"), (SslMode::Require, tcp("10.0.0.1")));
        assert_eq!(applied("host=/run sslmode=require").0, SslMode::Disable);
    }
}
