//! The state of the service: its clients, and the limits of a request.

use std::time::Duration;

use reqwest::{Client, redirect::Policy};

use crate::{
    hosts::{Hosts, Reach},
    resolver::PublicAddresses,
    retry::Statuses,
    settings::Settings,
    tls::{self, TlsError},
};

/// The name of this program to those that it asks.
const USER_AGENT: &str = concat!("tpro-web/", env!("CARGO_PKG_VERSION"));
/// The time after which a connection that nobody uses is closed. Many servers close theirs after a
/// minute, and a request on a connection that is just being closed is lost.
const IDLE: Duration = Duration::from_secs(30);
/// The connections to a host that are kept while nobody uses them.
const IDLE_MAX: usize = 16;

/// The state of the service.
pub struct Web {
    /// Connects to public addresses only.
    public: Client,
    /// Connects to all addresses, for hosts that are listed. The two share no connection.
    all: Client,
    pub(crate) hosts: Hosts,
    pub(crate) max_response: usize,
    pub(crate) redirects: u8,
    pub(crate) timeout: Duration,
    pub(crate) retried: Statuses,
}

/// The reason why the state cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

impl Web {
    /// Makes the clients.
    ///
    /// # Errors
    ///
    /// If the file of certificates cannot be taken.
    pub fn new(settings: Settings) -> Result<Self, WebError> {
        let tls = tls::config(settings.ca_file.as_deref())?;
        // A proxy of the environment would resolve names by itself, past our rules. A redirect is
        // judged here, and so is the size of a body, which is why nothing is decompressed.
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .user_agent(USER_AGENT)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_MAX)
        };
        Ok(Self {
            public: builder().dns_resolver(PublicAddresses).build()?,
            all: builder().build()?,
            hosts: settings.hosts,
            max_response: settings.max_response,
            redirects: settings.redirects,
            timeout: settings.timeout,
            retried: settings.retried,
        })
    }

    /// The client for a host of this reach.
    pub(crate) fn client(&self, reach: Reach) -> &Client {
        match reach {
            Reach::Public => &self.public,
            Reach::All => &self.all,
        }
    }
}
