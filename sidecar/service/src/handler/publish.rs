//! A message a handler publishes with its transaction.

use serde::Serialize;
use tpro_wire::{Protocol, Target};

use super::{Fault, Statements, body};
use crate::host::Host;

/// A message to be published: its target, and its options.
#[derive(Clone, Debug)]
pub struct Publish<'a> {
    target: &'a str,
    timeout: i32,
    headers: &'a str,
    protocol: Protocol,
}

impl<'a> Publish<'a> {
    /// To `<service>.<entity>.<method_name>`, or with another space than our own in front; waits 15
    /// s for the reply.
    pub fn to(target: &'a str) -> Self {
        Self { target, timeout: 15, headers: "{}", protocol: Protocol::JsonRpc }
    }

    /// Waits this number of seconds for the reply, at most 86,400.
    #[must_use]
    pub fn timeout(self, seconds: i32) -> Self {
        Self { timeout: seconds, ..self }
    }

    /// Waits for no reply: an event.
    #[must_use]
    pub fn event(self) -> Self {
        Self { timeout: 0, ..self }
    }

    /// With these headers, JSON text of an object.
    #[must_use]
    pub fn headers(self, json: &'a str) -> Self {
        Self { headers: json, ..self }
    }

    /// In this protocol.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Publishes it. `hops` is the number of services that the message has passed through already:
    /// the dispatcher reads it from the row's headers and ends a circle of services.
    pub(crate) async fn send(
        &self,
        app: &Host,
        statements: &Statements,
        body: &(impl Serialize + ?Sized),
        hops: u32,
    ) -> Result<i64, Fault> {
        let target = match self.target.matches('.').count() {
            2 => Target::parse(&format!("{}.{}", app.config.space, self.target))?,
            _ => Target::parse(self.target)?,
        };
        let body = body::raw(body)?;
        let passed = if hops == 0 { "{}".to_owned() } else { format!(r#"{{"tpro-hops":{hops}}}"#) };
        let row = statements
            .query_one(
                "/* tpro.publish */ SELECT tpro.publish(service_name => $1, entity => $2, method_name => $3, \
                 body => $4::text::jsonb, headers => $5::text::jsonb || $10::text::jsonb, \
                 timeout => $6, protocol => $7, sender => $8, space_name => $9)",
                &[
                    &target.service(),
                    &target.entity(),
                    &target.method_name(),
                    &body.get(),
                    &self.headers,
                    &self.timeout,
                    &self.protocol.as_str(),
                    &app.source.service.as_str(),
                    &target.space(),
                    &passed,
                ],
            )
            .await?;
        Ok(row.try_get(0)?)
    }
}
