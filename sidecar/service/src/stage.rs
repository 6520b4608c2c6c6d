//! The stage of a test: it stands for the servers that a handler would ask.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::de::DeserializeOwned;
use tpro_wire::{RpcError, Target, error::code};

/// Answers a call: a body goes in, a result or an error comes out, all of it JSON text.
pub type Answering = Box<dyn Fn(&str) -> Result<String, RpcError> + Send + Sync>;

/// A message that a handler has published, or a call that it has made.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use serde_json::json;
/// use tpro_sidecar::{AnyBody, Fault, Service, Tx};
///
/// async fn pay(tx: Tx, _: AnyBody) -> Result<i64, Fault> {
///     tx.publish("mail.receipt.send", &json!({ "bill": 7 })).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let test = tpro_sidecar::test(Service::new("billing").handle_transactional("bill.pay", pay));
/// test.call::<i64>("bill.pay", &json!({})).await.map_err(|fault| fault.message().to_owned())?;
/// let sent = &test.published()[0];
/// assert_eq!((sent.target.as_str(), sent.timeout), ("tpro.mail.receipt.send", 15));
/// assert_eq!(sent.read::<serde_json::Value>()?["bill"], 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The target: `tpro.analytic.example.simple`.
    pub target: String,
    /// The body.
    pub body: serde_json::Value,
    /// The time to wait for a reply, in seconds; 0 for an event. A call has the rest of its
    /// handler's time instead.
    pub timeout: i32,
}

impl Sent {
    /// The body as a type. The error says which part of it does not fit, and no value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.body.clone())
    }
}

/// The stage of a test.
#[derive(Default)]
pub struct Stage {
    /// True if there is a real database.
    pub(crate) has_database: bool,
    /// The answers to calls, by `service.entity.method_name`.
    pub(crate) answers: HashMap<String, Answering>,
    published: Mutex<Vec<Sent>>,
    called: Mutex<Vec<Sent>>,
    missing: Mutex<Option<String>>,
}

impl Stage {
    /// Notes a message that is published. Returns its number among all of them.
    pub(crate) fn publish(&self, message: Sent) -> i64 {
        let mut published = lock(&self.published);
        published.push(message);
        published.len() as i64
    }

    /// The messages that were published so far.
    pub(crate) fn published(&self) -> Vec<Sent> {
        lock(&self.published).clone()
    }

    /// Forgets the messages after the first `number`: their transaction is rolled back.
    pub(crate) fn forget_after(&self, number: usize) {
        lock(&self.published).truncate(number);
    }

    /// The calls that were made so far.
    pub(crate) fn called(&self) -> Vec<Sent> {
        lock(&self.called).clone()
    }

    /// Answers a call. A call that the test has no answer to is noted.
    pub(crate) fn answer(&self, target: &Target, body: &str) -> Result<String, RpcError> {
        let value = serde_json::from_str(body).unwrap_or_default();
        lock(&self.called).push(Sent { target: target.subject().to_owned(), body: value, timeout: 0 });
        match self.answers.get(target.service_method()) {
            Some(answer) => answer(body),
            None => {
                let target = target.service_method();
                let text = format!(
                    "this test has no answer to {target}: give it one by `.answer(\"{target}\", |body| ...)`"
                );
                lock(&self.missing).get_or_insert(text.clone());
                Err(RpcError::new(code::UNAVAILABLE, text))
            }
        }
    }

    /// The first answer that the test does not have.
    pub(crate) fn missing(&self) -> Option<String> {
        lock(&self.missing).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
