//! The registration of handlers.
//!
//! A method is named by a text, or by the type of its requests (`_request`, `_to`): then the
//! compiler holds name, body and reply together.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};
use tpro_wire::Target;

use super::{
    Ctx, Failure, HandlerResult, Method, OnReply, Service, Tx,
    on_reply::reaction,
    way::{Reaction, Way, erase},
};

impl<S: 'static> Service<S> {
    /// Answers a method (`example.simple`) in the default way.
    ///
    /// A message is accepted before the handler runs, and its outcome is kept before it is
    /// answered; both are written in batches. A repeat of an answered message gets the kept
    /// outcome. If a copy dies in between, the handler runs again elsewhere, so that effects
    /// outside [`Ctx::tx`] may happen twice: the uid is the key to tell.
    pub fn handle<T, Fut, O>(
        self,
        method: &str,
        handler: impl Fn(Ctx<S>, T) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        Fut: Future<Output = O> + Send + 'static,
        O: HandlerResult,
        O::Reply: Serialize,
    {
        self.add(method, Way::Default(erase(Ctx::typed, handler)))
    }

    /// Answers a method in one transaction. The inbox row, the handler's changes and the outcome
    /// commit together, so that effects in the database happen exactly once per uid.
    ///
    /// The handler gets the open [`Tx`] and so cannot call another service: no transaction is open
    /// while one waits on NATS.
    pub fn handle_transactional<T, Fut, O>(
        self,
        method: &str,
        handler: impl Fn(Tx<S>, T) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        Fut: Future<Output = O> + Send + 'static,
        O: HandlerResult,
        O::Reply: Serialize,
    {
        self.add(method, Way::Transactional(erase(Tx::typed, handler)))
    }

    /// Answers a method without the inbox: a repeat runs again. It is for methods that have no
    /// effects and must be fast.
    pub fn handle_stateless<T, Fut, O>(
        self,
        method: &str,
        handler: impl Fn(Ctx<S>, T) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + 'static,
        Fut: Future<Output = O> + Send + 'static,
        O: HandlerResult,
        O::Reply: Serialize,
    {
        self.add(method, Way::Stateless(erase(Ctx::typed, handler)))
    }

    /// Answers the method of the request that the handler takes, as [`Service::handle`] does. The
    /// handler must return the reply of that method.
    pub fn handle_request<M, Fut, O>(self, handler: impl Fn(Ctx<S>, M) -> Fut + Send + Sync + 'static) -> Self
    where
        M: Method + DeserializeOwned + 'static,
        M::Reply: Serialize,
        Fut: Future<Output = O> + Send + 'static,
        O: HandlerResult<Reply = M::Reply>,
    {
        self.add_request::<M>(Way::Default(erase(Ctx::typed, handler)))
    }

    /// Answers the method of the request that the handler takes, as
    /// [`Service::handle_transactional`] does.
    pub fn handle_request_transactional<M, Fut, O>(
        self,
        handler: impl Fn(Tx<S>, M) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        M: Method + DeserializeOwned + 'static,
        M::Reply: Serialize,
        Fut: Future<Output = O> + Send + 'static,
        O: HandlerResult<Reply = M::Reply>,
    {
        self.add_request::<M>(Way::Transactional(erase(Tx::typed, handler)))
    }

    /// Answers the method of the request that the handler takes, as [`Service::handle_stateless`]
    /// does.
    pub fn handle_request_stateless<M, Fut, O>(
        self,
        handler: impl Fn(Ctx<S>, M) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        M: Method + DeserializeOwned + 'static,
        M::Reply: Serialize,
        Fut: Future<Output = O> + Send + 'static,
        O: HandlerResult<Reply = M::Reply>,
    {
        self.add_request::<M>(Way::Stateless(erase(Ctx::typed, handler)))
    }

    /// Handles the replies of a target to this service, `<service>.<entity>.<method_name>` of any
    /// space: `ok` gets the result of a reply with status `ok`, `failed` the status and the error
    /// of any other.
    ///
    /// They have their effects once per message, in the transaction that writes the reply, and the
    /// reply is kept even if they fail. An error of the database that passes has them run again,
    /// for as long as a handler may take. They do not run for a message that was cancelled
    /// (`tpro.cancel`): then the operator has written the reply.
    pub fn on_reply<T>(self, target: &str, ok: impl OnReply<S, T>, failed: impl OnReply<S, Failure>) -> Self
    where
        T: DeserializeOwned + 'static,
    {
        self.add_reaction(target, reaction(ok, failed))
    }

    /// Handles the replies to the requests of a type, as [`Service::on_reply`] does:
    /// `.on_reply_to::<Login>(logged_in, login_failed)`. The first handler takes the reply of that
    /// method.
    pub fn on_reply_to<M>(self, ok: impl OnReply<S, M::Reply>, failed: impl OnReply<S, Failure>) -> Self
    where
        M: Method,
        M::Reply: DeserializeOwned + 'static,
    {
        self.add_reaction(M::TARGET, reaction(ok, failed))
    }

    fn add_request<M: Method>(mut self, way: Way) -> Self {
        let (service, method) = M::TARGET.split_once('.').unwrap_or_default();
        if service != self.name {
            let (target, own) = (M::TARGET, &self.name);
            self.problems.push(format!("handle_request of {target:?}: this is the service {own:?}"));
        }
        let mut service = self.add(method, way);
        if let Some(schemas) = M::schemas() {
            service.add_schemas(schemas);
        }
        service
    }

    fn add(mut self, method: &str, way: Way) -> Self {
        // Only the method's two tokens are in question here.
        if let Err(error) = Target::parse(&format!("tpro.main.{method}")) {
            self.problems.push(format!("handle({method:?}): not <entity>.<method_name>: {error}"));
        }
        if self.is_surrounded {
            let rule = "comes after around(..), which is to be around it: register it before";
            self.problems.push(format!("handle({method:?}) {rule}"));
        }
        if !self.handlers.add_method(method, way) {
            self.problems.push(format!("handle({method:?}) is registered twice"));
        }
        self.last = Some(method.to_owned());
        self
    }

    fn add_reaction(mut self, target: &str, reaction: Reaction) -> Self {
        // Any space would do: only the three tokens are looked at.
        if let Err(error) = Target::parse(&format!("tpro.{target}")) {
            self.problems
                .push(format!("on_reply({target:?}): not <service>.<entity>.<method_name>: {error}"));
        }
        if !self.handlers.add_reaction(target, reaction) {
            self.problems.push(format!("on_reply({target:?}) is registered twice"));
        }
        self.last = None;
        self
    }
}

#[cfg(test)]
mod tests {
    use tpro_wire::ServiceName;

    use super::*;
    use crate::{AnyBody, Fault, ReplyCtx};

    async fn answer(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
        Ok(1)
    }
    async fn taken(_: ReplyCtx, _: AnyBody) -> Result<(), Fault> {
        Ok(())
    }
    async fn failed(_: ReplyCtx, _: Failure) -> Result<(), Fault> {
        Ok(())
    }

    #[derive(serde::Deserialize)]
    struct Ask;

    impl Method for Ask {
        const TARGET: &'static str = "co.example.ask";
        type Reply = u8;
    }

    async fn ask(_: Ctx, _: Ask) -> Result<u8, Fault> {
        Ok(1)
    }

    #[test]
    fn all_mistakes_of_a_registration_are_said_at_once() {
        let service = Service::new("analytic")
            .handle("example.simple", answer)
            .handle_stateless("example.simple", answer)
            .handle("example", answer)
            .handle_request(ask)
            .on_reply("co.example.*", taken, failed)
            .on_reply("co.example.x", taken, failed)
            .on_reply("co.example.x", taken, failed)
            .setting("pause", "1", "no capitals");
        let problems = service.problems(&ServiceName::parse("main").unwrap());
        assert_eq!(problems.len(), 7, "{problems:?}");
        assert!(
            problems
                .contains(&r#"handle_request of "co.example.ask": this is the service "analytic""#.into())
        );
    }

    #[test]
    fn reply_handlers_are_found_in_any_space() {
        let service = Service::new("main").on_reply("co.example.x", taken, failed);
        let has = |target: &str| service.handlers.has_reply_handler(&Target::parse(target).unwrap());
        assert!(has("tpro.co.example.x") && has("other.co.example.x") && !has("tpro.co.example.y"));
        assert!(service.problems(&ServiceName::parse("main").unwrap()).is_empty());
    }

    #[test]
    fn a_request_names_its_method() {
        let service = Service::new("co").handle_request(ask).on_reply_to::<Ask>(u8_taken, failed);
        assert!(service.problems(&ServiceName::parse("co").unwrap()).is_empty());
        assert_eq!(service.handlers.methods(), [("example.ask", "default")]);
        assert!(service.handlers.has_reply_handler(&Target::parse("tpro.co.example.ask").unwrap()));
    }

    async fn u8_taken(_: ReplyCtx, _: u8) -> Result<(), Fault> {
        Ok(())
    }
}
