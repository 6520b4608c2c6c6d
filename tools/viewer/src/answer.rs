//! Answers of the API: each is text of a bounded size, and a bounded number of them is on its way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers on their way at a time; they hold their text until it is sent.
const AT_A_TIME: usize = 4;
/// The longest wait of an answer for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// The bytes that the connection gets at a time.
const PIECE: usize = 64 * 1024;

/// The turns of answers, and their largest size.
#[derive(Clone)]
pub struct Answers {
    turns: Arc<Semaphore>,
    /// One is written at a time: what is looked at is several times as large as what is kept.
    writing: Arc<Semaphore>,
    most: usize,
}

/// The turn of one answer.
pub struct Turn {
    permit: OwnedSemaphorePermit,
    _writing: OwnedSemaphorePermit,
    /// Bytes that it may have.
    pub most: usize,
}

impl Answers {
    /// Answers of so many bytes all together.
    pub fn new(bytes: usize) -> Self {
        let (turns, writing) = (Arc::new(Semaphore::new(AT_A_TIME)), Arc::new(Semaphore::new(1)));
        Self { turns, writing, most: bytes / AT_A_TIME }
    }

    /// Waits for its turn; none if others do not come to their end.
    pub async fn turn(&self) -> Option<Turn> {
        let turn = async {
            let permit = self.turns.clone().acquire_owned().await.ok()?;
            let writing = self.writing.clone().acquire_owned().await.ok()?;
            Some(Turn { permit, _writing: writing, most: self.most })
        };
        tokio::time::timeout(PATIENCE, turn).await.ok()?
    }
}

impl Turn {
    /// The answer: this text of JSON.
    pub fn json(self, text: Vec<u8>) -> Response {
        let rest = (Bytes::from(text), self.permit);
        let pieces = stream::unfold(rest, |(mut rest, permit)| async move {
            let piece = rest.split_to(PIECE.min(rest.len()));
            (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), (rest, permit)))
        });
        (StatusCode::OK, [(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
    }
}
