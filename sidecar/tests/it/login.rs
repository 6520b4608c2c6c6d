//! The demo's users, and the sums that its examples answer.

use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, World};

/// The body that logs in, as the three statements have it.
pub fn body() -> Value {
    json!({"ip": "172.19.0.8", "login": "login342", "password": "phnd26w"})
}

/// A request to a method of `analytic.example`, with that body.
pub fn request(method: &str) -> Message {
    Message::to(&format!("analytic.example.{method}")).body(body())
}

/// Hour and minute by the database's clock.
pub async fn clock(world: &World) -> Outcome<(i64, i64)> {
    let row = world
        .admin
        .query_one("SELECT extract(hour FROM now())::int8, extract(minute FROM now())::int8", &[])
        .await?;
    Ok((row.get(0), row.get(1)))
}
