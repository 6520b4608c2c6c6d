//! The words of tpro on the wire: names, targets, identities, traces, envelopes, headers, and the
//! rules of a published row.
//!
//! The crate knows no IO, no clock and no random source; callers hand these in, for random numbers
//! the seed. Each value is
//! checked once, where it enters the program, and is a type from then on. The sidecar uses the
//! crate to speak to NATS and the PostgreSQL extension to check a row, so both agree on each form.
//!
//! No parser here panics, with any bytes, and none recurses but [`jsonb`], to a bounded depth.
//!
//! Sources: [JSON-RPC 2.0](https://www.jsonrpc.org/specification) for envelopes and error codes,
//! [W3C Trace Context, level 1](https://www.w3.org/TR/trace-context-1/) for traces, [RFC
//! 9562](https://www.rfc-editor.org/rfc/rfc9562) for the uuid (version 7) that names a message.
#![forbid(unsafe_code)]

pub mod budget;
pub mod envelope;
pub mod error;
pub mod go;
pub mod headers;
pub mod hex;
mod identifier;
pub mod jsonb;
pub mod language;
pub mod limits;
pub mod message_key;
pub mod name;
mod phrases;
pub mod place;
pub mod priority;
pub mod protocol;
pub mod random;
pub mod refusal;
pub mod reply;
pub mod reply_state;
pub mod reply_subject;
pub mod responder;
mod rule;
pub mod rules;
pub mod shape;
pub mod source;
pub mod status;
pub mod target;
mod token;
pub mod trace;
pub mod tracestate;
pub mod uid;
pub mod version;

pub use budget::Budget;
pub use envelope::{Answer, AnswerError, Batch, NotAnswer, Request, RequestId};
pub use error::RpcError;
pub use headers::RequestHeaders;
pub use language::Language;
pub use message_key::{MessageKey, MessageKeyError};
pub use name::{NameError, ServiceName};
pub use place::Place;
pub use priority::Priority;
pub use protocol::Protocol;
pub use refusal::Refusal;
pub use reply::Reply;
pub use reply_state::ReplyState;
pub use reply_subject::ReplyPrefix;
pub use responder::Responder;
pub use source::Source;
pub use status::Status;
pub use target::Target;
pub use trace::TraceParent;
pub use uid::Uid;
pub use version::{Version, Versions};
