//! The places that may be asked.

use serde_json::json;
use tpro_sidecar::test;
use tpro_testkit::Outcome;
use web_service::service;

use crate::host::{Host, answer, ask, web};

const PRIVATE: &str =
    "url leads to a private address: to allow that, list the host in WEB_HOSTS of the service web";
const UNLISTED: &str = "url names a host that is not allowed: list it in WEB_HOSTS of the service web";

#[tpro_testkit::test]
async fn no_spelling_of_a_private_address_is_asked_unless_it_is_listed() -> Outcome {
    let host = Host::start(|_, _| answer(200, &[], "")).await?;
    let everybody = test(service());
    for name in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "[fd00:ec2::254]",
        // A name is judged by its addresses.
        "localhost",
        "LOCALHOST",
    ] {
        let body = json!({"url": format!("http://{name}:{}/", host.port)});
        assert_eq!(ask(&everybody, "http.get", &body).await, Err((-32602, PRIVATE.to_owned())), "{name}");
    }
    assert!(host.seen().is_empty());
    for name in ["127.0.0.1", "127.1", "0x7f.1", "localhost"] {
        let body = json!({"url": format!("http://{name}:{}/", host.port)});
        assert!(ask(&web(), "http.get", &body).await.is_ok(), "{name}");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn only_listed_hosts_are_asked_on_their_ports() -> Outcome {
    let host = Host::start(|_, _| answer(200, &[], "")).await?;
    let other = Host::start(|_, _| answer(200, &[], "")).await?;
    let listed = test(service()).setting("WEB_HOSTS", &format!("127.0.0.1:{}, *.example.org", host.port));
    assert!(ask(&listed, "http.get", &json!({"url": host.url("/")})).await.is_ok());
    for url in [other.url("/"), format!("http://localhost:{}/", host.port), "https://example.org/".to_owned()]
    {
        let ended = ask(&listed, "http.get", &json!({ "url": url })).await;
        assert_eq!(ended, Err((-32602, UNLISTED.to_owned())), "{url}");
    }
    // The same host under a name of everybody: its address stays private.
    let both = test(service()).setting("WEB_HOSTS", &format!("*, localhost:{}", host.port));
    let by_name = |port: u16| json!({"url": format!("http://localhost:{port}/")});
    assert!(ask(&both, "http.get", &by_name(host.port)).await.is_ok());
    let ended = ask(&both, "http.get", &by_name(other.port)).await;
    assert_eq!(ended, Err((-32602, PRIVATE.to_owned())));
    assert!(other.seen().is_empty());
    Ok(())
}

#[tpro_testkit::test]
async fn a_url_of_another_kind_is_refused_and_not_repeated() -> Outcome {
    let form = "url must be an http or https URL with a host";
    for (url, text) in [
        ("canary", form),
        ("", form),
        ("file:///canary", form),
        ("gopher://127.0.0.1/canary", form),
        ("http://", form),
        (
            "http://canary:canary@127.0.0.1/",
            "url must hold no user and no password: send them in the header authorization",
        ),
    ] {
        let ended = ask(&web(), "http.get", &json!({ "url": url })).await;
        assert_eq!(ended, Err((-32602, text.to_owned())), "{url}");
    }
    Ok(())
}
