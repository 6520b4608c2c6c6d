//! A run of a Go handler.

use serde_json::Value;

/// One run, as its request told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// `example.simple`.
    pub method: String,
    /// The service that has asked.
    pub from_service: String,
    /// The number of the message there.
    pub mq_id: i64,
    /// All headers.
    pub headers: Value,
    /// The body.
    pub body: Value,
}
