//! The reasons why nobody takes a message.

use crate::error::{RpcError, code};
use crate::target::Target;
use crate::version::{Version, Versions};

/// The reason why nobody takes a message. A message that is refused until its budget is spent ends
/// with status `unavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// NATS knows no subscriber of the subject.
    NoResponders,
    /// A copy is there and takes no more work now.
    Overloaded,
    /// The NATS server does not let the sender publish to the subject.
    Forbidden,
    /// A copy is there and understands other versions than the sender's.
    Unsupported(Versions),
}

impl Refusal {
    /// The word for metrics and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoResponders => "no_responders",
            Self::Overloaded => "overloaded",
            Self::Forbidden => "forbidden",
            Self::Unsupported(_) => "unsupported",
        }
    }

    /// The error of a message to `target` that was refused for this number of `seconds`, the last
    /// time for this reason. It names the remedy. `spoken` is the sender's version.
    pub fn to_error(self, target: &Target, seconds: u64, spoken: Version) -> RpcError {
        let service = target.service();
        let (code, text) = match self {
            Self::NoResponders => (
                code::UNAVAILABLE,
                format!(
                    "nobody runs service {service}: NATS found no subscriber of {target} for {seconds} s; start a copy of it, or correct the name"
                ),
            ),
            Self::Forbidden => (
                code::UNAVAILABLE,
                format!(
                    "the NATS server forbids to publish to {target}: allow it to this service's user there (NATS_USER)"
                ),
            ),
            Self::Overloaded => (
                code::OVERLOADED,
                format!(
                    "service {service} is overloaded: no copy took the message for {seconds} s; start another copy, or send less"
                ),
            ),
            Self::Unsupported(theirs) => (
                code::UNSUPPORTED,
                format!(
                    "no copy of service {service} that understands version {spoken} of the wire took the message for {seconds} s; those that answered understand {theirs}: bring the older of the two services up to date"
                ),
            ),
        };
        RpcError::new(code, text)
    }
}

/// The error of a call to a service for which the Go system answers. Nothing was sent to it.
pub fn go(service: &str) -> RpcError {
    let text = format!(
        "the Go system answers for service {service} on this NATS, and its copies would end at a message of tpro: nothing was sent; \
         give tpro a NATS server of its own, as docs/migration.md says"
    );
    RpcError::new(code::UNAVAILABLE, text)
}

/// The error of a message to `target` that somebody takes for this number of `seconds` who is not
/// its service.
pub fn unheard(target: &Target, seconds: u64) -> RpcError {
    let service = target.service();
    let text = format!(
        "nobody runs service {service}: somebody took {target} and has not answered for {seconds} s, no copy said that it is there \
         when it was asked, and nothing has come from one before; start a copy, or correct the name. Some client of NATS \
         subscribes to a wildcard over this subject, such as >"
    );
    RpcError::new(code::UNAVAILABLE, text)
}
