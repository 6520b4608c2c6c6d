//! Replies that are published to labels: read after their commit, handed to NATS, and off the books
//! when the server has them.

use super::{Core, Forward, State, Statement, barrier::Unanswered};

impl Core {
    /// A row has its reply. Nothing of it is kept, unless the reply is to be published. The next
    /// one with its ordering key may be sent, if this one does not hold it.
    pub(super) fn note_reply(&mut self, id: i64, forwards: bool) {
        self.chains.settled_in_doubt(id);
        if forwards {
            self.schedule.read(id);
            self.forwarding.owe(id);
        } else if !self.forwarding.owes(id) {
            self.schedule.settled(id);
        }
    }

    /// True if a row was read and is not known to have a reply.
    pub(super) fn awaits_reply(&self, id: i64) -> bool {
        self.schedule.unsettled().contains(id) && !self.forwarding.owes(id)
    }

    /// Reads replies that are to be published.
    pub(super) fn begin_forwarding(&mut self) {
        if self.link.is_up()
            && let Some(ids) = self.forwarding.read()
        {
            self.run(Statement::Forward(ids));
        }
    }

    /// Replies were read. A row that is not among them has none to be published: its partition was
    /// dropped.
    pub(super) fn on_forwards(&mut self, replies: Vec<Forward>) {
        for id in self.forwarding.were_read(replies) {
            self.schedule.settled(id);
        }
    }

    /// The next reply that is handed to NATS, if it may be and NATS has room.
    pub(super) fn next_to_forward(&mut self) -> Option<Forward> {
        if !self.room || !self.may_forward() {
            return None;
        }
        let reply = self.forwarding.next()?;
        self.room = false;
        self.link.unanswered_sent(Unanswered::Reply(reply.id));
        Some(reply)
    }

    /// True if a reply is to be handed to NATS and may be. Others may be stuck: it is committed.
    pub(super) fn may_forward(&self) -> bool {
        let leads = matches!(self.state, State::Leading | State::Stopping { .. });
        self.forwarding.is_ready() && leads && self.link.is_up()
    }

    /// The server has the published reply of a row.
    pub(super) fn forwarded(&mut self, id: i64) {
        self.forwarding.done(id);
        self.schedule.settled(id);
        self.schedule.news();
        self.counts.forwarded.inc();
    }
}
