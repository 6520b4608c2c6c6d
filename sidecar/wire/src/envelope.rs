//! JSON-RPC 2.0 requests and answers.
//!
//! A body passes through as the text that came. It is not read into values and written again, so
//! numbers keep their digits and a message costs one pass. A payload is one request or one answer,
//! or a batch of them.

mod answer;
mod batch;
mod batch_answer;
mod object;
mod request;
mod request_id;

pub use answer::{Answer, AnswerError, NotAnswer, answer, failure, success};
pub use batch::{Batch, batch, is_batch};
pub use batch_answer::{answers, failures, room, successes};
pub use request::{Request, request};
pub use request_id::RequestId;
