//! The collector: its address, and a look if it is there.

use std::{sync::Arc, time::Duration};

use tonic::transport::Endpoint;

use super::{EXPORT_TIMEOUT, TelemetryError};
use crate::config::{Config, without_secrets};

/// The longest time for the collector to say that it is there.
const GREETING: Duration = Duration::from_secs(2);

/// Asks the collector at the start if it is there. The answer is only a line in the log: traces are
/// never a reason not to work.
pub async fn check_collector(config: Arc<Config>) {
    let Some(address) = &config.otlp_endpoint else {
        tracing::info!("tracing is off: OTEL_EXPORTER_OTLP_ENDPOINT is not set");
        return;
    };
    let problem = match endpoint(address) {
        Ok(endpoint) => match tokio::time::timeout(GREETING, endpoint.connect()).await {
            Ok(Ok(_)) => {
                tracing::info!("jaeger health-check OK");
                return;
            }
            Ok(Err(error)) => deepest(&error),
            Err(_) => format!("no answer within {} s", GREETING.as_secs()),
        },
        Err(error) => error.to_string(),
    };
    let address = without_secrets(address);
    tracing::warn!(
        "the trace collector at {address} is not reachable ({problem}); the service works without"
    );
}

/// The cause at the bottom: tonic's own text is "transport error".
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The collector's address with the limits of a channel to it.
pub(super) fn endpoint(address: &str) -> Result<Endpoint, TelemetryError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(TelemetryError::Endpoint)?;
    // The exporter's own channel has no limit on connecting: a black hole would hold the export
    // thread for minutes.
    Ok(endpoint.connect_timeout(EXPORT_TIMEOUT).timeout(EXPORT_TIMEOUT))
}
