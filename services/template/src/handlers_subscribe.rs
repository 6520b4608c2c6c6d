//! The handlers of `template`: an async function for each method, typed in and out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tpro_sidecar::{Ctx, Fault, Method};

/// The request of `example.ping`. A body that does not fit is refused with the name of the field.
#[derive(Serialize, Deserialize, JsonSchema, Method)]
#[method("template.example.ping", reply = Pong, schemas)]
pub struct Ping {
    /// The text to send back.
    #[serde(default)]
    pub text: String,
}

/// The result of `example.ping`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Pong {
    /// The text that was sent, or `pong`.
    pub pong: String,
}

/// `example.ping`.
///
/// `ctx.db()` asks the database, `ctx.tx()` opens a transaction, `ctx.call()` asks another service;
/// `?` on any error is logged and answered as internal, [`Fault::new`] is an error that the caller
/// sees.
pub async fn ping(_ctx: Ctx, ping: Ping) -> Result<Pong, Fault> {
    Ok(Pong { pong: if ping.text.is_empty() { "pong".into() } else { ping.text } })
}
