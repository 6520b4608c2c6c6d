//! The limits of the wire, each in one place.

use std::time::Duration;

/// Largest body, in bytes of its JSON text, when nothing else is configured (`tpro.max_body`).
///
/// NATS servers take 1 MiB by default; this leaves room for the envelope and the headers.
pub const MAX_BODY: usize = 900_000;

/// Largest body that `tpro.max_body` can allow. A nats-server takes no larger message
/// (`max_payload`).
pub const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Largest `headers` of a row, in bytes of JSON text. They travel as one NATS header.
pub const MAX_HEADERS: usize = 8 * 1024;

/// Deepest nesting of arrays and objects in a body.
///
/// `serde_json` goes no deeper when a handler reads a body into a type. A deeper body could be sent
/// and never be read.
pub const MAX_DEPTH: usize = 127;

/// Most requests of a batch.
pub const MAX_BATCH: usize = 1_000;

/// Most services a chain of calls may pass through, so that a loop of services ends.
pub const MAX_HOPS: u32 = 16;

/// Longest time a requester may wait for a reply, in seconds: a day.
pub const MAX_TIMEOUT: i32 = 86_400;

/// The time that a stream has to acknowledge an event, in seconds, if the event has no time of its
/// own.
pub const ACK_SECONDS: i32 = 15;

/// The highest priority of a message; the lowest is 0.
pub const MAX_PRIORITY: i32 = 3;

/// Longest ordering key of a message, in bytes.
pub const MAX_ORDERING_KEY: usize = 200;

/// The farthest ahead that a message may be sent, in days.
pub const MAX_DAYS_AHEAD: i64 = 30;

/// A leader looks at least so often which messages are due.
pub const DUE_CHECK: Duration = Duration::from_secs(30);

/// A message that is due within this time is told to the leader when it is committed. It is longer
/// than [`DUE_CHECK`], so that the leader finds what is due after it by looking.
pub const TOLD_AHEAD: Duration = Duration::from_secs(60);

/// Longest name of a space or a service, in bytes.
pub const MAX_NAME: usize = 40;

/// Longest entity or method name, in bytes.
pub const MAX_WORD: usize = 100;

/// Longest label a row may name in `reply_to`, in bytes.
pub const MAX_LABEL: usize = 255;

/// Longest `tracestate`, in bytes, that every participant has to carry (W3C Trace Context,
/// 3.3.1.5).
pub const MAX_TRACESTATE: usize = 512;

/// Longest version of a service in a responder, in bytes.
pub const MAX_VERSION: usize = 64;
