//! An outcome on its way into the table.

use tpro_runtime::settlement::Settlement;
use tpro_wire::Language;

use super::lane_id::LaneId;

/// An outcome, and the bytes it counts for.
#[derive(Debug)]
pub struct Settled {
    /// The outcome.
    pub settlement: Settlement,
    /// The bytes of its JSON.
    pub bytes: usize,
    /// The lane in which it counts until its reply handler is done.
    pub lane: LaneId,
    /// The language of its texts.
    pub language: Language,
    /// A try with its reply handler has ended, and it is to be written without.
    pub is_tried: bool,
}

/// An outcome for tests.
#[cfg(test)]
pub fn settled_of(target: tpro_wire::Target, bytes: usize) -> Settled {
    let settlement = Settlement {
        id: 1,
        uid: tpro_wire::Uid::v7(1, [1; 10]),
        target,
        status: tpro_wire::Status::Ok,
        result: None,
        error: None,
        headers: None,
        priority: tpro_wire::Priority::default(),
        attempts: 1,
        sent_at: None,
        responder: None,
        reply_to: None,
        on_reply: None,
        hold: None,
        traceparent: tpro_wire::TraceParent::root([1; 24], false),
    };
    Settled { settlement, bytes, lane: LaneId::default(), language: Language::default(), is_tried: false }
}
