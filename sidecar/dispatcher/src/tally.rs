//! The tally of outcomes, by target service and status.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tpro_wire::Status;

/// Anybody may publish to any name: the outcomes of services after so many are counted together.
const TARGETS_MAX: usize = 100;
/// The label of the services that are counted together. No service has this name, because of its
/// sign.
const OTHERS: &str = "(others)";

/// The end of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ended {
    /// The service that was asked.
    target: Arc<str>,
    /// `ok`, `error`, `timeout`, ...
    status: &'static str,
}

/// The counters of one target.
type Statuses = HashMap<Status, Counter>;

/// The tally of outcomes.
#[derive(Clone, Default)]
pub struct Tally {
    family: Family<Ended, Counter>,
    /// The counters that are in use, so that counting makes no label.
    targets: Arc<Mutex<HashMap<Arc<str>, Statuses>>>,
}

impl Tally {
    /// The counters to be registered.
    pub fn family(&self) -> Family<Ended, Counter> {
        self.family.clone()
    }

    /// So many messages to a service have ended like this.
    pub fn count(&self, target: &str, status: Status, messages: u64) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let target = match targets.len() < TARGETS_MAX || targets.contains_key(target) {
            true => target,
            false => OTHERS,
        };
        if let Some(counter) = targets.get(target).and_then(|statuses| statuses.get(&status)) {
            counter.inc_by(messages);
            return;
        }
        // All of a target begin at zero: the first error of a service is to be seen as a change.
        let label = |status: Status| Ended { target: target.into(), status: status.as_str() };
        let statuses: Statuses = Status::ALL
            .into_iter()
            .map(|status| (status, self.family.get_or_create(&label(status)).clone()))
            .collect();
        if let Some(counter) = statuses.get(&status) {
            counter.inc_by(messages);
        }
        targets.insert(target.into(), statuses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(tally: &Tally, target: &str, status: Status) -> u64 {
        let label = Ended { target: target.into(), status: status.as_str() };
        tally.family.get_or_create(&label).get()
    }

    #[test]
    fn outcomes_are_counted_by_target_and_status() {
        let tally = Tally::default();
        tally.count("co", Status::Ok, 2);
        tally.count("co", Status::Ok, 1);
        tally.count("co", Status::Error, 1);
        tally.count("analytic", Status::Ok, 5);
        assert_eq!(counted(&tally, "co", Status::Ok), 3);
        assert_eq!(counted(&tally, "co", Status::Error), 1);
        assert_eq!(counted(&tally, "analytic", Status::Ok), 5);
    }

    #[test]
    fn a_publisher_of_many_names_makes_no_page_without_end() {
        let tally = Tally::default();
        for number in 0..TARGETS_MAX + 50 {
            tally.count(&format!("service_{number}"), Status::Unavailable, 1);
        }
        assert_eq!(counted(&tally, OTHERS, Status::Unavailable), 50);
        tally.count("service_7", Status::Unavailable, 1);
        assert_eq!(counted(&tally, "service_7", Status::Unavailable), 2);
        assert_eq!(tally.targets.lock().unwrap().len(), TARGETS_MAX + 1);
    }
}
