//! The subjects that replies come back to.

use uuid::Uuid;

use crate::name::ServiceName;
use crate::source::instance8;
use crate::token;
use crate::uid::{self, Uid};

/// Digits of the largest attempt.
const ATTEMPT_LEN: usize = 10;

/// The fixed part of the reply subjects of one service and database.
///
/// For outbox rows it is `_INBOX.tpro.<service>.<instance, 8 hex>.`. It stays the same when another
/// copy leads, so that a reply finds the new leader. It is another one in each database. For the
/// direct calls of one copy a token of its own follows, so that the leader's wildcard does not
/// match them.
///
/// Behind it stands the service that is asked. So a NATS server can let each service publish to the
/// reply subjects that name it, and to no others, by permissions that never change. Permission for
/// one response at a time (`allow_responses`) would have the server look through all requests of a
/// day at each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyPrefix(Box<str>);

impl ReplyPrefix {
    /// The prefix for a service's outbox: `_INBOX.tpro.main.1f2e3d4c.`.
    pub fn new(service: &ServiceName, instance: &Uuid) -> Self {
        Self(format!("_INBOX.tpro.{service}.{}.", instance8(instance)).into())
    }

    /// The prefix for the direct calls of one copy, told apart by a random number:
    /// `_INBOX.tpro.main.1f2e3d4c.0a0b0c0d.`.
    pub fn direct(service: &ServiceName, instance: &Uuid, nonce: u32) -> Self {
        Self(format!("_INBOX.tpro.{service}.{}.{nonce:08x}.", instance8(instance)).into())
    }

    /// The subject for the replies of a service to one attempt:
    /// `_INBOX.tpro.main.1f2e3d4c.<asked>.<uid>.<attempt>`.
    pub fn subject(&self, asked: &str, uid: &Uid, attempt: u32) -> String {
        let mut subject = String::with_capacity(self.0.len() + asked.len() + uid::TEXT_LEN + 2 + ATTEMPT_LEN);
        subject.push_str(&self.0);
        subject.push_str(asked);
        subject.push('.');
        subject.push_str(uid.encode(&mut [0; uid::TEXT_LEN]));
        subject.push('.');
        push_number(&mut subject, attempt);
        subject
    }

    /// The subject to subscribe to: `_INBOX.tpro.main.1f2e3d4c.*.*.*`.
    pub fn wildcard(&self) -> String {
        format!("{}*.*.*", self.0)
    }

    /// The service that was asked, the message and the attempt that a reply belongs to. `None` if
    /// the subject has another form.
    pub fn parse<'s>(&self, subject: &'s str) -> Option<(&'s str, Uid, u32)> {
        let (asked, rest) = subject.strip_prefix(&*self.0)?.split_once('.')?;
        let (uid, attempt) = rest.split_at_checked(uid::TEXT_LEN)?;
        let attempt = token::canonical_u32(attempt.strip_prefix('.')?)?;
        // Only our own form: a uid in capital letters would be another subject.
        let parsed: Uid = uid.parse().ok()?;
        (parsed.encode(&mut [0; uid::TEXT_LEN]) == uid).then_some((asked, parsed, attempt))
    }
}

/// True if replies to this subject come home to a service, about this message: to its outbox or to
/// a call of one of its copies, in any database.
pub fn is_home(subject: &str, service: &ServiceName, uid: &Uid) -> bool {
    let rest = subject.strip_prefix("_INBOX.tpro.").and_then(|rest| rest.strip_prefix(service.as_str()));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix('.')) else { return false };
    rest.split('.').any(|token| token == uid.encode(&mut [0; uid::TEXT_LEN]))
}

/// Decimal digits without the machinery of `format!`, which costs more than the rest of a subject.
fn push_number(text: &mut String, mut number: u32) {
    let mut digits = [0; ATTEMPT_LEN];
    let mut start = ATTEMPT_LEN;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[start..].iter().map(|digit| char::from(*digit)));
}
