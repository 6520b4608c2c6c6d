//! The belt of calls: nothing is sent to a service before it is known that the Go system does not
//! answer for it. A copy of the Go system ends at a message of tpro.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tpro_runtime::{nats::Publication, random};
use tpro_wire::{Uid, go, refusal};

use super::Call;
use crate::handler::CallError;

/// The time for the answer. A Go copy answers as soon as it reads the question.
const ANSWER: Duration = Duration::from_millis(500);
/// The status by which NATS says that nobody subscribes to a subject.
const NO_RESPONDERS: u16 = 503;

/// The reason why it is not known that the Go system does not answer.
pub(super) enum Closed {
    /// It answers, or the time of the call is over.
    End(CallError),
    /// The question, or its answer, may have gone with a connection.
    Lost,
}

impl Call {
    /// Asks if the Go system answers for the target's service, unless it is known that it does not.
    /// Calls to the same service ask once.
    pub(super) async fn open_belt(&self) -> Result<(), Closed> {
        if let Some(belt) = self.scope.calls.belt(&self.target).filter(|_| self.scope.app.config.go_check) {
            belt.get_or_try_init(|| self.ask_for_go()).await?;
        }
        Ok(())
    }

    async fn ask_for_go(&self) -> Result<(), Closed> {
        let (app, now) = (&self.scope.app, Instant::now());
        let uid = Uid::v7(random::next_u64(), random::bytes());
        let mut waiting = self.scope.calls.wait(uid, self.target.service());
        let mut forbidden = app.link.said.forbidden();
        let (subject, reply) = (go::question(self.target.space_service()), waiting.subject(1));
        let question =
            Publication { subject: &subject, reply: Some(&reply), headers: None, payload: go::QUESTION };
        let (connection, until) = (app.nats.connection(), self.deadline.min(now + ANSWER));
        if !matches!(timeout_at(until, app.nats.publish(question)).await, Ok(Ok(()))) {
            return Err(Closed::Lost);
        }
        loop {
            let reply = tokio::select! {
                reply = timeout_at(until, waiting.next()) => reply,
                Ok(refused) = forbidden.recv() => match *refused == *subject {
                    true => return Ok(()),
                    false => continue,
                },
            };
            let Ok(reply) = reply else { break };
            match reply.message.status() {
                Some(NO_RESPONDERS) => return Ok(()),
                None if go::is_answer(reply.message.payload()) => {
                    let error = refusal::go(self.target.service());
                    return Err(Closed::End(CallError::Unavailable(error)));
                }
                // The acknowledgement of a stream, or the word of a bystander.
                _ => {}
            }
        }
        // Silence over a connection that was there all the while is the word that no Go copy is.
        let was_there = app.is_connected() && app.nats.connection() == connection;
        if was_there && until < self.deadline { Ok(()) } else { Err(Closed::Lost) }
    }
}
