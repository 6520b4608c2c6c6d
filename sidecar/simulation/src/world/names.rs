//! The services of a run, and the words that name them.

use std::sync::{Arc, LazyLock};

use tpro_wire::{ReplyPrefix, ServiceName};
use uuid::Uuid;

/// The services.
pub const SERVICES: [&str; 3] = ["main", "analytic", "co"];
/// A service that nobody runs.
pub const NOBODY: &str = "nobody";
/// The copies of each service.
pub const COPIES: usize = 3;
/// The space of all services.
pub const SPACE: &str = "tpro";
/// The subject, before the lane, on which a copy says that it is back.
pub const BACK: &str = "_TPRO.back.";

/// The subjects, before the label, of replies that are published to labels.
pub const LABELS: &str = "$$.nats-pwl-reply.";
/// The label that messages name.
pub const LABEL: &str = "label";

/// The words of a service.
pub struct Names {
    /// Its name.
    pub service: ServiceName,
    /// `space.service`.
    pub lane: Arc<str>,
    /// The subjects that it serves.
    pub served: Arc<str>,
    /// The subjects of replies to it.
    pub replies: ReplyPrefix,
    /// The subjects of replies to it, as they are subscribed to.
    pub wildcard: Arc<str>,
    /// `service/instance`.
    pub source: Arc<str>,
    /// The subject on which it is asked who leads it.
    pub lead: Arc<str>,
    /// The subject on which its copies say that they are back.
    pub back: Arc<str>,
}

static NAMES: LazyLock<Vec<Names>> = LazyLock::new(|| SERVICES.iter().map(|name| Names::of(name)).collect());

/// The words of the service at this place.
pub fn names(service: usize) -> &'static Names {
    &NAMES[service]
}

/// True if the message with this uid names a label for its reply.
pub fn names_label(uid: u128) -> bool {
    uid.is_multiple_of(3)
}

/// The priority of the message with this uid: half of them have none.
pub fn priority(uid: u128) -> i32 {
    [0, 1, 2, 3, 0, 0][(uid / 3 % 6) as usize]
}

/// The ordering keys.
pub const KEYS: [&str; 2] = ["a", "b"];

impl Names {
    fn of(name: &str) -> Self {
        let instance = Uuid::from_u128(0x0191_08f7_52d1_4320_9bac_f847_db41_48a8);
        let service = ServiceName::parse(name).expect("is a name");
        let replies = ReplyPrefix::new(&service, &instance);
        Self {
            lane: format!("{SPACE}.{name}").into(),
            served: format!("{SPACE}.{name}.>").into(),
            wildcard: replies.wildcard().into(),
            source: format!("{name}/{instance}").into(),
            lead: format!("_TPRO.lead.{name}").into(),
            back: format!("{BACK}{SPACE}.{name}").into(),
            service,
            replies,
        }
    }
}

/// The lane and the key of a hold by their places, as a chain of messages has them. A service that
/// nobody runs comes after all of them.
pub fn places(lane: &str, key: &str) -> (usize, usize) {
    let of = (0..SERVICES.len()).find(|of| *names(*of).lane == *lane).unwrap_or(usize::MAX);
    (of, KEYS.iter().position(|name| *name == key).unwrap_or(usize::MAX))
}
