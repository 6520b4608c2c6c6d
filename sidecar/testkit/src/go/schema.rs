//! The schema of a Go service.

use tokio_postgres::Client;

use crate::failure::{Context, Outcome};

/// Makes the schema of a Go service in a database, with an empty outbox.
pub async fn create_schema(admin: &Client, service: &str) -> Outcome {
    let schema = include_str!("schema.sql").replace("@schema@", &format!("{service}_service"));
    admin.batch_execute(&schema).await.context(format!("making the Go schema of {service}"))
}
