//! A stand-in of the Go system that tpro replaces: it writes and reads that program's bytes on
//! NATS, and ends where that program panics.
//!
//! It knows no database. Its runs are remembered here.

mod answer;
mod ask;
mod bytes;
mod copy;
mod run;
mod schema;

pub use self::{
    answer::GoAnswer,
    ask::{Came, GoRequester},
    copy::GoCopy,
    run::Run,
    schema::create_schema,
};
