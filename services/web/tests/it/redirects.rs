//! Redirects.

use serde_json::json;
use tpro_sidecar::test;
use tpro_testkit::Outcome;
use web_service::service;

use crate::host::{Answer, Host, answer, ask, web};

/// A redirect to a place.
fn to(status: u16, place: &str) -> Answer {
    answer(status, &[&format!("location: {place}")], "")
}

#[tpro_testkit::test]
async fn a_redirect_is_followed_with_all_headers_on_one_host_and_with_few_to_another() -> Outcome {
    let other = Host::start(|_, _| answer(200, &[], "there")).await?;
    let place = format!("http://localhost:{}/there", other.port);
    let host = Host::start(move |seen, _| match seen.line.as_str() {
        "POST /one" => to(307, "/two"),
        _ => to(307, &place),
    })
    .await?;
    let headers =
        json!({"Authorization": "canary", "X-Token": "canary", "Cookie": "canary", "Accept": "text/plain"});
    let body = json!({"url": host.url("/one"), "headers": headers, "body": {"a": 1}});
    assert_eq!(ask(&web(), "http.post", &body).await.expect("a result")["body"], "there");
    let [one, two] = &host.seen()[..] else { panic!("{:?}", host.seen()) };
    assert_eq!((one.header("authorization"), two.header("authorization")), (Some("canary"), Some("canary")));
    assert_eq!((two.line.as_str(), two.text().as_str()), ("POST /two", r#"{"a":1}"#));
    let there = other.only();
    assert_eq!((there.line.as_str(), there.text().as_str()), ("POST /there", r#"{"a":1}"#));
    assert!(there.headers.iter().all(|(_, value)| value != "canary"), "{there:?}");
    assert_eq!(there.header("accept"), Some("text/plain"));
    assert_eq!(there.header("idempotency-key"), one.header("idempotency-key"));
    Ok(())
}

#[tpro_testkit::test]
async fn a_redirect_to_a_forbidden_place_is_not_followed() -> Outcome {
    let secret = Host::start(|_, _| answer(200, &[], "secret")).await?;
    let allowed =
        "the target of a redirect names a host that is not allowed: list it in WEB_HOSTS of the service web";
    let private = "the target of a redirect leads to a private address: to allow that, list the host in WEB_HOSTS of the service web";
    let form = "the target of a redirect must be an http or https URL with a host";
    let of_secret = |name: &str| format!("http://{name}:{}/", secret.port);
    for (everybody, place, text) in [
        (false, of_secret("localhost"), allowed),
        (true, of_secret("localhost"), private),
        (true, of_secret("2130706433"), private),
        (true, of_secret("[::ffff:127.0.0.1]"), private),
        (true, "http://169.254.169.254/latest/meta-data".to_owned(), private),
        (true, "file:///etc/passwd".to_owned(), form),
    ] {
        let target = place.clone();
        let host = Host::start(move |_, _| to(302, &target)).await?;
        let hosts = format!("127.0.0.1:{}{}", host.port, if everybody { ", *" } else { "" });
        let web = test(service()).setting("WEB_HOSTS", &hosts);
        let ended = ask(&web, "http.get", &json!({"url": host.url("/")})).await;
        assert_eq!(ended, Err((5, text.to_owned())), "{place}");
    }
    assert!(secret.seen().is_empty());
    Ok(())
}

#[tpro_testkit::test]
async fn redirects_are_bounded_and_can_be_turned_off() -> Outcome {
    let host = Host::start(|_, number| to(302, &format!("/{number}"))).await?;
    let body = json!({"url": host.url("/")});
    let ended = ask(&web().setting("WEB_REDIRECTS", "3"), "http.get", &body).await;
    assert_eq!(ended, Err((5, "the request was redirected more than 3 times".to_owned())));
    assert_eq!(host.seen().len(), 4);
    let result = ask(&web().setting("WEB_REDIRECTS", "0"), "http.get", &body).await.expect("a result");
    assert_eq!((&result["status"], &result["headers"]["location"]), (&json!(302), &json!("/4")));
    Ok(())
}
