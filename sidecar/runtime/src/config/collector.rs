//! The address of the collector, and the sampling of traces.

use tonic::transport::Uri;

use super::reader::Reader;

/// The traces that are kept, as `OTEL_TRACES_SAMPLER` and its `_ARG` say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The share of new traces that are kept, 0.0 to 1.0.
    pub ratio: f64,
    /// True if a child follows its parent's flag (`parentbased_*`) instead of deciding by the trace
    /// id again.
    pub parent_based: bool,
}

impl Default for Sampling {
    /// `parentbased_always_on`, the default of the OpenTelemetry specification.
    fn default() -> Self {
        Self { ratio: 1.0, parent_based: true }
    }
}

pub(super) fn read(reader: &mut Reader) -> (Option<String>, Sampling, Option<String>) {
    let endpoint = reader.parsed("OTEL_EXPORTER_OTLP_ENDPOINT", None, |text| {
        let uri = text.parse::<Uri>().ok();
        match uri.as_ref().and_then(Uri::scheme_str) {
            Some("http") => Ok(Some(text.to_owned())),
            Some("https") => Err("TLS to the collector is still to come; use http://".into()),
            _ => {
                Err("must be the address of an OTLP collector that takes gRPC, such as http://127.0.0.1:4317"
                    .into())
            }
        }
    });
    let ratio = reader.parsed("OTEL_TRACES_SAMPLER_ARG", 1.0, |text| {
        let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "must be a share from 0.0 to 1.0".to_owned())
    });
    let sampler = reader.parsed("OTEL_TRACES_SAMPLER", Sampling::default(), |text| {
        let (parent_based, root) = match text.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, text),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio,
            _ => return Err(
                "must be always_on, always_off or traceidratio, or one of these with parentbased_ before it"
                    .into(),
            ),
        };
        Ok(Sampling { ratio, parent_based })
    });
    let public = reader.text("JAEGER_PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned());
    (endpoint, sampler, public)
}
