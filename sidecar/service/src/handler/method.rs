//! A request type that carries the name of its method and the type of its reply.

use super::Schemas;

/// A type whose values are requests of one method. `#[derive(Method)]` implements it:
///
/// ```text
/// #[derive(Serialize, Deserialize, tpro_sidecar::Method)]
/// #[method("analytic.example.simple", reply = Session)]
/// pub struct Login {
///     pub login: String,
/// }
/// ```
///
/// From then on the compiler holds name, request and reply together: in
/// [`Service::handle_request`](crate::Service::handle_request),
/// [`Service::on_reply_to`](crate::Service::on_reply_to),
/// [`Ctx::call_request`](crate::Ctx::call_request) and
/// [`Tx::publish_request`](crate::Tx::publish_request).
///
/// By hand:
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::Method;
///
/// struct Ping;
///
/// impl Method for Ping {
///     const TARGET: &'static str = "monitor.example.ping";
///     type Reply = ();
/// }
///
/// assert_eq!(Ping::TARGET.split('.').next(), Some("monitor"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the request of a method",
    label = "no method is known for this type",
    note = "write `#[derive(tpro_sidecar::Method)] #[method(\"service.entity.method_name\", reply = Reply)]` on it, or name the method by a text (`handle`, `call`, `publish`, `on_reply`)"
)]
pub trait Method {
    /// `<service>.<entity>.<method_name>`.
    const TARGET: &'static str;
    /// The result of the method.
    type Reply;

    /// The JSON Schemas of the request and of its result, if they are known:
    /// `#[method("analytic.example.simple", reply = Session, schemas)]` has them made of the types.
    fn schemas() -> Option<Schemas> {
        None
    }
}
