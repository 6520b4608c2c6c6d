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
//! Each of them knows the state of its service: `Ctx<S>` of a `Service<S>`, and `Ctx` of a service
//! without one.
//!
//! The types say that a transaction cannot call, and no check is needed. Were a call possible, A ->
//! B -> A would wait for connections that its own first half holds.

mod around;
pub(crate) mod batch;
pub(crate) mod body;
mod call;
mod call_error;
pub(crate) mod calls;
pub(crate) mod cause;
mod ctx;
mod described;
mod fault;
mod handlers;
mod into_fault;
pub(crate) mod journal;
mod limited;
pub(crate) mod limits;
mod method;
mod on_reply;
pub(crate) mod outcome;
mod publish;
mod query_error;
mod record;
mod register;
pub mod reply;
pub(crate) mod reply_ctx;
mod reply_row;
mod result;
pub(crate) mod run;
pub(crate) mod schemas;
pub(crate) mod scope;
mod service;
pub mod settling;
pub(crate) mod sql;
mod sql_reply;
mod statements;
pub(crate) mod transaction;
mod tx;
pub(crate) mod way;
pub(crate) mod whole;

pub use self::{
    around::{Answer, Next, Request},
    call_error::CallError,
    ctx::{Calling, Ctx},
    fault::Fault,
    handlers::Handlers,
    into_fault::IntoFault,
    method::Method,
    on_reply::OnReply,
    publish::Publish,
    query_error::QueryError,
    reply_ctx::{Failure, ReplyCtx},
    result::HandlerResult,
    schemas::Schemas,
    service::{Service, Started},
    statements::Statements,
    tx::Tx,
};
