//! The API of a service: the registry of its handlers, and the contexts that handlers get.
//!
//! [`Service`] is the registry. A handler is an async function of a context and a typed body. The
//! context gives its rights:
//!
//! | context | in | may |
//! |---|---|---|
//! | [`Ctx`] | `handle`, `handle_stateless` | query on pool connections, call other services, begin
//! a transaction |
//! | [`Tx`] | `handle_transactional`, or from [`Ctx::tx`] | query and publish in one transaction,
//! no call |
//! | [`ReplyCtx`] | `on_reply` | query and publish in the transaction that writes the reply, no
//! call |
//!
//! The types say that a transaction cannot call, and no check is needed. Were a call possible, A ->
//! B -> A would wait for connections that its own first half holds.

mod body;
mod call;
mod call_error;
pub(crate) mod calls;
pub(crate) mod cause;
mod ctx;
mod fault;
pub(crate) mod journal;
pub(crate) mod method;
pub(crate) mod outcome;
mod publish;
mod query_error;
mod record;
pub mod reply;
mod reply_ctx;
mod reply_row;
pub(crate) mod run;
pub(crate) mod scope;
mod service;
pub mod settling;
mod statements;
pub(crate) mod transaction;
mod tx;
mod whole;

pub use self::{
    call_error::CallError,
    ctx::{Calling, Ctx},
    fault::Fault,
    publish::Publish,
    query_error::QueryError,
    reply_ctx::{Failure, ReplyCtx},
    service::Service,
    statements::Statements,
    tx::Tx,
};
