//! The response, as the caller gets it.

use serde_json::{Value, json};
use tpro_testkit::Outcome;

use crate::host::{Answer, Host, answer, ask, web};

/// The result of a GET that is answered so.
async fn result(answer: Answer) -> Outcome<Result<Value, (i64, String)>> {
    let host = Host::start(move |_, _| answer.clone()).await?;
    Ok(ask(&web().setting("WEB_MAX_RESPONSE", "1000"), "http.get", &json!({"url": host.url("/")})).await)
}

#[tpro_testkit::test]
async fn a_response_of_any_kind_is_a_result() -> Outcome {
    for (status, content_type, bytes, member, told) in [
        (200, "application/json", &br#"{"a": [1.5]}"#[..], "body", json!({"a": [1.5]})),
        (404, "application/problem+json", br#""no""#, "body", json!("no")),
        (400, "text/plain; charset=utf-8", "ä".as_bytes(), "body", json!("ä")),
        (501, "application/octet-stream", &[0, 255], "body_base64", json!("AP8=")),
        (204, "text/plain", b"", "body", Value::Null),
    ] {
        let header = format!("Content-Type: {content_type}");
        let result = result(answer(status, &[&header, "X-A: 1", "X-A: 2"], bytes)).await?.expect("a result");
        assert_eq!((&result["status"], &result[member]), (&json!(status), &told), "{result}");
        assert_eq!(result["headers"]["content-type"], content_type);
        assert_eq!(result["headers"]["x-a"], "1, 2");
        assert_eq!(result.as_object().map(serde_json::Map::len), Some(3), "{result}");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_response_beyond_the_limit_is_refused_whether_it_tells_its_length_or_not() -> Outcome {
    let text = "the response has more than 1000 bytes, the limit of WEB_MAX_RESPONSE".to_owned();
    assert_eq!(result(answer(200, &[], "x".repeat(1000))).await?, Err((4, text.clone())));
    let untold = |length| {
        let head = "HTTP/1.1 200 x\r\nconnection: close\r\n\r\n";
        Answer::Bytes(format!("{head}{}", "x".repeat(length)).into_bytes())
    };
    assert_eq!(result(untold(1_000_000)).await?, Err((4, text.clone())));
    assert!(result(untold(900)).await?.is_ok());
    let header = format!("x-a: {}", "x".repeat(1000));
    assert_eq!(result(answer(200, &[&header], "")).await?, Err((4, text)));
    // A response that is never read whole.
    let told = Answer::Bytes(b"HTTP/1.1 200 x\r\ncontent-length: 99999999999\r\n\r\n".to_vec());
    assert_eq!(result(told).await?.map_err(|(code, _)| code), Err(4));
    Ok(())
}

#[tpro_testkit::test]
async fn a_response_that_breaks_off_or_is_no_http_is_no_result() -> Outcome {
    for bytes in [&b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nabc"[..], b"220 mail ready\r\n", b""] {
        let text = "the connection broke before the response was complete".to_owned();
        assert_eq!(result(Answer::Bytes(bytes.to_vec())).await?, Err((6, text)));
    }
    Ok(())
}
