//! The settings of the Go system that tpro replaces, and the settings of tpro that say it now.
//!
//! A program names the new key for an old one, and the local installation converts a file.

/// The fate of an old setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// Another setting says it.
    Is(&'static str),
    /// Nothing says it. The reason is a part of a sentence.
    Gone(&'static str),
    /// It is a setting of the checkout: of its own `.env`, for `RUNTIME=docker`.
    OfCheckout,
}

/// The old settings that have another fate than their own names.
#[rustfmt::skip]
const SETTINGS: &[(&str, Now)] = &[
    ("DB_HOST", Now::Is("PGHOST")),
    ("DB_PORT", Now::Is("PGPORT")),
    ("DB_NAME", Now::Is("PGDATABASE")),
    ("DB_USER", Now::Is("PGUSER")),
    ("DB_PASSWORD", Now::Is("PGPASSWORD")),
    ("URL_NATS", Now::Is("NATS_URL")),
    ("TOKEN_NATS", Now::Is("NATS_TOKEN")),
    ("TOTAL_WAIT_NATS", Now::Gone("a copy tries to connect for as long as it takes")),
    ("RECON_DELAY_NATS", Now::Gone("a copy tries to connect at least every two seconds")),
    ("JAEGER_HOST", Now::Is("OTEL_EXPORTER_OTLP_ENDPOINT")),
    ("JAEGER_PORT", Now::Gone("traces go to port 4317 of OTEL_EXPORTER_OTLP_ENDPOINT, which Jaeger has from 1.35 on")),
    ("TYPE_JAEGER", Now::Is("OTEL_TRACES_SAMPLER")),
    ("PARAM_JAEGER", Now::Is("OTEL_TRACES_SAMPLER_ARG")),
    ("LOG_SPANS_JAEGER", Now::Gone("it had no effect")),
    ("DEBUG", Now::Is("RUST_LOG")),
    ("MAX_SIZE", Now::Is("LOG_MAX_SIZE_MB")),
    ("MAX_BACKUPS", Now::Is("LOG_MAX_BACKUPS")),
    ("MAX_AGE", Now::Is("LOG_MAX_AGE_DAYS")),
    ("COMPRESS", Now::Is("LOG_COMPRESS")),
    ("TIMEOUT_STOP", Now::Is("STOP_TIMEOUT")),
    ("MODE", Now::OfCheckout),
    ("PROJECT_NAME", Now::OfCheckout),
    ("DCAPE_NET", Now::OfCheckout),
    ("DC_VERSION", Now::Gone("the compose of the machine is taken")),
    ("DCAPE_DB", Now::Gone("the address of the database says it")),
];

/// The fate of an old setting. None for a name that the Go system did not have, and for one that is
/// the same.
pub fn now(key: &str) -> Option<Now> {
    SETTINGS.iter().find(|(old, _)| *old == key).map(|(_, now)| *now)
}

/// True if a file holds settings of the Go system: its address of NATS, or of its database.
pub fn is_of_go(text: &str) -> bool {
    ["URL_NATS", "DB_HOST"].iter().any(|key| super::get(text, key).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_setting_has_a_fate_and_a_new_one_has_none() {
        assert_eq!(now("URL_NATS"), Some(Now::Is("NATS_URL")));
        assert_eq!(now("MODE"), Some(Now::OfCheckout));
        for same in ["SERVICE_NAME", "COPY_NUMBER", "LOG_FILE_NAME", "DB_POOL_MAX", "NATS_URL"] {
            assert_eq!(now(same), None, "{same}");
        }
        assert!(is_of_go("SERVICE_NAME=main\nURL_NATS=nats.example.org\n"));
        assert!(!is_of_go("# URL_NATS=x\nNATS_URL=nats://127.0.0.1:4222\n"));
    }
}
