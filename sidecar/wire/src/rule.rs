//! A rule of a column, and the error of a value that breaks it.

use std::fmt;

use crate::limits::{
    MAX_BATCH, MAX_DAYS_AHEAD, MAX_DEPTH, MAX_HEADERS, MAX_LABEL, MAX_ORDERING_KEY, MAX_PRIORITY,
    MAX_TIMEOUT, MAX_TRACESTATE,
};

/// A value that a column does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The column.
    pub column: &'static str,
    /// The rule that was broken.
    pub rule: Rule,
    /// The value in quotes, where it may be shown.
    pub shown: Option<Box<str>>,
}

/// A rule that a column has for its value. Its text reads on from the column's name: `entity must
/// match ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Not null.
    Present,
    /// A protocol that tpro speaks.
    Protocol,
    /// A space or a service.
    Name,
    /// An entity or a method name.
    Word,
    /// Seconds within the limits.
    Timeout,
    /// A priority there is.
    Priority,
    /// A key that is neither empty nor too long.
    OrderingKey,
    /// The name of a function and its schema.
    OnReply,
    /// A time that is not too far ahead.
    SendAt,
    /// A time after the one at which the message is sent.
    ExpiresAfterSending,
    /// An object.
    HeadersObject,
    /// Not too long.
    HeadersSize,
    /// The type of request that headers may ask for.
    RequestType,
    /// True or false.
    EventAck,
    /// The fate of an ordering key when a message fails.
    OnError,
    /// A key that can be held.
    HeldKey,
    /// A language tag.
    Language,
    /// Not too long.
    BodySize {
        /// The limit, in bytes.
        max: usize,
    },
    /// Not too deep.
    BodyDepth,
    /// A value that JSON-RPC takes as `params`.
    BodyStructured,
    /// The protocol of a batch.
    BatchProtocol,
    /// The requests of a batch.
    BatchBody,
    /// A label of a subscriber.
    Label,
    /// W3C Trace Context.
    TraceParent,
    /// W3C Trace Context.
    TraceState,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("must not be null"),
            Self::Protocol => f.write_str("must be jsonrpc or json"),
            Self::Name => f.write_str("must match ^[a-z][a-z0-9_]{0,39}$"),
            Self::Word => f.write_str("must match ^[A-Za-z0-9_-]{1,100}$"),
            Self::Timeout => write!(f, "must be 0 to {MAX_TIMEOUT} seconds"),
            Self::Priority => write!(f, "must be 0 to {MAX_PRIORITY}"),
            Self::OrderingKey => write!(f, "must be 1 to {MAX_ORDERING_KEY} bytes"),
            Self::OnReply => f.write_str("must be the name of a function behind that of its schema"),
            Self::SendAt => write!(f, "must be a time at most {MAX_DAYS_AHEAD} days ahead"),
            Self::ExpiresAfterSending => f.write_str("must be later than send_at"),
            Self::HeadersObject => f.write_str("must be a JSON object, and its member request one too"),
            Self::HeadersSize => write!(f, "must be at most {MAX_HEADERS} bytes of JSON text"),
            Self::RequestType => f.write_str("must have single or batch as its request.type"),
            Self::EventAck => f.write_str("must have true or false as its event.ack"),
            Self::OnError => f.write_str("must have continue or hold as its ordering.on_error"),
            Self::HeldKey => f.write_str("must not be null when ordering.on_error is hold"),
            Self::Language => f.write_str("must have a language tag such as ru-RU as its content-language"),
            Self::BodySize { max } => write!(f, "must be at most {max} bytes of JSON text"),
            Self::BodyDepth => write!(f, "must be nested at most {MAX_DEPTH} deep"),
            Self::BodyStructured => {
                f.write_str("must be a JSON object or array when the protocol is jsonrpc")
            }
            Self::BatchProtocol => f.write_str("must be jsonrpc when request.type is batch"),
            Self::BatchBody => {
                write!(f, "must be an array of 1 to {MAX_BATCH} objects or arrays when request.type is batch")
            }
            Self::Label => write!(
                f,
                "must be a label of at most {MAX_LABEL} bytes: letters, digits, underscores and dashes, with single dots between them, and no underscore first"
            ),
            Self::TraceParent => {
                f.write_str("must be a W3C traceparent of version 00, in small letters, neither id zero")
            }
            Self::TraceState => {
                write!(f, "must be a W3C tracestate of at most 32 members and {MAX_TRACESTATE} bytes")
            }
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.column, self.rule)?;
        match &self.shown {
            Some(shown) => write!(f, ", not {shown}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuleError {}

impl RuleError {
    /// An error without the value.
    pub(crate) fn hidden(column: &'static str, rule: Rule) -> Self {
        Self { column, rule, shown: None }
    }

    /// An error with the value, if it looks like a token that somebody has misspelt. Anything else
    /// may have been put into the wrong column, and PostgreSQL logs the error.
    pub(crate) fn shown(column: &'static str, rule: Rule, value: &str) -> Self {
        const SHOWN: usize = 24;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let shown = value.len() <= SHOWN && value.bytes().all(token);
        Self { column, rule, shown: shown.then(|| format!("{value:?}").into()) }
    }
}
