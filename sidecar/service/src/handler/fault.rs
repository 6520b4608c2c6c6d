//! The error of a handler.

use std::{error::Error, time::Duration};

use deadpool_postgres::PoolError;
use serde::Serialize;
use serde_json::value::RawValue;
use tpro_runtime::db;
use tpro_wire::{Place, RpcError, error::code};

/// The text of an error that the caller sees nothing of.
const INTERNAL: &str = "internal error";
/// The longest time of [`Fault::retry_after`] in seconds: a day, as no message has more.
const LONGEST: u32 = 86_400;

/// The reason why a handler gives no result.
///
/// There are three kinds. [`Fault::new`] makes the first: the caller sees its code, text and data.
/// The second is any error at all, by `?`: it is logged with the trace, and the caller is told
/// [`code::INTERNAL`] and nothing more, so that no inner text reaches a stranger. A passing error
/// ([`QueryError::is_passing`](crate::QueryError::is_passing)) is no outcome at all: the handler
/// runs again, within the budget of its message. [`Fault::retry_after`] makes the third: it is no
/// outcome either, and the message is sent again later.
///
/// It is not itself a [`std::error::Error`]: only so can every error become one by `?`.
#[derive(Debug)]
#[must_use = "a fault has an effect only where a handler returns it"]
pub struct Fault {
    kind: Kind,
    /// The place of the request that has ended with it, if that is one of a batch.
    place: Option<Place>,
}

#[derive(Debug)]
enum Kind {
    /// The caller sees this.
    Told(RpcError),
    /// Only our log sees this.
    Internal(Box<dyn Error + Send + Sync>),
    /// The message is to be sent again after this time. The caller sees the error if the budget
    /// does not suffice.
    Later(Duration, RpcError),
}

impl Fault {
    fn of(kind: Kind) -> Self {
        Self { kind, place: None }
    }

    /// An error that the caller sees. Take a code outside -32768 to -32000, which JSON-RPC
    /// reserves. The text is one sentence, and repeats no value of the body: the caller has it, and
    /// logs must not.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::Fault;
    ///
    /// let fault = Fault::new(7, "no more seats").data([12, 14]);
    /// assert_eq!((fault.code(), fault.message()), (7, "no more seats"));
    /// ```
    pub fn new(code: i64, text: impl Into<String>) -> Self {
        Self::of(Kind::Told(RpcError::new(code, text)))
    }

    /// The body does not fit: [`code::INVALID_PARAMS`], with the field's name as data
    /// `{"field":"login"}`.
    pub fn field(name: &str, text: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, text).data(serde_json::json!({ "field": name }))
    }

    /// Something of ours is wrong and no error says so: it is logged, and answered as internal.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::Fault;
    ///
    /// let fault = Fault::internal("the table of prices is empty");
    /// assert_eq!((fault.code(), fault.message()), (-32603, "internal error"));
    /// ```
    pub fn internal(text: impl Into<String>) -> Self {
        Self::of(Kind::Internal(text.into().into()))
    }

    /// Not now: the message is to be sent again after so many seconds, and not before. 0 counts as
    /// 1, and more than a day as a day.
    ///
    /// The run has no outcome, and what it did in a transaction is rolled back. The requester sends
    /// the message again within its budget. If the budget does not suffice, this fault is the end
    /// of the message: [`code::LATER`] with a text of ours, or the error of [`Fault::at_last`].
    /// The runs that end like this are none of those that `RUNS_MAX` bounds.
    ///
    /// A reply handler cannot put its reply off: there it is an error like any other.
    ///
    /// Nobody sends an event again, so it is kept in this copy and runs again after that time,
    /// within 30 s. It keeps its place among the handlers at work (`HANDLERS_MAX`) meanwhile. A
    /// stranger is told the error and, by the header `Tpro-Retry-After-Ms`, when to ask again.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::Fault;
    ///
    /// let fault = Fault::retry_after(30).at_last(7, "the limit of this hour is used up");
    /// assert_eq!(fault.code(), 7);
    /// ```
    pub fn retry_after(seconds: u32) -> Self {
        let seconds = seconds.clamp(1, LONGEST);
        let text = format!("the service asks for another try in {seconds} s");
        Self::of(Kind::Later(Duration::from_secs(seconds.into()), RpcError::new(code::LATER, text)))
    }

    /// The error that the caller sees at last, where the budget does not suffice for another try.
    /// It has an effect on [`Fault::retry_after`] only.
    pub fn at_last(mut self, code: i64, text: impl Into<String>) -> Self {
        if let Kind::Later(_, error) = &mut self.kind {
            (error.code, error.message) = (code, text.into());
        }
        self
    }

    /// Passes on an error that another service has answered.
    pub fn pass_on(error: RpcError) -> Self {
        Self::of(Kind::Told(error))
    }

    /// Adds data for the caller; on an internal error it has no effect. Data that is no JSON is
    /// left out.
    pub fn data(mut self, data: impl Serialize) -> Self {
        if let Kind::Told(error) | Kind::Later(_, error) = &mut self.kind {
            error.data = serde_json::to_string(&data).ok().and_then(|json| RawValue::from_string(json).ok());
        }
        self
    }

    /// The code the caller sees.
    pub fn code(&self) -> i64 {
        match &self.kind {
            Kind::Told(error) | Kind::Later(_, error) => error.code,
            Kind::Internal(_) => code::INTERNAL,
        }
    }

    /// The text the caller sees.
    pub fn message(&self) -> &str {
        match &self.kind {
            Kind::Told(error) | Kind::Later(_, error) => &error.message,
            Kind::Internal(_) => INTERNAL,
        }
    }

    /// This fault of a request in a batch.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The place of the request that has ended with it, if that is one of a batch.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// The error that only our log may see.
    pub(crate) fn cause(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            Kind::Told(_) | Kind::Later(..) => None,
            Kind::Internal(error) => Some(&**error),
        }
    }

    /// The time after which the message is to be sent again, if the handler wants that.
    pub(crate) fn later(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Later(after, _) => Some(*after),
            Kind::Told(_) | Kind::Internal(_) => None,
        }
    }

    /// True if it is no outcome of a message: the handler is to run again.
    pub(crate) fn is_no_outcome(&self) -> bool {
        self.later().is_some() || self.is_passing()
    }

    /// True if the moment is to blame and not the message: the handler may run again.
    pub(crate) fn is_passing(&self) -> bool {
        self.chain().any(|error| error.is::<PoolError>() || error.downcast_ref().is_some_and(db::is_passing))
    }

    /// True if a connection was lost: uncommitted work is undone.
    pub(crate) fn is_lost(&self) -> bool {
        self.chain().any(|error| error.downcast_ref().is_some_and(db::is_lost))
    }

    /// True if the server asks to run the transaction again.
    pub(crate) fn wants_again(&self) -> bool {
        let asks = |error: &tokio_postgres::Error| error.code().is_some_and(db::is_again);
        self.chain().any(|error| error.downcast_ref().is_some_and(asks))
    }

    /// The error and its sources.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let mut next = self.cause();
        std::iter::from_fn(move || {
            let error = next?;
            next = error.source();
            Some(error)
        })
    }

    /// The error that the caller sees. One of a batch says its place.
    pub(crate) fn into_error(self) -> RpcError {
        let error = match self.kind {
            Kind::Told(error) | Kind::Later(_, error) => error,
            Kind::Internal(_) => RpcError::new(code::INTERNAL, INTERNAL),
        };
        match self.place {
            Some(place) => place.error(&error),
            None => error,
        }
    }
}

/// Any error is an internal one, those of `anyhow` and `Box<dyn Error + Send + Sync>` included.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::of(Kind::Internal(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_becomes_internal_and_its_text_stays_with_us() {
        fn fails() -> Result<(), Fault> {
            "secret".parse::<i32>()?;
            Ok(())
        }
        let fault = fails().unwrap_err();
        assert_eq!((fault.code(), fault.message()), (code::INTERNAL, "internal error"));
        assert!(fault.cause().is_some());
        assert_eq!(fault.into_error().to_json(), r#"{"code":-32603,"message":"internal error"}"#);
    }

    #[test]
    fn an_error_in_a_box_is_internal_and_known_by_its_sources() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::num::ParseIntError);
        let inner = "secret".parse::<i32>().unwrap_err();
        let boxed: Box<dyn Error + Send + Sync> = Outer(inner).into();
        let fault = Fault::from(boxed);
        assert!(fault.chain().any(|error| error.is::<std::num::ParseIntError>()));
        assert_eq!(fault.into_error().to_json(), r#"{"code":-32603,"message":"internal error"}"#);
    }

    #[test]
    fn a_wish_for_another_try_has_a_time_within_bounds_and_an_error_for_the_end() {
        let seconds = |seconds| Fault::retry_after(seconds).later().unwrap().as_secs();
        assert_eq!([0, 1, 30, u32::MAX].map(seconds), [1, 1, 30, 86_400]);
        let fault = Fault::retry_after(30);
        assert_eq!((fault.code(), fault.message()), (-32011, "the service asks for another try in 30 s"));
        assert!(fault.cause().is_none() && !fault.is_passing());
        let fault = fault.at_last(7, "no more seats").data(1).into_error();
        assert_eq!(fault.to_json(), r#"{"code":7,"message":"no more seats","data":1}"#);
        assert_eq!(Fault::new(8, "no").at_last(7, "no more seats").code(), 8);
    }

    #[test]
    fn a_fault_tells_the_caller_code_text_and_data() {
        let fault = Fault::new(7, "no more seats").data([1, 2]);
        assert!(fault.cause().is_none());
        assert_eq!(fault.into_error().to_json(), r#"{"code":7,"message":"no more seats","data":[1,2]}"#);
        let field = Fault::field("login", "the login is unknown").into_error();
        assert_eq!(
            field.to_json(),
            r#"{"code":-32602,"message":"the login is unknown","data":{"field":"login"}}"#
        );
    }
}
