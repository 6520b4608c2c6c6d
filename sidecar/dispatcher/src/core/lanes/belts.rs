//! The belts of all lanes: the questions if the Go system answers for a service, and their answers.

use std::time::Instant;

use super::Lanes;
use crate::core::{
    lane::{Belt, Lane},
    lane_id::LaneId,
};

impl Lanes {
    /// The next service to ask now if the Go system answers for it: its lane, its name and the
    /// number of the question. It is taken for being asked until [`Self::not_asked_for_go`].
    pub fn next_to_ask_for_go(&mut self, now: Instant) -> Option<(LaneId, String, u32)> {
        let number = self.questions.wrapping_add(1);
        let (slot, lane) = self.slots.numbered().find_map(|(slot, lane)| {
            let asks = lane.belt().is_closed() && lane.asks_for_go(number, now);
            asks.then_some((slot, lane))
        })?;
        self.questions = number;
        Some((LaneId { slot, ..LaneId::default() }, lane.name().to_owned(), number))
    }

    /// NATS had no room for the question.
    pub fn not_asked_for_go(&mut self, id: LaneId, now: Instant) {
        if let Some(lane) = self.slots.get_mut(id) {
            lane.belt_mut().not_asked(now);
        }
    }

    /// A Go copy has answered the question of this number to this service. Returns the name of the
    /// lane, if that is news.
    pub fn go_answers(&mut self, service: &str, number: u32, now: Instant) -> Option<String> {
        let lane = self.asked_for_go(service, number)?;
        lane.belt_mut().on_go(now).then(|| lane.name().to_owned())
    }

    /// NATS knows nobody who takes the question of this number to this service. Returns the name
    /// of the lane, if that is news.
    pub fn no_go_answers(&mut self, service: &str, number: u32) -> Option<String> {
        let lane = self.asked_for_go(service, number)?;
        lane.belt_mut().on_nobody().then(|| lane.name().to_owned())
    }

    /// The lane of this service whose last question has this number.
    fn asked_for_go(&mut self, service: &str, number: u32) -> Option<&mut Lane> {
        let mut lanes = self.slots.iter_mut();
        lanes.find(|lane| {
            let is_asked = lane.name().rsplit_once('.').is_some_and(|(_, name)| name == service);
            is_asked && lane.belt().question() == number
        })
    }

    /// The lane of this name (`space.service`) goes without the question.
    pub fn cannot_ask_for_go(&mut self, name: &str) {
        if let Some(lane) = self.slots.named(name) {
            *lane.belt_mut() = Belt::open();
        }
    }

    /// Opens the lanes whose question was not answered in time. Returns the names of those for
    /// which that is news.
    pub fn open_silent(&mut self, now: Instant) -> Vec<String> {
        let lanes = self.slots.iter_mut();
        let opened = lanes.filter_map(|lane| lane.belt_mut().on_time(now).then(|| lane.name().to_owned()));
        opened.collect()
    }

    /// True while nothing may be sent to the service of this lane.
    pub fn is_closed(&self, id: LaneId) -> bool {
        self.slots.get(id).is_some_and(|lane| lane.belt().is_closed())
    }

    /// The connection is another one: what was asked may be lost.
    pub fn ask_for_go_again(&mut self) {
        self.slots.iter_mut().for_each(|lane| lane.belt_mut().reconnected());
    }

    /// The names of the lanes for whose services the Go system answers.
    pub fn go(&self) -> Vec<String> {
        let lanes = self.slots.iter().filter(|lane| lane.belt().is_go());
        lanes.map(|lane| lane.name().to_owned()).collect()
    }
}
