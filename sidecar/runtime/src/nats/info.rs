//! The words of a server about itself.

use serde::Deserialize;
use serde_json::{Map, Value};

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

/// The fields about TLS.
const OF_TLS: [&str; 3] = ["tls_required", "tls_verify", "tls_available"];

/// The words without those about TLS. None if they have none. TLS ends at the guard, and the client
/// library must not ask the guard for it.
pub(super) fn without_tls(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(text, b"\"tls_")?;
    let mut fields: Map<String, Value> = serde_json::from_slice(text).ok()?;
    fields.retain(|name, _| !OF_TLS.contains(&name.as_str()));
    serde_json::to_vec(&fields).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_library_hears_nothing_of_tls() {
        let text = br#"{"server_id":"x","tls_required":true,"tls_verify":true,"max_payload":9,"nonce":"y"}"#;
        let passed = without_tls(text).expect("it has words about TLS");
        let fields: Value = serde_json::from_slice(&passed).expect("it is JSON");
        assert_eq!(fields, serde_json::json!({"server_id": "x", "max_payload": 9, "nonce": "y"}));
        assert_eq!(without_tls(br#"{"max_payload":9}"#), None);
    }
}
