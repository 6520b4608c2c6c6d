//! A message as it goes on the wire.

use std::time::Instant;

use async_nats::{HeaderMap, HeaderName, HeaderValue, Subject, message::OutboundMessage};
use tpro_runtime::{keys::Keys, version};
use tpro_wire::{Protocol, Version, headers, reply_subject::ReplyPrefix, source::Source, trace, uid};

use crate::core::message::Message;

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

/// What is the same in every message of this leader.
pub(crate) struct Sender {
    source: Option<HeaderValue>,
    /// None for the first version, which is not said.
    version: Option<HeaderValue>,
    replies: ReplyPrefix,
    keys: Keys,
}

impl Sender {
    pub fn new(source: &Source, keys: &Keys) -> Self {
        let version = version::spoken();
        Self {
            source: source.to_string().parse().ok(),
            version: (version != Version::FIRST).then(|| version.to_string().parse().ok()).flatten(),
            replies: ReplyPrefix::new(&source.service, &source.instance),
            keys: keys.clone(),
        }
    }

    pub fn replies(&self) -> &ReplyPrefix {
        &self.replies
    }

    /// The next attempt of a message, as counted in it. What a leader before may have sent is told as a repeat: the target counts the
    /// runs of a repeat before they begin, and a message that kills each copy would be run for ever else. Headers that would say what their absence says are left out: they
    /// cost a third of what sending costs.
    pub fn compose(&self, message: &Message, now: Instant) -> OutboundMessage {
        let row = &message.row;
        let mut map = HeaderMap::new();
        // Header values are parsed, not converted: a line break in one would panic, and cannot be here.
        let mut set = |name, value: Option<HeaderValue>| {
            if let Some(value) = value {
                map.insert(name, value);
            }
        };
        let parse = |text: &str| text.parse().ok();
        set(TRACEPARENT, parse(message.context().encode(&mut [0; trace::TEXT_LEN])));
        set(TRACESTATE, row.tracestate.as_deref().and_then(parse));
        set(MSG_ID, parse(row.uid.encode(&mut [0; uid::TEXT_LEN])));
        set(SOURCE, self.source.clone());
        set(KEY, parse(&self.keys.of_message(&row.uid).to_string()));
        set(VERSION, self.version.clone());
        if let Some(deadline) = message.deadline {
            set(BUDGET_MS, Some((deadline.saturating_duration_since(now).as_millis() as u64).into()));
        }
        if row.protocol != Protocol::JsonRpc {
            set(PROTOCOL, parse(row.protocol.as_str()));
        }
        let attempt = message.attempt.saturating_add(message.recovered.into());
        if attempt > 1 {
            set(ATTEMPT, Some(attempt.into()));
        }
        if row.hops > 0 {
            set(HOPS, Some(row.hops.into()));
        }
        set(CONTENT_LANGUAGE, row.language.as_deref().and_then(parse));
        set(HEADERS, row.headers.as_deref().and_then(parse));
        OutboundMessage {
            subject: Subject::from(row.target.subject()),
            // An event is not answered, and so it asks for no answer.
            reply: (!message.is_event()).then(|| {
                Subject::from(self.replies.subject(row.target.service(), &row.uid, message.attempt))
            }),
            payload: row.payload.clone(),
            headers: Some(map),
        }
    }
}
