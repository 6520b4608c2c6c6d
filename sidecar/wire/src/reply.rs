//! The reading of a reply. Rows of an outbox and calls of handlers read replies by this code alone.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::budget::Budget;
use crate::envelope::{self, Answer, AnswerError, NotAnswer};
use crate::error::{RpcError, code};
use crate::headers;
use crate::protocol::Protocol;
use crate::refusal::Refusal;
use crate::reply_state::ReplyState;
use crate::status::Status;
use crate::uid::Uid;

/// The header by which a service of the NATS micro protocol (ADR-32) says that it failed. Another
/// one holds the number.
const SERVICE_ERROR: &str = "Nats-Service-Error";
const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The status by which a NATS server says that nobody subscribes to a subject.
const NO_RESPONDERS: u16 = 503;
/// Longest responder that is kept, in bytes.
const MAX_RESPONDER: usize = 128;

/// A reply, understood.
#[derive(Debug)]
pub enum Reply {
    /// The method's result, any JSON as it came.
    Result(Box<RawValue>),
    /// The method's error.
    Error(RpcError),
    /// A reply that is no answer and ends the message, because its sender has answered this very
    /// request.
    Unreadable(NotAnswer),
    /// Nobody takes the message.
    Refused(Refusal),
    /// The target has the message and works on it.
    Working,
    /// The target cannot tell the message from a repeat.
    Stale,
    /// The handler has run, and is to be asked again after this time and not before. The error ends
    /// the message if its budget does not suffice.
    Later {
        /// The time, at most a day.
        after: Duration,
        /// The error.
        error: RpcError,
    },
    /// A reply that says nothing about the message: to be dropped and counted.
    Noise(Noise),
}

/// The reason why a reply says nothing about the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// A status of the NATS server that tpro does not know.
    Status,
    /// A state of a later release, or a state without the header that belongs to it.
    State,
    /// The answer to another request.
    OtherId,
    /// A JetStream stream listens on the subject, and has acknowledged the message.
    StreamAck,
    /// No acknowledgement of a stream, where one is awaited.
    NoAck,
}

impl Noise {
    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::State => "state",
            Self::OtherId => "other_id",
            Self::StreamAck => "puback",
            Self::NoAck => "no_puback",
        }
    }
}

/// Reads a reply to the message with this uid, from its status line, its headers and its payload.
///
/// A reply to this request that cannot be read is [`Reply::Unreadable`]: the service would not say
/// it better when it is asked again. Only a reply that may come from somebody else is passed over:
/// the answer to another request, and the acknowledgement of a stream.
pub fn read<'h>(
    uid: &Uid,
    protocol: Protocol,
    status: Option<u16>,
    header: impl Fn(&str) -> Option<&'h str>,
    payload: &[u8],
) -> Reply {
    read_unless_state(status, &header, || match protocol {
        Protocol::JsonRpc => of_answer(envelope::answer(uid, payload), &header, payload),
        Protocol::Json => read_json(uid, &header, payload),
    })
}

/// Reads a reply to the batch of so many requests with this uid, as [`read`] does. The result is
/// the array of all results. An error says the place of its request, unless it is that of the whole
/// batch ([`envelope::answers`]).
pub fn read_batch<'h>(
    uid: &Uid,
    requests: usize,
    status: Option<u16>,
    header: impl Fn(&str) -> Option<&'h str>,
    payload: &[u8],
) -> Reply {
    read_unless_state(status, &header, || {
        let answer = envelope::answers(uid, requests, says_error(&header), payload);
        of_answer(answer, &header, payload)
    })
}

/// Reads the status and the state; a reply without both is the answer.
fn read_unless_state<'h>(
    status: Option<u16>,
    header: impl Fn(&str) -> Option<&'h str>,
    answer: impl Fn() -> Reply,
) -> Reply {
    match status {
        Some(NO_RESPONDERS) => return Reply::Refused(Refusal::NoResponders),
        Some(_) => return Reply::Noise(Noise::Status),
        None => {}
    }
    match header(headers::STATE) {
        None => answer(),
        Some(state) => match state.parse() {
            Ok(ReplyState::Later) => read_later(header(headers::RETRY_AFTER_MS), answer()),
            Ok(state) => read_state(state, header(headers::VERSIONS)),
            Err(_) => Reply::Noise(Noise::State),
        },
    }
}

/// Reads what has come back for an event that a stream is to keep: the acknowledgement of JetStream
/// (`PubAck` of its API). Anything else but the word that nobody subscribes is [`Reply::Noise`],
/// since a service may hear the event as well.
pub fn read_ack(status: Option<u16>, payload: &[u8]) -> Reply {
    match status {
        Some(NO_RESPONDERS) => return Reply::Refused(Refusal::NoResponders),
        Some(_) => return Reply::Noise(Noise::Status),
        None => {}
    }
    let ack = str::from_utf8(payload).ok().filter(|_| is_stream_ack(payload));
    let Some(raw) = ack.and_then(|text| serde_json::from_str::<Box<RawValue>>(text).ok()) else {
        return Reply::Noise(Noise::NoAck);
    };
    #[derive(Deserialize)]
    struct Refused {
        #[serde(default)]
        stream: String,
        error: Option<ApiError>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ApiError {
        description: String,
    }
    match serde_json::from_str(raw.get()) {
        Ok(Refused { stream, error: Some(ApiError { description }) }) => Reply::Error(RpcError::new(
            code::STREAM,
            format!("stream {stream} does not keep it: {description}"),
        )),
        _ => Reply::Result(raw),
    }
}

/// The name that the responder gives itself, if it is printable and short: it is stored as text.
pub fn responder<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<&'h str> {
    let printable =
        |text: &&str| text.len() <= MAX_RESPONDER && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    header(headers::RESPONDER).filter(printable)
}

fn read_state(state: ReplyState, versions: Option<&str>) -> Reply {
    match state {
        ReplyState::Working => Reply::Working,
        ReplyState::Overloaded => Reply::Refused(Refusal::Overloaded),
        ReplyState::Stale => Reply::Stale,
        ReplyState::Unsupported => match versions.and_then(|text| text.parse().ok()) {
            Some(theirs) => Reply::Refused(Refusal::Unsupported(theirs)),
            None => Reply::Noise(Noise::State),
        },
        // It is nothing without its error.
        ReplyState::Later => Reply::Noise(Noise::State),
    }
}

/// The shortest time for which a message is put off. Less is no pause.
const SHORTEST_LATER: Duration = Duration::from_millis(100);

/// The state that comes with an error: both the time and the error must be there.
fn read_later(after: Option<&str>, answer: Reply) -> Reply {
    match (answer, after.and_then(Budget::parse_ms)) {
        (Reply::Error(error), Some(after)) => {
            Reply::Later { after: after.duration().max(SHORTEST_LATER), error }
        }
        (Reply::Noise(noise), _) => Reply::Noise(noise),
        _ => Reply::Noise(Noise::State),
    }
}

/// The reply that an answer in JSON-RPC is.
fn of_answer<'h>(
    answer: Result<Answer, AnswerError>,
    header: impl Fn(&str) -> Option<&'h str>,
    payload: &[u8],
) -> Reply {
    match answer {
        Ok(Answer::Result(result)) => Reply::Result(result),
        Ok(Answer::Error(error)) => Reply::Error(error),
        Err(AnswerError::OtherId) => Reply::Noise(Noise::OtherId),
        Err(AnswerError::No(what)) => match service_error(header) {
            Some(error) => Reply::Error(error),
            None if is_stream_ack(payload) => Reply::Noise(Noise::StreamAck),
            None => Reply::Unreadable(what),
        },
    }
}

/// Any JSON is a result, unless a header says that it is an error.
fn read_json<'h>(uid: &Uid, header: impl Fn(&str) -> Option<&'h str>, payload: &[u8]) -> Reply {
    if says_error(&header) {
        #[derive(Deserialize)]
        struct Failed {
            error: RpcError,
        }
        return match serde_json::from_slice(payload) {
            Ok(Failed { error }) => Reply::Error(error),
            Err(_) => Reply::Unreadable(NotAnswer::Error),
        };
    }
    if let Some(error) = service_error(&header) {
        return Reply::Error(error);
    }
    let Ok(text) = str::from_utf8(payload) else { return Reply::Unreadable(NotAnswer::NotUtf8) };
    let Ok(result) = serde_json::from_str::<Box<RawValue>>(text) else {
        return Reply::Unreadable(NotAnswer::not_json(payload));
    };
    if is_stream_ack(payload) {
        return Reply::Noise(Noise::StreamAck);
    }
    // A service of tpro that could not read the request, and answers in JSON-RPC.
    if header(headers::RESPONDER).is_some()
        && let Ok(Answer::Error(error)) = envelope::answer(uid, payload)
    {
        return Reply::Error(error);
    }
    Reply::Result(result)
}

/// True if a header says that the reply is an error.
fn says_error<'h>(header: impl Fn(&str) -> Option<&'h str>) -> bool {
    header(headers::STATUS).and_then(|text| text.parse().ok()) == Some(Status::Error)
}

fn service_error<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<RpcError> {
    let text = header(SERVICE_ERROR)?;
    let number = header(SERVICE_ERROR_CODE).and_then(|text| text.parse().ok());
    Some(RpcError::new(number.unwrap_or(code::INTERNAL), text))
}

/// True if JetStream acknowledges or refuses a publish like this: an object with a text `stream`, a
/// number `seq`, and only the members that JetStream adds to them.
fn is_stream_ack(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct PubAck {
        #[serde(rename = "stream")]
        _stream: String,
        #[serde(rename = "seq")]
        _seq: u64,
        #[serde(default, rename = "domain")]
        _domain: Option<String>,
        #[serde(default, rename = "duplicate")]
        _duplicate: Option<bool>,
        #[serde(default, rename = "val")]
        _val: Option<String>,
        #[serde(default, rename = "batch")]
        _batch: Option<String>,
        #[serde(default, rename = "count")]
        _count: Option<u64>,
        #[serde(default, rename = "error")]
        _error: Option<IgnoredAny>,
    }
    // Serde would read the members from an array, too.
    payload.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<PubAck>(payload).is_ok()
}
