//! The error of a JSON-RPC answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The codes that tpro uses. JSON-RPC 2.0 (section 5.1) reserves -32768 to -32000, and leaves
/// -32099 to -32000 of them to implementations: there are tpro's own. A service's own errors should
/// use other numbers.
pub mod code {
    /// The request is not JSON.
    pub const PARSE: i64 = -32700;
    /// The request is JSON, but no JSON-RPC 2.0 request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The service does not have the method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The body does not fit the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The service failed. The reason is in its log, under the trace.
    pub const INTERNAL: i64 = -32603;
    /// Nobody runs the service.
    pub const UNAVAILABLE: i64 = -32001;
    /// No answer within the budget.
    pub const TIMEOUT: i64 = -32002;
    /// The time was over before the message was sent.
    pub const EXPIRED: i64 = -32003;
    /// The message was called off.
    pub const CANCELLED: i64 = -32004;
    /// The uid is too old or from the future, so the service cannot tell the message from a repeat.
    pub const STALE: i64 = -32005;
    /// The body or the reply is larger than the wire carries.
    pub const TOO_LARGE: i64 = -32006;
    /// The chain of calls is too long.
    pub const HOPS: i64 = -32007;
    /// The service takes no more work.
    pub const OVERLOADED: i64 = -32008;
    /// The reply cannot be read or cannot be stored.
    pub const BAD_REPLY: i64 = -32009;
    /// No copy of the service understands the version that the request speaks.
    pub const UNSUPPORTED: i64 = -32010;
    /// The handler asks to be asked again later, and the budget does not suffice.
    pub const LATER: i64 = -32011;
    /// The stream does not keep the event.
    pub const STREAM: i64 = -32012;
    /// Another request of its batch has failed, and the whole batch with it.
    pub const BATCH: i64 = -32013;
}

/// A JSON-RPC 2.0 error object: `{"code":-32601,"message":"method not found","data":...}`.
///
/// Its debug form leaves out the data, which is a body and belongs in no log.
///
/// ```
/// # use tpro_wire as tpro_sidecar;
/// use tpro_sidecar::RpcError;
///
/// let error = RpcError::new(7, "no more seats");
/// assert_eq!(error.to_json(), r#"{"code":7,"message":"no more seats"}"#);
/// ```
#[derive(Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The kind of the error: one of [`code`], or the service's own.
    pub code: i64,
    /// One sentence for a person.
    pub message: String,
    /// More about it, as the service sees fit; any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The error as JSON text.
    pub fn to_json(&self) -> String {
        // Numbers, text and raw JSON into memory: nothing here can fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl PartialEq for RpcError {
    fn eq(&self, other: &Self) -> bool {
        let data = |error: &Self| error.data.as_ref().map(|data| data.get().to_owned());
        self.code == other.code && self.message == other.message && data(self) == data(other)
    }
}

impl fmt::Debug for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RpcError");
        debug.field("code", &self.code).field("message", &self.message);
        if let Some(data) = &self.data {
            debug.field("data", &format_args!("{} bytes", data.get().len()));
        }
        debug.finish()
    }
}
