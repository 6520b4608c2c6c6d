//! The way of a leader to NATS: attempts of messages, and questions.

use std::sync::Arc;

use tpro_dispatcher::core::{Forward, Input, Key, Question};
use tpro_wire::{MessageKey, Uid, Version, go, headers};

use super::{
    World,
    book::Fate,
    clock::instant,
    names::{LABELS, names},
    process::Leader,
    rows,
};
use crate::{nats::Message, postgres::SessionId, time::Time};

impl World {
    /// An attempt of a message goes to NATS.
    pub(super) fn send(&mut self, at: usize, session: SessionId, leader: &mut Leader, key: Key) {
        let now = instant(self.now());
        let Some(outgoing) = leader.core.outgoing(key) else { return };
        let (row, names) = (outgoing.row, names(self.processes[at].service));
        let uid = row.uid;
        let mut map: Vec<(Arc<str>, Arc<str>)> = vec![
            (headers::MSG_ID.into(), uid.to_string().into()),
            (headers::SOURCE.into(), names.source.clone()),
            (headers::KEY.into(), key_of(&uid).to_string().into()),
        ];
        if let Some(left) = outgoing.left {
            map.push((headers::BUDGET_MS.into(), left.as_millis().to_string().into()));
        }
        if outgoing.told > 1 {
            map.push((headers::ATTEMPT.into(), outgoing.told.to_string().into()));
        }
        let reply = (!row.budget.is_event())
            .then(|| names.replies.subject(row.target.service(), &uid, outgoing.attempt).into());
        let message = Message {
            subject: row.target.subject().into(),
            reply,
            headers: map,
            status: None,
            payload: (&*row.payload).into(),
        };
        let (id, attempt, told, left) = (row.id, outgoing.attempt, outgoing.told, outgoing.left);
        let lane = self.book.fates.get(&rows::number(&uid)).map_or(0, Fate::lane);
        self.coverage.at(match (attempt, told) {
            (1, 1) => "action:send",
            (1, _) => "action:send-as-repeat",
            _ => "action:send-again",
        });
        self.note(format_args!("process {at} sends {id} {attempt} {told} {uid}"));
        let moment = self.now();
        // An event is settled by the echo that comes after it.
        if let Some(left) = left {
            leader.flying.insert(uid, (lane, moment + left));
            leader.ids.insert(id, uid);
        }
        let is_flying = |(other, end): &&(usize, Time)| *other == lane && *end > moment;
        let flying = leader.flying.values().filter(is_flying).count();
        if flying > self.plan.knobs.lane {
            let text = format!("{flying} messages to one service are in flight at {id}");
            self.book.broken.push(text);
        }
        self.look_at_order(session, rows::number(&uid));
        if let Some(fate) = self.book.fates.get_mut(&rows::number(&uid)) {
            fate.attempts += 1;
            fate.sent.get_or_insert(moment);
            fate.sender = Some(session);
        }
        self.say(at, message);
        leader.core.handle(Input::Sent(key), now);
    }

    /// A reply goes to the subject of its label.
    pub(super) fn forward(&mut self, at: usize, reply: &Forward) {
        self.coverage.at("action:forward");
        self.note(format_args!("process {at} publishes the reply of {}", reply.id));
        let headers = vec![
            (headers::STATUS.into(), reply.status.as_str().into()),
            (headers::MSG_ID.into(), reply.uid.to_string().into()),
        ];
        let subject = format!("{LABELS}{}", reply.label).into();
        self.say(at, Message { subject, headers, payload: (&*reply.payload).into(), ..Message::default() });
    }

    /// A question goes to NATS.
    pub(super) fn ask_service(&mut self, at: usize, leader: &mut Leader, question: Question) {
        match question {
            Question::Echo { subject } => {
                self.say(at, Message { subject: subject.into(), ..Message::default() });
            }
            Question::Presence { lane, subject, reply } => {
                let version = (headers::VERSION.into(), Version::UNKNOWN.to_string().into());
                let message = Message {
                    subject: subject.into(),
                    reply: Some(reply.into()),
                    headers: vec![version],
                    ..Message::default()
                };
                let went = self.say(at, message);
                leader.core.handle(Input::Asked { lane, went }, instant(self.now()));
            }
            Question::Go { lane, subject, reply } => {
                let message = Message {
                    subject: subject.into(),
                    reply: Some(reply.into()),
                    payload: go::QUESTION.into(),
                    ..Message::default()
                };
                if !self.say(at, message) {
                    leader.core.handle(Input::NotAskedForGo(lane), instant(self.now()));
                }
            }
        }
    }
}

/// The key of a message, in place of a secret of its service.
fn key_of(uid: &Uid) -> MessageKey {
    let mut hmac = [7; 32];
    hmac[..16].copy_from_slice(uid.uuid().as_bytes());
    MessageKey::of(&hmac)
}
