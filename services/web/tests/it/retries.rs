//! Requests that are to be sent again: one run of the handler asks for a later one, and names the
//! error for the end of the budget.

use serde_json::json;
use tpro_testkit::{Outcome, ports::free_port};

use crate::host::{Answer, Host, answer, ask, web};

#[tpro_testkit::test]
async fn a_status_that_is_worth_another_try_is_no_result() -> Outcome {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let host = Host::start(move |_, _| answer(status, &["retry-after: 1"], "later")).await?;
        let ended = ask(&web(), "http.post", &json!({"url": host.url("/")})).await;
        assert_eq!(ended, Err((1, format!("the server answered with status {status}"))));
        let chosen = json!({"url": host.url("/"), "retry_on": []});
        assert_eq!(ask(&web(), "http.post", &chosen).await.expect("a result")["status"], status);
        let none = web().setting("WEB_RETRY", "none");
        assert_eq!(
            ask(&none, "http.post", &json!({"url": host.url("/")})).await.expect("a result")["body"],
            "later"
        );
    }
    let host = Host::start(|_, _| answer(404, &[], "")).await?;
    let chosen = json!({"url": host.url("/"), "retry_on": [404]});
    let ended = ask(&web(), "http.get", &chosen).await;
    assert_eq!(ended, Err((1, "the server answered with status 404".to_owned())));
    Ok(())
}

#[tpro_testkit::test]
async fn a_host_without_an_answer_is_no_result() -> Outcome {
    let silent = Host::start(|_, _| Answer::Silence).await?;
    let ended = ask(&web(), "http.get", &json!({"url": silent.url("/"), "timeout_ms": 50})).await;
    assert_eq!(ended, Err((3, "no response within 50 ms".to_owned())));
    let by_setting = web().setting("WEB_TIMEOUT", "50ms");
    let ended = ask(&by_setting, "http.get", &json!({"url": silent.url("/")})).await;
    assert_eq!(ended, Err((3, "no response within 50 ms".to_owned())));
    let closed = json!({"url": format!("http://127.0.0.1:{}/", free_port()?)});
    let text = "the host cannot be connected to: connection refused".to_owned();
    assert_eq!(ask(&web(), "http.get", &closed).await, Err((2, text)));
    let unknown = web().setting("WEB_HOSTS", "nobody.invalid");
    let text = "the host cannot be connected to: the name cannot be resolved".to_owned();
    let ended = ask(&unknown, "http.get", &json!({"url": "http://nobody.invalid/"})).await;
    assert_eq!(ended, Err((2, text)));
    Ok(())
}
