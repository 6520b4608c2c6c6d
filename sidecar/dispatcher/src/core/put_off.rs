//! Messages whose handler has asked to be asked again later.
//!
//! A message that waits for that moment holds no place in the window of its lane, so that the
//! others of the lane go on meanwhile. It keeps its body: a lane keeps so many of them at most.

use tpro_runtime::metrics::Reason;
use tpro_wire::ReplyState;

use super::{
    Core,
    in_flight::Key,
    message::{Later, Place, Stage},
    outcome::Outcome,
    retry::{self, Deferral},
    trace,
};

impl Core {
    /// A handler asks in the reply to this attempt to be asked again later.
    pub(super) fn put_off(&mut self, key: Key, attempt: u32, mut later: Later) {
        let Some(message) = self.messages.get_mut(key) else { return };
        if message.is_event() {
            // Nobody is asked to answer one.
            return self.count_dropped("state");
        }
        let what = ReplyState::Later.as_str();
        trace::refused(message, what);
        self.counts.refused.get_or_create(&Reason { reason: what }).inc();
        if let Some(before) = message.not_before() {
            later.until = later.until.max(before);
        }
        let until = later.until;
        let deferral = retry::on_later(message, attempt, until);
        if deferral == Deferral::End {
            return self.settle(key, Outcome::error(&later.error, later.responder));
        }
        later.shorten();
        message.later = Some(Box::new(later));
        if deferral == Deferral::Note {
            return;
        }
        message.due = until;
        let place = message.place();
        if place != Place::PutOff {
            message.stage = Stage::PutOff;
            self.lanes.put_off(message.lane, place);
        }
        self.messages.set_timer(key);
    }
}
