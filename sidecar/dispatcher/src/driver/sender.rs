//! A message as it goes on the wire.

use async_nats::{HeaderMap, HeaderName, HeaderValue, Subject, message::OutboundMessage};
use tpro_runtime::{keys::Keys, version};
use tpro_wire::{
    Protocol, Version, headers, message_key, reply_subject::ReplyPrefix, source::Source, trace, uid,
};

use crate::core::Outgoing;

const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(headers::TRACESTATE);
const MSG_ID: HeaderName = HeaderName::from_static(headers::MSG_ID);
const BUDGET_MS: HeaderName = HeaderName::from_static(headers::BUDGET_MS);
const ATTEMPT: HeaderName = HeaderName::from_static(headers::ATTEMPT);
const SOURCE: HeaderName = HeaderName::from_static(headers::SOURCE);
const KEY: HeaderName = HeaderName::from_static(headers::KEY);
const HOPS: HeaderName = HeaderName::from_static(headers::HOPS);
const VERSION: HeaderName = HeaderName::from_static(headers::VERSION);
const PROTOCOL: HeaderName = HeaderName::from_static(headers::PROTOCOL);
const CONTENT_LANGUAGE: HeaderName = HeaderName::from_static(headers::CONTENT_LANGUAGE);
const HEADERS: HeaderName = HeaderName::from_static(headers::HEADERS);

/// The parts that every message of this leader has in common.
pub(crate) struct Sender {
    source: Option<HeaderValue>,
    /// None for the first version, which is not said.
    version: Option<HeaderValue>,
    replies: ReplyPrefix,
    keys: Keys,
}

impl Sender {
    pub fn new(source: &Source, replies: ReplyPrefix, keys: &Keys) -> Self {
        let version = version::spoken();
        Self {
            source: source.to_string().parse().ok(),
            version: (version != Version::FIRST).then(|| version.to_string().parse().ok()).flatten(),
            replies,
            keys: keys.clone(),
        }
    }

    /// The next attempt of a message. Headers that would say no more than their absence are left
    /// out: they cost a third of the time that sending costs.
    pub fn compose(&self, message: &Outgoing<'_>) -> OutboundMessage {
        let row = message.row;
        let mut map = HeaderMap::new();
        // Header values are parsed, not converted: a line break in one would panic, and cannot be
        // here.
        let mut set = |name, value: Option<HeaderValue>| {
            if let Some(value) = value {
                map.insert(name, value);
            }
        };
        let parse = |text: &str| text.parse().ok();
        set(TRACEPARENT, parse(message.context.encode(&mut [0; trace::TEXT_LEN])));
        set(TRACESTATE, row.tracestate.as_deref().and_then(parse));
        set(MSG_ID, parse(row.uid.encode(&mut [0; uid::TEXT_LEN])));
        set(SOURCE, self.source.clone());
        set(KEY, parse(self.keys.of_message(&row.uid).encode(&mut [0; message_key::TEXT_LEN])));
        set(VERSION, self.version.clone());
        if let Some(left) = message.left {
            set(BUDGET_MS, Some((left.as_millis() as u64).into()));
        }
        if row.protocol != Protocol::JsonRpc {
            set(PROTOCOL, parse(row.protocol.as_str()));
        }
        if message.told > 1 {
            set(ATTEMPT, Some(message.told.into()));
        }
        if row.hops > 0 {
            set(HOPS, Some(row.hops.into()));
        }
        set(CONTENT_LANGUAGE, row.language.as_deref().and_then(parse));
        set(HEADERS, row.headers.as_deref().and_then(parse));
        OutboundMessage {
            subject: Subject::from(row.target.subject()),
            // An event is not answered, and so it asks for no answer.
            reply: (!row.budget.is_event()).then(|| {
                Subject::from(self.replies.subject(row.target.service(), &row.uid, message.attempt))
            }),
            payload: row.payload.clone(),
            headers: Some(map),
        }
    }
}
