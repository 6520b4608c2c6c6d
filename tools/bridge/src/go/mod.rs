//! The bytes of the Go system, read and written.
//!
//! A request is `{"Headers":{...},"Body":{...}}` on the subject of tpro with `jsonrpc://` before
//! it. Its answer is `{"meta":<Headers>,"result":...}`, or with `error` for `result`. The Go
//! program takes each reply for the answer, and ends at one without a number `meta.mq_id`.

mod answer;
mod mq_id;
mod request;
mod trace_id;

pub use self::{
    answer::{Answer, busy, error, is_busy, read_answer, write_answer, wrong_handler},
    mq_id::mq_id,
    request::{Request, Sender, read_request, write_request},
    trace_id::{read_trace_id, write_trace_id},
};

/// The beginning of the subject of each request.
pub const SCHEME: &str = "jsonrpc://";
