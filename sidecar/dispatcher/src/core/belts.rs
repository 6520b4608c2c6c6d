//! The belts: nothing is sent to a service of the Go system, whose copies would end by it.

use tpro_wire::go;

use super::{Action, Core, Notice, Question, State, incoming::Incoming};

/// The status by which NATS says that nobody subscribes to a subject.
const NO_RESPONDERS: u16 = 503;

impl Core {
    /// Asks for the Go system where that is due, and opens the lanes whose question nobody answers.
    pub(super) fn watch_belts(&mut self) {
        let Some(uid) = self.settings.go.filter(|_| self.link.is_up()) else { return };
        for lane in self.lanes.open_silent(self.now) {
            self.say_that_go_is_gone(&lane);
        }
        if self.state != State::Leading {
            return;
        }
        while let Some((lane, name, number)) = self.lanes.next_to_ask_for_go(self.now) {
            let reply = self.settings.replies.subject(service(&name), &uid, number);
            self.actions.push_back(Action::Ask(Question::Go { lane, subject: go::question(&name), reply }));
        }
    }

    /// Something has come back for the question of this number to this service.
    pub(super) fn on_belt_reply(&mut self, asked: &str, number: u32, reply: &Incoming<'_>) {
        match reply.status {
            Some(NO_RESPONDERS) => {
                if let Some(lane) = self.lanes.no_go_answers(asked, number) {
                    self.say_that_go_is_gone(&lane);
                }
            }
            None if go::is_answer(reply.payload) => {
                if let Some(lane) = self.lanes.go_answers(asked, number, self.now) {
                    let service = service(&lane);
                    tracing::warn!(
                        tpro.service = service,
                        "copies of the Go system answer for service {service} on this NATS, and would end at a message of tpro: \
                         nothing is sent to {service} until they are gone. Give tpro a NATS server of its own (docs/migration.md)"
                    );
                    self.show_go();
                }
            }
            // The acknowledgement of a stream, or the word of a bystander.
            _ => {}
        }
    }

    /// The server has refused to publish the question to this service.
    pub(super) fn on_forbidden_belt(&mut self, lane: &str) {
        tracing::info!(
            tpro.service = service(lane),
            "the NATS server does not let us ask if the Go system answers for {lane}: messages are sent to it unasked; \
             allow {} to be published, or set GO_CHECK=no",
            go::question(lane)
        );
        let was_go = self.lanes.go().iter().any(|name| name == lane);
        self.lanes.cannot_ask_for_go(lane);
        if was_go {
            self.show_go();
        }
    }

    fn say_that_go_is_gone(&mut self, lane: &str) {
        let service = service(lane);
        tracing::info!(
            tpro.service = service,
            "no copy of the Go system answers for service {service} any more: its messages are sent"
        );
        self.show_go();
    }

    fn show_go(&mut self) {
        self.actions.push_back(Action::Show(Notice::Go(self.lanes.go())));
    }
}

/// The service of a lane, `<space>.<service>`.
fn service(lane: &str) -> &str {
    lane.rsplit_once('.').map_or(lane, |(_, service)| service)
}
