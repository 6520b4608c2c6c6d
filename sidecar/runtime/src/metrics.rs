//! The page of counters and gauges that `http` prints, and the labels that parts share.
//!
//! It lists nobody: each part registers its own counts, and `boot` hands the registry round.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use crate::config::Config;

/// One label that tells the causes of an event apart: `{reason="queue"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// The cause, one of a few words of ours.
    pub reason: &'static str,
}

/// One of the bounds: `{limit="handlers"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitName {
    /// As in the configuration, in small letters.
    limit: &'static str,
}

/// A registry in which every name begins with `tpro_`.
pub fn registry() -> Registry {
    Registry::with_prefix("tpro")
}

/// Registers `tpro_build_info{service="...", ...} 1`, which says who reports, and the configured
/// bounds.
pub fn register_config(registry: &mut Registry, config: &Config) {
    let who = vec![
        ("service", config.service.to_string()),
        ("version", config.version.clone()),
        ("copy", config.copy.to_string()),
    ];
    registry.register("build", "Who reports", Info::new(who));
    let limits = Family::<LimitName, Gauge>::default();
    for (limit, bound) in config.limits.bounds().into_iter().chain([("pool", config.pool_max)]) {
        limits.get_or_create(&LimitName { limit }).set(i64::try_from(bound).unwrap_or(i64::MAX));
    }
    registry.register("limit", "The configured bounds", limits);
}

/// The text for Prometheus.
pub fn print(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_who_reports_and_what_the_bounds_are() {
        let mut registry = registry();
        register_config(&mut registry, &Config::sample(&[("HANDLERS_MAX", "7")]));
        let page = print(&registry).unwrap();
        assert!(page.contains("tpro_build_info{service=\"main\",version=\"1.0\",copy=\"1\"} 1"), "{page}");
        assert!(page.contains("tpro_limit{limit=\"handlers\"} 7"), "{page}");
        assert!(page.ends_with("# EOF\n"));
    }
}
