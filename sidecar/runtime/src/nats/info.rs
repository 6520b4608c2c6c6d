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
    pub tls_available: bool,
    #[serde(default)]
    pub connect_urls: Vec<String>,
    #[serde(default, rename = "ldm")]
    pub lame: bool,
    /// A word to be signed by those who log in with a key.
    #[serde(default)]
    pub nonce: String,
}
