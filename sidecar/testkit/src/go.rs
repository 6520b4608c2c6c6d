//! A stand-in of the Go system that tpro replaces: it writes and reads that program's bytes on
//! NATS, and ends where that program panics.
//!
//! Its runs, and what it has sent, are remembered here: the program keeps no trace of them.

mod answer;
mod ask;
mod bytes;
mod copy;
mod outbox;
mod run;
mod schema;

pub use self::{
    answer::GoAnswer,
    ask::{Came, GoRequester},
    copy::GoCopy,
    outbox::{GoOutbox, GoSent},
    run::Run,
    schema::create_schema,
};
