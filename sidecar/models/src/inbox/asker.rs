//! The two who ask under one uid, and what the product makes of their questions.

use std::sync::LazyLock;

use bytes::Bytes;
use tpro_service::inbox::question::Question;
use tpro_wire::{MessageKey, RequestHeaders, Target};

/// The subject, and the body, which the forger has learned as well.
const TARGET: &str = "tpro.analytic.example.simple";
const BODY: &str = "{}";
const UID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
const SOURCE: &str = "main/019108f7-52d1-4320-9bac-f847db4148a8";

/// One who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// The service whose message it is.
    Sender,
    /// Somebody who says to be that service, and does not have its key.
    Forger,
}

impl Asker {
    /// The product takes a delivery of this one for a repeat of a message that was asked first by
    /// that one.
    pub(super) fn repeats(self, first: Self) -> bool {
        static REPEATS: LazyLock<[[bool; 2]; 2]> = LazyLock::new(|| {
            [Asker::Sender, Asker::Forger].map(|asker| {
                [Asker::Sender, Asker::Forger]
                    .map(|first| asker.question().repeats(&first.question().as_first()))
            })
        });
        REPEATS[self as usize][first as usize]
    }

    fn question(self) -> Question {
        let headers = RequestHeaders {
            source: SOURCE.parse().ok(),
            key: Some(MessageKey::of(&[self as u8; 32])),
            ..RequestHeaders::default()
        };
        let (uid, target) = (UID.parse().expect("a uid"), Target::parse(TARGET).expect("a target"));
        let inbox = match self {
            Self::Sender => format!("_INBOX.tpro.main.019108f7.{UID}.2"),
            Self::Forger => "_INBOX.forger".to_owned(),
        };
        Question::new(uid, &headers, &target, Some(&inbox), &Bytes::from_static(BODY.as_bytes()), BODY)
    }
}
