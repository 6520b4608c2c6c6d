//! The sources of a call's news, and the wait for the end of an attempt.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::{
    sync::broadcast,
    time::{Instant, timeout_at},
};
use tpro_runtime::{
    backoff::LAST_TRY,
    metrics::Reason,
    nats::{
        Publication,
        again::{AgainReceiver, Whose},
        reply::{read_reply, responder},
    },
    presence::{self, Presence, QUESTION},
};
use tpro_wire::{Protocol, Refusal, Reply, RpcError, reply::Noise};

use super::Call;
use crate::handler::{
    CallError,
    calls::{self, Waiting},
};

/// The sources of a call's news.
pub(super) struct Ears {
    pub(super) waiting: Waiting,
    pub(super) again: AgainReceiver,
    /// Subjects to which the server has refused to publish.
    pub(super) forbidden: broadcast::Receiver<Arc<str>>,
    /// The connection over which the attempt was sent.
    pub(super) connection: u64,
}

/// The end of an attempt.
pub(super) enum Heard {
    /// The end of the call, and the copy that answered.
    End(Result<Box<RawValue>, CallError>, Option<String>),
    Silence,
    /// The attempt, or the answer to it, may have gone with a connection.
    Lost,
    Nobody(Refusal),
    /// The handler has put the call off with this error, and the time is over now.
    PutOff(RpcError),
}

impl Call {
    /// Listens until this attempt is over. A reply to an earlier attempt is as good.
    pub(super) async fn listen(&self, ears: &mut Ears, attempt: u32) -> Heard {
        let patience = self.scope.app.config.dispatch.attempt_timeout;
        let now = Instant::now();
        let mut until = self.deadline.min(now + patience);
        // The wish of the handler to be asked again later: not before this moment.
        let mut later: Option<(Instant, RpcError)> = None;
        let mut heard = self.scope.calls.presence(&self.target, |service| service.is_heard());
        let mut question = (!heard).then(|| presence::ask_at(now.into_std(), until.into_std()).into());
        loop {
            let until_then = later.as_ref().map_or(until, |(then, _)| *then);
            let next = question.map_or(until_then, |question| until_then.min(question));
            let arrived = tokio::select! {
                arrived = timeout_at(next, ears.waiting.next()) => arrived,
                whose = ears.again.next() => match whose {
                    _ if later.is_some() => continue,
                    Whose::All if self.scope.app.nats.connection() == ears.connection => continue,
                    Whose::To(service) if !self.is_to(&service) => continue,
                    // Messages of a lost connection are lost, and with them perhaps this attempt or
                    // its answer.
                    _ => return Heard::Lost,
                },
                Ok(subject) = ears.forbidden.recv() => {
                    if *subject == *self.target.subject() {
                        return Heard::Nobody(Refusal::Forbidden);
                    }
                    continue;
                }
            };
            let Ok(calls::Reply { attempt: of, message }) = arrived else {
                if question.take().is_some() {
                    self.ask_service(&ears.waiting).await;
                    continue;
                }
                return later.map_or(Heard::Silence, |(_, error)| Heard::PutOff(error));
            };
            let said = read_reply(&self.uid, Protocol::JsonRpc, &message);
            let by_others = matches!(
                said,
                Reply::Refused(Refusal::NoResponders) | Reply::Noise(Noise::Status | Noise::StreamAck)
            );
            if !heard && !by_others {
                (heard, question) = (true, None);
                self.scope.calls.presence(&self.target, Presence::hear);
            }
            if of == QUESTION {
                continue;
            }
            let end = match said {
                Reply::Result(result) => Ok(result),
                Reply::Error(error) => Err(CallError::Answered(error)),
                Reply::Unreadable(what) => Err(CallError::BadReply(what)),
                Reply::Stale => Err(CallError::Stale),
                Reply::Later { after, error } => {
                    let then = Instant::now() + after;
                    if self.deadline.saturating_duration_since(then) >= LAST_TRY {
                        later = Some((later.as_ref().map_or(then, |(before, _)| then.max(*before)), error));
                        continue;
                    }
                    // Another attempt is under way, and its reply counts.
                    if of != attempt {
                        continue;
                    }
                    Err(CallError::Answered(error))
                }
                // It is alive, so it gets the whole patience again.
                Reply::Working => {
                    until = self.deadline.min(Instant::now() + patience);
                    continue;
                }
                Reply::Refused(refusal) if of == attempt && later.is_none() => {
                    return Heard::Nobody(refusal);
                }
                // Of an attempt that is over, or a handler has put the call off meanwhile.
                Reply::Refused(_) => continue,
                Reply::Noise(noise) => {
                    let reason = noise.as_str();
                    let dropped = &self.scope.app.counts.dropped_replies;
                    dropped.get_or_create(&Reason { reason }).inc();
                    continue;
                }
            };
            return Heard::End(end, responder(&message).map(str::to_owned));
        }
    }

    /// True if the target is a method of this service, `<space>.<service>`.
    fn is_to(&self, service: &str) -> bool {
        self.target.subject().strip_prefix(service).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Asks the service if it is there, since nothing has come from it.
    async fn ask_service(&self, waiting: &Waiting) {
        let (app, now) = (&self.scope.app, Instant::now().into_std());
        if !self.scope.calls.presence(&self.target, |service| service.may_ask(now)) {
            return;
        }
        let connection = app.nats.connection();
        let (reply, headers) = (waiting.subject(QUESTION), presence::question());
        let (subject, reply, headers) = (self.target.subject(), Some(reply.as_str()), Some(&headers));
        let sent = app.nats.publish(Publication { subject, reply, headers, payload: &[] });
        if let Ok(Ok(())) = timeout_at(self.deadline, sent).await {
            self.scope.calls.presence(&self.target, |service| service.asked(now, connection));
        }
    }
}
