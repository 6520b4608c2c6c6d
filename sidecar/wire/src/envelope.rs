//! JSON-RPC 2.0 requests and answers.
//!
//! A body passes through as the text that came. It is not read into values and written again, so
//! numbers keep their digits and a message costs one pass. A payload is one request or one answer;
//! a batch is refused as an invalid request.

mod answer;
mod object;
mod request;
mod request_id;

pub use answer::{Answer, AnswerError, NotAnswer, answer, failure, success};
pub use request::{Request, request};
pub use request_id::RequestId;
