//! Messages whose time has come: they go into the outbox, and are read there.

use super::{Core, Statement, later::Sent};

impl Core {
    /// Has what is due put into the outbox, when it is time to look.
    pub(super) fn begin_sending_due(&mut self) {
        if let Some(from) = self.later.begin(self.now) {
            self.run(Statement::SendDue(from));
        }
    }

    /// A look has ended; none: it has failed.
    pub(super) fn on_sent_due(&mut self, sent: Option<Sent>) {
        let Some(sent) = sent else { return self.later.failed(self.now) };
        self.later.ended(sent, self.now);
        self.counts.sent_due.inc_by(sent.rows);
        if let Some(least) = sent.least {
            self.reading.came_later(least);
            // The session that commits tells itself, and may have heard that before this.
            self.reading.rung(self.now);
        }
    }
}
