//! The surroundings of a service: its database, NATS and the trace viewer, where they are local.

use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::service_settings::{self, Told};
use crate::{chosen, cluster, extension, jaeger, nats, schema};

/// The service's database is there and runs. Only changes are told.
pub fn database(checkout: &Checkout, service: &str) -> Outcome {
    checkout.screen.hush();
    service_settings::write(checkout, service, Told::No)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_none() {
        cluster::up(checkout)?;
        extension::need(checkout)?;
        schema::make(checkout, service, Told::No)?;
        // The function that the example asks of the user's own application, unless it is there.
        if service == "analytic" {
            schema::demo(checkout)?;
        }
    }
    Ok(())
}

/// Everything that the service needs is there and runs.
pub fn all(checkout: &Checkout, service: &str) -> Outcome {
    database(checkout, service)?;
    let is_local = |key: &str| chosen::by_user(checkout, key, Some(service)).is_none();
    if is_local("NATS_URL") {
        nats::up(checkout)?;
    }
    if is_local("OTEL_EXPORTER_OTLP_ENDPOINT") {
        jaeger::up(checkout)?;
    }
    // Once more: the local addresses may be others than when the file was written.
    service_settings::write(checkout, service, Told::No)
}
