//! The questions to the service of a lane: if it is there, and if the Go system answers for it.

use std::time::Instant;

use tpro_runtime::presence::Presence;

use super::{Belt, Lane};

impl Lane {
    /// The signs that the service is there at all.
    pub fn presence(&mut self) -> &mut Presence {
        &mut self.presence
    }

    /// True if the service is to be asked now if it is there; it is taken for being asked until
    /// [`Self::asked`].
    pub fn asks(&mut self, now: Instant) -> bool {
        let asks = !self.asking && self.presence.may_ask(now);
        self.asking |= asks;
        asks
    }

    /// The service was asked over this connection, or (none) could not be.
    pub fn asked(&mut self, connection: Option<u64>, now: Instant) {
        self.asking = false;
        if let Some(connection) = connection {
            self.presence.asked(now, connection);
        }
    }

    /// The knowledge if the Go system answers for the service.
    pub fn belt(&self) -> &Belt {
        &self.belt
    }

    /// The belt, for what is heard of the service.
    pub fn belt_mut(&mut self) -> &mut Belt {
        &mut self.belt
    }

    /// True if the service is to be asked now, by the question of this number, if the Go system
    /// answers for it.
    pub fn asks_for_go(&mut self, number: u32, now: Instant) -> bool {
        self.belt.asks(number, self.waiting() > 0, now)
    }
}
