//! The NATS headers of a request and of a reply.
//!
//! Names are case sensitive on NATS, and written here as they are sent.

use crate::limits::MAX_HEADERS;
use crate::message_key::MessageKey;
use crate::priority::Priority;
use crate::protocol::Protocol;
use crate::source::Source;
use crate::trace::TraceParent;
use crate::tracestate;
use crate::uid::Uid;
use crate::version::Version;

/// The trace: W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// Additions of other tracing systems to the trace.
pub const TRACESTATE: &str = "tracestate";
/// The uid. JetStream tells repeats by a header of this name, should a stream listen.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// The rest of the budget in milliseconds. It is relative, because clocks differ.
pub const BUDGET_MS: &str = "Tpro-Budget-Ms";
/// The number of the attempt, counted from 1.
pub const ATTEMPT: &str = "Tpro-Attempt";
/// The source of the message: `main/<uuid>`.
pub const SOURCE: &str = "Tpro-Source";
/// The proof that only the sender can give for the uid: see [`MessageKey`]. Strangers have none.
pub const KEY: &str = "Tpro-Key";
/// The priority, 1 to 3. Where messages wait in a copy for a connection, a higher one has a larger
/// share, and some places are kept for messages above 0. Not sent for priority 0.
pub const PRIORITY: &str = "Tpro-Priority";
/// The number of services that the chain of calls has passed through.
pub const HOPS: &str = "Tpro-Hops";
/// The language the reply should speak: `ru-RU`.
pub const CONTENT_LANGUAGE: &str = "Content-Language";
/// The row's `headers` as compact JSON.
pub const HEADERS: &str = "Tpro-Headers";
/// The protocol of the request: `json` for a body without an envelope, of which the subject alone
/// names the method. Not sent for JSON-RPC, whose envelope says it.
pub const PROTOCOL: &str = "Tpro-Protocol";
/// The version of the wire that the request speaks: see [`Version`]. Not sent for the first
/// version.
pub const VERSION: &str = "Tpro-Version";
/// The versions that the target understands, in a reply that refuses another: see
/// [`crate::Versions`].
pub const VERSIONS: &str = "Tpro-Versions";
/// `error` in a `json` reply that is an error. Its payload is then `{"error":<JSON-RPC error
/// object>}`. The payload alone could not say it, because any JSON is a result. `error` also in the
/// reply to a batch that has failed as one.
pub const STATUS: &str = "Tpro-Status";
/// A reply that is no answer: see [`crate::ReplyState`].
pub const STATE: &str = "Tpro-State";
/// The time in milliseconds before which a handler does not want to be asked again, with an error.
/// A requester that knows [`crate::ReplyState::Later`] is told that state as well.
pub const RETRY_AFTER_MS: &str = "Tpro-Retry-After-Ms";
/// The copy that answered: see [`crate::Responder`].
pub const RESPONDER: &str = "Tpro-Responder";

/// The subject of a request that one copy of a service passes on to another copy of it.
pub const PASSED: &str = "Tpro-Passed";

/// The headers of a request, the most usual ones first.
const KNOWN: [&str; 13] = [
    TRACEPARENT,
    MSG_ID,
    SOURCE,
    KEY,
    BUDGET_MS,
    HEADERS,
    CONTENT_LANGUAGE,
    ATTEMPT,
    HOPS,
    PRIORITY,
    TRACESTATE,
    VERSION,
    PROTOCOL,
];

/// The headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeaders {
    /// [`TRACEPARENT`].
    pub traceparent: Option<TraceParent>,
    /// [`TRACESTATE`], nothing without a `traceparent`.
    pub tracestate: Option<String>,
    /// [`MSG_ID`], if it is a uid.
    pub uid: Option<Uid>,
    /// [`BUDGET_MS`].
    pub budget_ms: Option<u64>,
    /// [`ATTEMPT`]; 1 if the header is not there.
    pub attempt: u32,
    /// [`PROTOCOL`]; JSON-RPC if the header is not there.
    pub protocol: Protocol,
    /// [`VERSION`]; the first if the header is not there.
    pub version: Version,
    /// [`SOURCE`].
    pub source: Option<Source>,
    /// [`KEY`].
    pub key: Option<MessageKey>,
    /// [`PRIORITY`]; 0 if the header is not there.
    pub priority: Priority,
    /// [`HOPS`]; 0 if the header is not there.
    pub hops: u32,
    /// [`CONTENT_LANGUAGE`], one language tag.
    pub language: Option<String>,
    /// [`HEADERS`]: JSON text that begins as an object does and is not too long; it was not read
    /// further.
    pub headers: Option<String>,
}

impl Default for RequestHeaders {
    /// The headers of a stranger who knows nothing of tpro: none, a first attempt.
    fn default() -> Self {
        Self {
            traceparent: None,
            tracestate: None,
            uid: None,
            budget_ms: None,
            attempt: 1,
            protocol: Protocol::JsonRpc,
            version: Version::FIRST,
            source: None,
            key: None,
            priority: Priority::default(),
            hops: 0,
            language: None,
            headers: None,
        }
    }
}

impl RequestHeaders {
    /// Reads headers from their names and values. Of a name that comes twice the first value is
    /// taken. A header that makes no sense counts as missing: strangers call too, and a bad trace
    /// is no reason to refuse them.
    ///
    /// Hops and version are exceptions. A text that is no number counts as too many hops, so that
    /// nobody gets around the limit, and as a version that nobody understands.
    pub fn read<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        let mut read = Self::default();
        let mut tracestate = None;
        let mut seen = 0_u16;
        // One walk for all of them: to look each one up costs as much as all the rest.
        for (name, text) in headers {
            let Some(known) = KNOWN.iter().position(|known| *known == name) else { continue };
            if seen & (1 << known) != 0 {
                continue;
            }
            seen |= 1 << known;
            match name {
                TRACEPARENT => read.traceparent = TraceParent::read(text),
                TRACESTATE => tracestate = Some(text),
                MSG_ID => read.uid = text.parse().ok(),
                BUDGET_MS => read.budget_ms = crate::Budget::parse_ms(text).map(crate::Budget::ms),
                ATTEMPT => read.attempt = digits(text).unwrap_or(1),
                PROTOCOL => read.protocol = text.parse().unwrap_or(Protocol::JsonRpc),
                VERSION => read.version = text.parse().unwrap_or(Version::UNKNOWN),
                SOURCE => read.source = text.parse().ok(),
                KEY => read.key = text.parse().ok(),
                PRIORITY => read.priority = text.parse().unwrap_or_default(),
                HOPS => read.hops = digits(text).unwrap_or(u32::MAX),
                CONTENT_LANGUAGE => read.language = is_language(text).then(|| text.to_owned()),
                HEADERS => read.headers = is_object(text).then(|| text.to_owned()),
                _ => {}
            }
        }
        let tracestate = read.traceparent.and(tracestate).filter(|text| tracestate::is_valid(text));
        read.tracestate = tracestate.map(str::to_owned);
        read
    }

    /// The names and values to send. A header without a value is left out; the attempt is always
    /// sent.
    ///
    /// Values that were read or checked hold no line break. The fields are public all the same, so
    /// set the headers fallibly.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            self.traceparent.map(|value| (TRACEPARENT, value.to_string())),
            self.tracestate.clone().map(|value| (TRACESTATE, value)),
            self.uid.map(|value| (MSG_ID, value.to_string())),
            self.budget_ms.map(|value| (BUDGET_MS, value.to_string())),
            Some((ATTEMPT, self.attempt.to_string())),
            (self.protocol != Protocol::JsonRpc).then(|| (PROTOCOL, self.protocol.to_string())),
            (self.version != Version::FIRST).then(|| (VERSION, self.version.to_string())),
            self.source.as_ref().map(|value| (SOURCE, value.to_string())),
            self.key.map(|value| (KEY, value.to_string())),
            (self.priority > Priority::default()).then(|| (PRIORITY, self.priority.number().to_string())),
            (self.hops > 0).then(|| (HOPS, self.hops.to_string())),
            self.language.clone().map(|value| (CONTENT_LANGUAGE, value)),
            self.headers.clone().map(|value| (HEADERS, value)),
        ]
        .into_iter()
        .flatten()
    }
}

/// True if the text looks like a language tag of RFC 5646: groups of 1 to 8 letters and digits with
/// dashes between them, the first of letters only, at most 35 characters.
pub fn is_language(text: &str) -> bool {
    let group = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let letter_first = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    text.len() <= 35 && text.split('-').all(group) && text.split('-').next().is_some_and(letter_first)
}

fn digits(text: &str) -> Option<u32> {
    // `parse` alone would take a plus sign.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// True if the text begins as an object does, and may be passed on.
fn is_object(text: &str) -> bool {
    text.len() <= MAX_HEADERS && text.starts_with('{') && !has_line_break(text)
}

fn has_line_break(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b'\r' | b'\n'))
}
