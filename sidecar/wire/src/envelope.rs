//! JSON-RPC 2.0 requests and answers.
//!
//! Bodies pass through as the text they came as: nothing is read into values and written again, so that numbers
//! keep their digits, and a message costs one pass. One request or answer per payload; a batch is refused as an
//! invalid request.

mod answer;
mod object;
mod request;
mod request_id;

pub use answer::{Answer, AnswerError, NotAnswer, answer, failure, success};
pub use request::{Request, request};
pub use request_id::RequestId;
