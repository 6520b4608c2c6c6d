//! A message a handler publishes with its transaction.

use std::time::SystemTime;

use serde::Serialize;
use tpro_wire::{
    Protocol, Target, limits,
    rules::{self, RuleError},
    shape::Shape,
};

use super::{Fault, Method, Statements, body};
use crate::{host::Host, stage::Sent};

/// A message to be published: its target, and its options.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use std::time::{Duration, SystemTime};
///
/// use tpro_sidecar::{AnyBody, Fault, Publish, Tx};
///
/// async fn paid(tx: Tx, bill: AnyBody) -> Result<(), Fault> {
///     tx.publish_with(Publish::to("mail.bill.send").timeout(60), &bill).await?;
///     tx.publish_with(Publish::to("audit.bill.paid").event(), &bill).await?;
///     let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
///     tx.publish_with(Publish::to("mail.bill.remind").send_at(tomorrow), &bill).await?;
///     tx.publish_with(Publish::to("ledger.bill.book").ordering_key("customer 17"), &bill).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a message is published by `publish_with`"]
pub struct Publish<'a> {
    target: &'a str,
    timeout: i32,
    headers: &'a str,
    protocol: Protocol,
    priority: i32,
    send_at: Option<SystemTime>,
    ordering_key: Option<&'a str>,
    on_reply: Option<&'a str>,
}

impl<'a> Publish<'a> {
    /// To `<service>.<entity>.<method_name>`, or with another space than our own in front; waits 15
    /// s for the reply.
    pub fn to(target: &'a str) -> Self {
        Self {
            target,
            timeout: 15,
            headers: "{}",
            protocol: Protocol::JsonRpc,
            priority: 0,
            send_at: None,
            ordering_key: None,
            on_reply: None,
        }
    }

    /// To the method of a request, as [`Publish::to`] does.
    pub fn request<M: Method>() -> Publish<'static> {
        Publish::to(M::TARGET)
    }

    /// Waits this number of seconds for the reply, at most 86,400.
    pub fn timeout(self, seconds: i32) -> Self {
        Self { timeout: seconds, ..self }
    }

    /// Waits for no reply: an event.
    pub fn event(self) -> Self {
        Self { timeout: 0, ..self }
    }

    /// With these headers, JSON text of an object.
    pub fn headers(self, json: &'a str) -> Self {
        Self { headers: json, ..self }
    }

    /// In this protocol.
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// With this priority, 0 to 3; else 0, also if the handler's own message has another. Of the
    /// messages to one service that wait, the highest have the largest share.
    pub fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// To be sent at this time, by the clock of the database, and not before: at most 30 days
    /// ahead. What has passed is sent at once. The time to wait for the reply begins when it is
    /// sent.
    pub fn send_at(self, time: SystemTime) -> Self {
        Self { send_at: Some(time), ..self }
    }

    /// In order with the other messages of this service that have this key and go to the same
    /// service: each is sent when the one before has its reply, of any status. 1 to 200 bytes. With
    /// the headers `{"ordering": {"on_error": "hold"}}` those behind it wait if it fails, until
    /// somebody calls `tpro.retry` or `tpro.release`.
    pub fn ordering_key(self, key: &'a str) -> Self {
        Self { ordering_key: Some(key), ..self }
    }

    /// With its reply handled by this function in SQL, `schema.function`, that takes a
    /// `tpro.reply_row` and returns nothing. It goes before those that handle all replies of the
    /// method.
    pub fn on_reply(self, function: &'a str) -> Self {
        Self { on_reply: Some(function), ..self }
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
        let sent = match &app.stage {
            None => None,
            Some(stage) => {
                let (target, value) = (target.subject().to_owned(), serde_json::from_str(body.get())?);
                let sent = Sent { target, body: value, timeout: self.timeout };
                if !stage.has_database {
                    self.check(body.get())?;
                    return Ok(stage.publish(sent));
                }
                Some((stage, sent))
            }
        };
        let passed = if hops == 0 { "{}".to_owned() } else { format!(r#"{{"tpro-hops":{hops}}}"#) };
        let row = statements
            .query_one(
                "/* tpro.publish */ SELECT tpro.publish(service_name => $1::text, entity => $2, method_name => $3, \
                 body => $4::text::jsonb, headers => $5::text::jsonb || $10::text::jsonb, \
                 timeout => $6, protocol => $7, sender => $8, space_name => $9, priority => $11, send_at => $12, \
                 ordering_key => $13, on_reply => $14)",
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
                    &self.priority,
                    &self.send_at,
                    &self.ordering_key,
                    &self.on_reply,
                ],
            )
            .await?;
        if let Some((stage, sent)) = sent {
            stage.publish(sent);
        }
        Ok(row.try_get(0)?)
    }

    /// The rules by which the database would refuse it.
    fn check(&self, body: &str) -> Result<(), RuleError> {
        let shape = Shape::of(body);
        rules::timeout(self.timeout)?;
        rules::priority(self.priority)?;
        if let Some(time) = self.send_at {
            rules::send_at(ahead(time))?;
        }
        self.ordering_key.map_or(Ok(()), rules::ordering_key)?;
        self.on_reply.map_or(Ok(()), rules::on_reply)?;
        rules::headers(self.headers)?;
        rules::body(shape, limits::MAX_BODY)?;
        rules::body_for(self.protocol, shape)
    }
}

/// Microseconds from now until then.
fn ahead(time: SystemTime) -> i64 {
    let ahead = time.duration_since(SystemTime::now()).unwrap_or_default();
    i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX)
}
