//! The outcomes that the dispatcher itself finds, in words that help the reader of the row.

use tpro_runtime::version;
use tpro_wire::{
    Language,
    error::{RpcError, code},
    refusal,
    status::Status,
    target::Target,
};

use super::message::{Message, Refusal};

/// A final outcome: a status with its result or its error.
#[derive(Debug)]
pub struct Outcome {
    pub status: Status,
    /// JSON text.
    pub result: Option<String>,
    /// JSON text of a JSON-RPC error object.
    pub error: Option<String>,
    /// The copy that answered.
    pub responder: Option<String>,
}

impl Outcome {
    pub fn ok(result: String, responder: Option<String>) -> Self {
        Self { status: Status::Ok, result: Some(result), error: None, responder }
    }

    /// The server has the event; nobody answers it.
    pub fn taken() -> Self {
        Self { status: Status::Ok, result: None, error: None, responder: None }
    }

    pub fn error(error: &RpcError, responder: Option<String>) -> Self {
        Self { status: Status::Error, result: None, error: Some(error.to_json()), responder }
    }

    fn failed(status: Status, code: i64, text: String) -> Self {
        Self { status, result: None, error: Some(RpcError::new(code, text).to_json()), responder: None }
    }

    /// The outcome for a reader of this language.
    pub fn in_language(mut self, language: Language) -> Self {
        if language != Language::English
            && let Some(text) = &self.error
            && let Ok(error) = serde_json::from_str::<RpcError>(text)
        {
            self.error = Some(language.of_error(&error).to_json());
        }
        self
    }

    /// Bytes of its JSON.
    pub fn len(&self) -> usize {
        self.result.as_ref().map_or(0, String::len) + self.error.as_ref().map_or(0, String::len)
    }

    /// `heard` says whether anything has ever come from the service.
    pub fn timeout(message: &Message, heard: bool) -> Self {
        let (target, attempts) = (&message.row.target, message.attempt);
        let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
        let mut text = format!("no answer from {target} within {} s; it was sent {times}", seconds(message));
        if message.noise > 0 {
            text.push_str(", and what came back said nothing about it");
        }
        if !heard {
            let service = message.row.target.service();
            text.push_str(&format!(
                "; nothing has come from service {service} so far: perhaps nobody runs it, and somebody else takes its messages"
            ));
        }
        Self::failed(Status::Timeout, code::TIMEOUT, text)
    }

    /// Somebody takes the messages of a service that is not there.
    pub fn unheard(message: &Message) -> Self {
        let error = refusal::unheard(&message.row.target, seconds(message));
        Self::failed(Status::Unavailable, error.code, error.message)
    }

    pub fn unavailable(message: &Message, refusal: Refusal) -> Self {
        if message.row.is_acked && refusal == Refusal::NoResponders {
            let (target, seconds) = (&message.row.target, seconds(message));
            let text =
                format!("no stream keeps what is published to {target}: NATS found none for {seconds} s");
            return Self::failed(Status::Unavailable, code::UNAVAILABLE, text);
        }
        let error = refusal.on_the_wire().to_error(&message.row.target, seconds(message), version::spoken());
        Self::failed(Status::Unavailable, error.code, error.message)
    }

    /// Somebody else has settled it, most likely an operator who has cancelled it: what its trace
    /// says.
    pub fn cancelled() -> Self {
        Self::failed(Status::Cancelled, code::CANCELLED, "it was settled by somebody else".into())
    }

    /// It expired before this leader has sent it. A leader before may have sent it: then nobody can
    /// say that it did not run.
    pub fn expired(target: &Target, may_have_run: bool) -> Self {
        if !may_have_run {
            return Self::failed(Status::Expired, code::EXPIRED, "it expired before it was sent".into());
        }
        let text =
            format!("it expired while another copy took over the sending; {target} may have worked on it");
        Self::failed(Status::Timeout, code::TIMEOUT, text)
    }

    pub fn stale(target: &Target) -> Self {
        let text = format!(
            "{target} refused it as stale: it is older than that service's inbox remembers, so that a repeat could not be told"
        );
        Self::failed(Status::Timeout, code::STALE, text)
    }

    pub fn too_large(size: usize, most: usize) -> Self {
        let text = format!("the message has {size} bytes with its envelope, NATS takes {most}");
        Self::error(&RpcError::new(code::TOO_LARGE, text), None)
    }

    pub fn too_many_hops(most: u32) -> Self {
        let text =
            format!("the chain of calls has passed through {most} services; it probably goes in a circle");
        Self::error(&RpcError::new(code::HOPS, text), None)
    }

    pub fn broken(column: &str) -> Self {
        let text =
            format!("the row cannot be sent: its {column} has a value that a publish would have refused");
        Self::error(&RpcError::new(code::INVALID_REQUEST, text), None)
    }
}

/// The budget the message had.
fn seconds(message: &Message) -> u64 {
    message.row.budget.duration().as_secs()
}
