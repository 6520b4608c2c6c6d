//! The registry of a service: its handlers and its reply handlers.

use std::{collections::HashMap, future::Future};

use serde::{Serialize, de::DeserializeOwned};
use tpro_runtime::config::OwnSetting;
use tpro_wire::{ServiceName, Target};

use super::{
    Ctx, Failure, Fault, ReplyCtx, Tx,
    method::{Method, ReplyHandler, erase, erase_failure, erase_reply},
};

/// The handlers of one service.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Ctx, Failure, Fault, ReplyCtx, Service, Tx};
///
/// async fn simple(_ctx: Ctx, _body: AnyBody) -> Result<u32, Fault> {
///     Ok(7)
/// }
/// async fn booked(tx: Tx, _body: AnyBody) -> Result<(), Fault> {
///     tx.execute("UPDATE seats SET free = free - 1", &[]).await?;
///     Ok(())
/// }
/// async fn sums(_ctx: ReplyCtx, _result: AnyBody) -> Result<(), Fault> {
///     Ok(())
/// }
/// async fn failed(_ctx: ReplyCtx, _failure: Failure) -> Result<(), Fault> {
///     Ok(())
/// }
///
/// fn service() -> Service {
///     Service::new("analytic")
///         .handle("example.simple", simple)
///         .handle_transactional("example.book", booked)
///         .on_reply("co.example.request_with_parallel_queries", sums, failed)
/// }
/// ```
///
/// Nothing here fails: what is wrong with a registration is kept, and said at the start of the
/// process, all at once.
pub struct Service {
    name: String,
    methods: HashMap<String, Method>,
    replies: HashMap<String, ReplyHandler>,
    settings: Vec<OwnSetting>,
    problems: Vec<String>,
}

impl Service {
    /// A service without handlers. The name is checked against `SERVICE_NAME` at the start.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            methods: HashMap::new(),
            replies: HashMap::new(),
            settings: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Answers a method (`example.simple`) in the default way.
    ///
    /// A message is accepted before the handler runs, and its outcome is kept before it is
    /// answered; both are written in batches. A repeat of an answered message gets the kept
    /// outcome. If a copy dies in between, the handler runs again elsewhere, so that effects
    /// outside [`Ctx::tx`] may happen twice: the uid is the key to tell.
    pub fn handle<T, R, Fut>(
        self,
        method: &str,
        handler: impl Fn(Ctx, T) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
    {
        self.add(method, Method::Default(erase(handler)))
    }

    /// Answers a method in one transaction. The inbox row, the handler's changes and the outcome
    /// commit together, so that effects in the database happen exactly once per uid.
    ///
    /// The handler gets the open [`Tx`] and so cannot call another service: no transaction is open
    /// while one waits on NATS.
    pub fn handle_transactional<T, R, Fut>(
        self,
        method: &str,
        handler: impl Fn(Tx, T) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
    {
        self.add(method, Method::Transactional(erase(handler)))
    }

    /// Answers a method without the inbox: a repeat runs again. It is for methods that have no
    /// effects and must be fast.
    pub fn handle_stateless<T, R, Fut>(
        self,
        method: &str,
        handler: impl Fn(Ctx, T) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        Fut: Future<Output = Result<R, Fault>> + Send + 'static,
    {
        self.add(method, Method::Stateless(erase(handler)))
    }

    /// Handles the replies of a target to this service, `<service>.<entity>.<method_name>` of any
    /// space: `ok` gets the result of a reply with status `ok`, `failed` the status and the error
    /// of any other.
    ///
    /// They have their effects once per message, in the transaction that writes the reply, and the
    /// reply is kept even if they fail. An error of the database that passes has them run again,
    /// for as long as a handler may take. They do not run for a message that was cancelled
    /// (`tpro.cancel`): then the operator has written the reply.
    pub fn on_reply<T, Fut, FailedFut>(
        mut self,
        target: &str,
        ok: impl Fn(ReplyCtx, T) -> Fut + Send + Sync + 'static,
        failed: impl Fn(ReplyCtx, Failure) -> FailedFut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
        FailedFut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        // Any space would do: only the three tokens are looked at.
        if let Err(error) = Target::parse(&format!("tpro.{target}")) {
            self.problems
                .push(format!("on_reply({target:?}): not <service>.<entity>.<method_name>: {error}"));
        }
        let handler = ReplyHandler { ok: erase_reply(ok), failed: erase_failure(failed) };
        if self.replies.insert(target.to_owned(), handler).is_some() {
            self.problems.push(format!("on_reply({target:?}) is registered twice"));
        }
        self
    }

    /// Declares a setting of the service's own; handlers read it by [`Ctx::setting`].
    #[must_use]
    pub fn setting(mut self, key: &'static str, default: &'static str, help: &'static str) -> Self {
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if key.is_empty() || !key.bytes().all(upper) {
            self.problems
                .push(format!("setting({key:?}): a key is made of capital letters, digits and underscores"));
        }
        if self.settings.iter().any(|setting| setting.key == key) {
            self.problems.push(format!("setting({key:?}) is declared twice"));
        }
        self.settings.push(OwnSetting::text(key, default, help));
        self
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings of the service's own.
    pub fn settings(&self) -> &[OwnSetting] {
        &self.settings
    }

    /// True if a reply of this target has a reply handler.
    pub fn has_reply_handler(&self, target: &Target) -> bool {
        self.replies.contains_key(target.service_method())
    }

    /// All errors of the registration; the process must not start with any.
    pub fn problems(&self, configured: &ServiceName) -> Vec<String> {
        let mut problems = self.problems.clone();
        if self.name != configured.as_str() {
            problems.push(format!(
                "this program is the service {:?}, but SERVICE_NAME is {:?}",
                self.name,
                configured.as_str()
            ));
        }
        problems
    }

    /// The names of all methods with their ways, in order.
    pub fn methods(&self) -> Vec<(&str, &'static str)> {
        let mut methods: Vec<_> =
            self.methods.iter().map(|(name, method)| (name.as_str(), method.way())).collect();
        methods.sort_unstable();
        methods
    }

    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    pub(crate) fn reply_handler(&self, target: &Target) -> Option<&ReplyHandler> {
        self.replies.get(target.service_method())
    }

    fn add(mut self, method: &str, handler: Method) -> Self {
        // Only the method's two tokens are in question here.
        if let Err(error) = Target::parse(&format!("tpro.main.{method}")) {
            self.problems.push(format!("handle({method:?}): not <entity>.<method_name>: {error}"));
        }
        if self.methods.insert(method.to_owned(), handler).is_some() {
            self.problems.push(format!("handle({method:?}) is registered twice"));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnyBody;

    async fn answer(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
        Ok(1)
    }
    async fn taken(_: ReplyCtx, _: AnyBody) -> Result<(), Fault> {
        Ok(())
    }
    async fn failed(_: ReplyCtx, _: Failure) -> Result<(), Fault> {
        Ok(())
    }

    #[test]
    fn all_mistakes_of_a_registration_are_said_at_once() {
        let service = Service::new("analytic")
            .handle("example.simple", answer)
            .handle_stateless("example.simple", answer)
            .handle("example", answer)
            .on_reply("co.example.*", taken, failed)
            .on_reply("co.example.x", taken, failed)
            .on_reply("co.example.x", taken, failed)
            .setting("pause", "1", "no capitals");
        let problems = service.problems(&ServiceName::parse("main").unwrap());
        assert_eq!(problems.len(), 6, "{problems:?}");
    }

    #[test]
    fn reply_handlers_are_found_in_any_space() {
        let service = Service::new("main").on_reply("co.example.x", taken, failed);
        assert!(service.has_reply_handler(&Target::parse("tpro.co.example.x").unwrap()));
        assert!(service.has_reply_handler(&Target::parse("other.co.example.x").unwrap()));
        assert!(!service.has_reply_handler(&Target::parse("tpro.co.example.y").unwrap()));
        assert!(service.problems(&ServiceName::parse("main").unwrap()).is_empty());
    }
}
