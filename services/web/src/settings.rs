//! The settings of `web`.

use std::{path::PathBuf, time::Duration};

use crate::{hosts::Hosts, retry::Statuses};

/// The settings of `web`.
#[derive(tpro_sidecar::Settings)]
pub struct Settings {
    /// the hosts that may be asked, with commas between them: `*` (each host with a public
    /// address), `api.example.com`, `*.example.org`, `10.0.0.5`, each with `:port` if that is the
    /// only port. A host that is listed by its name or address may have a private address
    #[setting("WEB_HOSTS", default = "*")]
    pub hosts: Hosts,
    /// the most bytes of a response, headers and body
    #[setting("WEB_MAX_RESPONSE", default = "524288")]
    pub max_response: usize,
    /// the longest time of a request, where the message names none (`timeout_ms`)
    #[setting("WEB_TIMEOUT", default = "10s")]
    pub timeout: Duration,
    /// the most redirects that are followed; 0: a redirect is the response
    #[setting("WEB_REDIRECTS", default = "5")]
    pub redirects: u8,
    /// the statuses after which a request is sent again, with commas between them, or `none`
    #[setting("WEB_RETRY", default = "408,425,429,500,502,503,504")]
    pub retried: Statuses,
    /// a file with certificates of CAs (PEM) that are trusted beside those of the system
    #[setting("WEB_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}
