//! The wish of a handler to be asked again later.

use std::time::Duration;

use tpro_wire::RpcError;

/// The wish of a handler.
pub(super) struct Later {
    /// Not before this time is over.
    pub(super) after: Duration,
    /// The end of the message if its budget does not suffice.
    pub(super) error: RpcError,
}
