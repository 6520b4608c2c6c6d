//! A message as it goes on the wire.

use tpro_runtime::{
    keys::Keys,
    nats::{Block, Client, Publication, PublishError},
    version,
};
use tpro_wire::{
    Priority, Protocol, Version, headers, message_key, reply_subject::ReplyPrefix, source::Source, trace, uid,
};

use crate::core::Outgoing;

/// The parts that every message of this leader has in common.
pub(crate) struct Sender {
    source: String,
    /// None for the first version, which is not said.
    version: Option<String>,
    replies: ReplyPrefix,
    keys: Keys,
    /// The headers of the last message, for their memory.
    headers: Block,
}

impl Sender {
    pub fn new(source: &Source, replies: ReplyPrefix, keys: &Keys) -> Self {
        let version = version::spoken();
        Self {
            source: source.to_string(),
            version: (version != Version::FIRST).then(|| version.to_string()),
            replies,
            keys: keys.clone(),
            headers: Block::default(),
        }
    }

    /// Publishes the next attempt of a message. Headers that would say no more than their absence
    /// are left out: they cost a third of the time that sending costs.
    pub fn send(&mut self, nats: &Client, message: &Outgoing<'_>) -> Result<(), PublishError> {
        let row = message.row;
        let set = &mut self.headers;
        set.clear();
        set.add(headers::TRACEPARENT, message.context.encode(&mut [0; trace::TEXT_LEN]));
        if let Some(tracestate) = &row.tracestate {
            set.add(headers::TRACESTATE, tracestate);
        }
        set.add(headers::MSG_ID, row.uid.encode(&mut [0; uid::TEXT_LEN]));
        set.add(headers::SOURCE, &self.source);
        let key = self.keys.of_message(&row.uid);
        set.add(headers::KEY, key.encode(&mut [0; message_key::TEXT_LEN]));
        if let Some(version) = &self.version {
            set.add(headers::VERSION, version);
        }
        if let Some(left) = message.left {
            set.add_number(headers::BUDGET_MS, left.as_millis() as u64);
        }
        if row.protocol != Protocol::JsonRpc {
            set.add(headers::PROTOCOL, row.protocol.as_str());
        }
        if message.told > 1 {
            set.add_number(headers::ATTEMPT, message.told.into());
        }
        if message.priority > Priority::default() {
            set.add_number(headers::PRIORITY, message.priority.number().into());
        }
        if row.hops > 0 {
            set.add_number(headers::HOPS, row.hops.into());
        }
        if let Some(language) = &row.language {
            set.add(headers::CONTENT_LANGUAGE, language);
        }
        if let Some(headers) = &row.headers {
            set.add(headers::HEADERS, headers);
        }
        // An event is not answered, and so it asks for no answer.
        let reply = (!row.budget.is_event())
            .then(|| self.replies.subject(row.target.service(), &row.uid, message.attempt));
        nats.publish_now(Publication {
            subject: row.target.subject(),
            reply: reply.as_deref(),
            headers: Some(&self.headers),
            payload: &row.payload,
        })
    }
}
