//! Models of the protocols behind the promise, small enough to be checked exhaustively.
//!
//! A model runs the code by which the product decides, and supplies PostgreSQL, NATS and the faults
//! around it. Each model takes a [`Variant`-like](bell::Variant) switch: the protocol as built, and
//! simpler forms that look right and are not. The tests assert that the first holds in every
//! reachable state and that the checker refutes each of the others, so that a model too weak to see
//! the fault cannot pass.
//!
//! - [`bell`] runs `tpro_dispatcher::core::bell`, beside commits, locks and notifications.
//! - [`cursor`] runs the `reader` and the `snapshot` of that core, beside transactions, the rows of
//!   `read.sql` and `look_back.sql`, and a floor as high as it can be.
//! - [`hold`] runs the `chains` and the `holds` of that core, beside replies, late answers,
//!   operators, and a leader before whose reply is committed late.
//! - [`inbox`] runs `verdict`, `run_limit` and `question` of `tpro_service::inbox`, beside keys,
//!   open transactions, locks, deadlines and deliveries.
//! - [`leadership`] runs `tpro_service::handler::settling`, beside the lock, sessions, `mq_reply`,
//!   failovers, requests and replies.
//! - [`order`] runs the `chains`, the `reader` and the `floor` of that core, beside transactions,
//!   ids, pages, replies, and leaders that take over at any step.
//! - [`partitions`] runs `tpro_maintenance::bounds`, beside its own copy of the functions in
//!   PL/pgSQL that make and drop partitions, and readers, writers and ids that jump.
//! - [`rivals`] runs `standing`, `refusal` and `identity` of `tpro_dispatcher::election`, beside
//!   servers that stop and come back, and answers that are late.
#![forbid(unsafe_code)]

pub mod bell;
pub mod cursor;
pub mod hold;
pub mod inbox;
pub mod leadership;
pub mod order;
pub mod partitions;
mod reach;
pub mod rivals;
