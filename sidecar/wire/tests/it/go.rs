//! The question to the Go system.

use tpro_wire::go;

#[test]
fn the_question_has_the_form_of_a_request_of_the_go_system() {
    let subject = go::question("tpro.analytic");
    assert_eq!(subject, "jsonrpc://tpro.analytic.tpro.probe");
    assert_eq!(go::asked(&subject), Some("tpro.analytic"));
    assert_eq!(go::asked("tpro.analytic.tpro.probe"), None);
    let read: serde_json::Value = serde_json::from_slice(go::QUESTION).expect("it is JSON");
    assert_eq!(read["Headers"]["mq_id"].as_f64(), Some(0.0));
    assert!(read["Headers"]["from_service"].is_string() && read["Body"].is_object());
}

#[test]
fn an_answer_of_a_go_copy_is_known_by_its_meta() {
    for answer in [
        r#"{"error":"wrong handler","meta":{"from_service":"tpro","mq_id":0}}"#,
        r#"{"meta":{"mq_id":0},"result":{"face_id":1}}"#,
        r#" {"error":{},"meta":null}"#,
    ] {
        assert!(go::is_answer(answer.as_bytes()), "{answer}");
    }
    let deep = "[".repeat(100_000);
    for other in [
        "",
        "[1]",
        r#"{"stream":"ALL","seq":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"meta"}}"#,
        r#"{"meta":{}"#,
        &deep,
    ] {
        assert!(!go::is_answer(other.as_bytes()), "{}", &other[..other.len().min(80)]);
    }
}
