//! The words of a server about itself.

use serde::Deserialize;

/// The part of a server's `INFO` that is needed here.
#[derive(Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub max_payload: usize,
    #[serde(default)]
    pub tls_required: bool,
    #[serde(default)]
    pub connect_urls: Vec<String>,
    #[serde(default, rename = "ldm")]
    pub lame: bool,
}
