//! The surroundings of a service in containers: its database, NATS and the trace viewer, unless
//! they are the user's own.

use super::key_files::KeyFiles;
use super::{extension, jaeger, nats, postgres, schema};
use crate::checkout::Checkout;
use crate::chosen;
use crate::failure::Outcome;
use crate::service_settings::{self, Told};

/// The service's database is there and runs. Only changes are told.
pub fn database(checkout: &Checkout, service: &str) -> Outcome {
    checkout.screen.hush();
    service_settings::create(checkout, service, Told::No)?;
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_none() {
        postgres::up(checkout, false)?;
        extension::up(checkout)?;
        schema::make(checkout, service)?;
        if service == "analytic" {
            schema::demo(checkout)?;
        }
    }
    Ok(())
}

/// Everything that the service needs is there and runs.
pub fn all(checkout: &Checkout, service: &str) -> Outcome {
    // A file that cannot be handed to the service is told before anything is started for it.
    KeyFiles::of(checkout, service)?;
    database(checkout, service)?;
    let is_local = |key: &str| chosen::by_user(checkout, key, Some(service)).is_none();
    if is_local("NATS_URL") {
        nats::up(checkout, false)?;
    }
    if is_local("OTEL_EXPORTER_OTLP_ENDPOINT") {
        jaeger::up(checkout, false)?;
    }
    Ok(())
}
