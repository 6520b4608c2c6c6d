//! The handlers of `template`, without servers. `tests/it` has a test with real ones.
//!
//! A handler that asks its database gets one from the test kit: see `services/analytic`.

use tpro_sidecar::{Service, test};

use crate::handlers_subscribe::{Ping, Pong, ping};

#[tokio::test]
async fn a_ping_is_sent_back() {
    // `test(service())` takes the service as it is; a test can also name its handlers itself.
    let test = test(Service::new("pinged").handle("example.ping", ping));
    let pong: Pong = test.call("example.ping", &Ping { text: "hello".into() }).await.unwrap();
    assert_eq!(pong.pong, "hello");
    let pong: Pong = test.call("example.ping", &Ping { text: String::new() }).await.unwrap();
    assert_eq!(pong.pong, "pong");
}
