//! The request, as the server gets it.

use serde_json::json;
use tpro_testkit::Outcome;

use crate::host::{Host, answer, ask, web};

#[tpro_testkit::test]
async fn each_method_sends_its_own_request() -> Outcome {
    for method in ["get", "head", "post", "put", "patch", "delete"] {
        let host = Host::start(|_, _| answer(200, &[], "")).await?;
        let body = json!({"url": host.url("/a?b=1"), "query": {"c": "d e"}, "headers": {"X-One": "1"}});
        let result = ask(&web(), &format!("http.{method}"), &body).await.expect("a response");
        assert_eq!(result["status"], 200);
        let seen = host.only();
        assert_eq!(seen.line, format!("{} /a?b=1&c=d+e", method.to_uppercase()));
        assert_eq!((seen.header("x-one"), seen.body.len()), (Some("1"), 0));
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_body_is_sent_in_the_form_of_its_type() -> Outcome {
    for (member, content_type, sent) in [
        (json!({"body": {"order": 17}}), "application/json", r#"{"order":17}"#),
        (json!({"body": "plain", "headers": {"content-type": "text/plain"}}), "text/plain", "plain"),
        (json!({"body_base64": "YmFzZQ==", "headers": {"content-type": "image/x"}}), "image/x", "base"),
    ] {
        let host = Host::start(|_, _| answer(201, &[], "")).await?;
        let mut body = member;
        body["url"] = json!(host.url("/"));
        ask(&web(), "http.post", &body).await.expect("a response");
        let seen = host.only();
        assert_eq!((seen.header("content-type"), seen.text().as_str()), (Some(content_type), sent));
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_says_who_sends_it_and_which_one_it_is() -> Outcome {
    let host = Host::start(|_, _| answer(200, &[], "")).await?;
    ask(&web(), "http.get", &json!({"url": host.url("/")})).await.expect("a response");
    let seen = host.only();
    assert_eq!(seen.header("user-agent"), Some(concat!("tpro-web/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("idempotency-key").map(str::len), Some(36));
    assert_eq!(seen.header("traceparent").map(str::len), Some(55));
    // Nothing is decompressed, so nothing compressed is asked for.
    assert_eq!(seen.header("accept-encoding"), None);
    let headers = json!({"Idempotency-Key": "mine", "User-Agent": "me"});
    ask(&web(), "http.get", &json!({"url": host.url("/"), "headers": headers})).await.expect("a response");
    let seen = host.seen().pop().expect("a request");
    assert_eq!((seen.header("idempotency-key"), seen.header("user-agent")), (Some("mine"), Some("me")));
    Ok(())
}

#[tpro_testkit::test]
async fn what_does_not_fit_is_refused_by_its_name_and_nothing_is_sent() -> Outcome {
    let host = Host::start(|_, _| answer(200, &[], "")).await?;
    for (member, text) in [
        (json!({"headers": {"Host": "b"}}), "headers.host is set by the service and cannot be given"),
        (
            json!({"headers": {"a": "b\r\nc: d"}}),
            "headers.a must be a text in one line, without control characters",
        ),
        (json!({"headers": {"a": 1}}), "field headers.a does not fit: expected a string"),
        (json!({"timeout_ms": 0}), "timeout_ms must be at least 1"),
        (json!({"timeout_ms": -1}), "field timeout_ms does not fit: expected u32"),
        (json!({"retry_on": [200]}), "retry_on must be an array of statuses from 400 to 599, or empty"),
        (json!({"query": []}), "field query does not fit: expected a map"),
        (json!({"proxy": "x"}), "field proxy is unknown"),
    ] {
        let mut body = member;
        body["url"] = json!(host.url("/"));
        assert_eq!(ask(&web(), "http.post", &body).await, Err((-32602, text.to_owned())), "{body}");
    }
    assert_eq!(ask(&web(), "http.get", &json!({})).await, Err((-32602, "field url is missing".to_owned())));
    assert!(host.seen().is_empty());
    Ok(())
}
