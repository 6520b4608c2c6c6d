//! Answers of the Go system.

use serde::Deserialize;
use serde_json::value::RawValue;
use tpro_wire::{RpcError, error::code};

/// The error of a Go service that has not the method.
const WRONG_HANDLER: &str = "wrong handler";
/// The code of an error of a Go service, which has none of its own.
const GO_ERROR: i64 = -32000;
/// The word of a bridge that has got a request of another bridge. The member `meta` is missing, so
/// no Go service can have sent it.
const BUSY: &str = r#"{"tpro-bridge":"busy"}"#;

/// An answer, as tpro has it.
pub type Answer = Result<Box<RawValue>, RpcError>;

/// Reads an answer of a Go service. Other messages give None.
pub fn read_answer(payload: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        meta: Option<&'a RawValue>,
        #[serde(default, borrow, deserialize_with = "present")]
        result: Option<&'a RawValue>,
        #[serde(default, borrow, deserialize_with = "present")]
        error: Option<&'a RawValue>,
    }
    let text = str::from_utf8(payload).ok()?;
    let members: Members<'_> = serde_json::from_str(text).ok()?;
    members.meta?;
    match (members.result, members.error) {
        (_, Some(error)) if error.get() != "null" => Some(Err(read_error(error))),
        (Some(result), _) => Some(Ok(result.to_owned())),
        (None, _) => None,
    }
}

/// A member that is there, be it null.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The error of an answer: a text, the fields of a PostgreSQL error, or an object that says
/// nothing (Go writes any other error as `{}`).
fn read_error(error: &RawValue) -> RpcError {
    if let Ok(text) = serde_json::from_str::<String>(error.get()) {
        let code = if text == WRONG_HANDLER { code::METHOD_NOT_FOUND } else { GO_ERROR };
        return RpcError::new(code, text);
    }
    #[derive(Deserialize)]
    struct PgError {
        #[serde(rename = "Message")]
        message: String,
    }
    let message = serde_json::from_str::<PgError>(error.get()).map(|error| error.message);
    let message = message.unwrap_or_else(|_| "the Go service gives no reason".to_owned());
    RpcError { code: GO_ERROR, message, data: Some(error.to_owned()) }
}

/// Writes an answer for a Go service, in the order of its own members. `meta` is the headers of the
/// request.
pub fn write_answer(meta: &RawValue, answer: &Answer) -> Vec<u8> {
    let meta = meta.get();
    let text = match answer {
        Ok(result) => format!(r#"{{"meta":{meta},"result":{}}}"#, result.get()),
        Err(error) if error.code == code::METHOD_NOT_FOUND => {
            return wrong_handler(meta);
        }
        Err(error) => format!(r#"{{"error":{},"meta":{meta}}}"#, error.to_json()),
    };
    text.into_bytes()
}

/// The answer to a request for a method that is not there.
pub fn wrong_handler(meta: &str) -> Vec<u8> {
    format!(r#"{{"error":"{WRONG_HANDLER}","meta":{meta}}}"#).into_bytes()
}

/// An error of the bridge, as an answer for a Go service.
pub fn error(code: i64, text: impl Into<String>) -> Answer {
    Err(RpcError::new(code, text))
}

/// The word of a bridge to another one: it does not take this request, ask again.
pub fn busy() -> &'static [u8] {
    BUSY.as_bytes()
}

/// True if this is that word.
pub fn is_busy(payload: &[u8]) -> bool {
    payload == BUSY.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#"{"content-language":"ru-RU","from_service":"main","mq_id":1,"request":{"type":"single"},"trace-id":"5b1f0c2d3e4f5061:77aa000000000001:5b1f0c2d3e4f5061:1"}"#;

    fn read(members: &str) -> Option<Result<String, RpcError>> {
        let answer = read_answer(members.replace("META", META).as_bytes())?;
        Some(answer.map(|result| result.get().to_owned()))
    }

    #[test]
    fn each_form_of_an_answer_is_read() {
        let result = read(r#"{"meta":META,"result":{"face_id":1,"sid":123}}"#).expect("an answer");
        assert_eq!(result.expect("a result"), r#"{"face_id":1,"sid":123}"#);
        assert_eq!(read(r#"{"meta":META,"result":null}"#).expect("an answer").expect("a result"), "null");
        let error = |members| read(members).expect("an answer").expect_err("an error");
        let wrong = error(r#"{"error":"wrong handler","meta":META}"#);
        assert_eq!((wrong.code, wrong.message.as_str()), (-32601, "wrong handler"));
        let text = error(r#"{"error":"the face is unknown","meta":META}"#);
        assert_eq!((text.code, text.message.as_str()), (-32000, "the face is unknown"));
        let empty = error(r#"{"error":{},"meta":META}"#);
        assert_eq!((empty.code, empty.message.as_str()), (-32000, "the Go service gives no reason"));
        let raised = error(
            r#"{"error":{"Severity":"ERROR","Code":"P0001","Message":"the password is wrong","Detail":"","Hint":"","Position":0,"File":"pl_exec.c","Line":3889,"Routine":"exec_stmt_raise"},"meta":META}"#,
        );
        assert_eq!((raised.code, raised.message.as_str()), (-32000, "the password is wrong"));
        let data = raised.data.expect("the object");
        assert!(data.get().contains(r#""Code":"P0001""#), "{data}");
    }

    #[test]
    fn what_is_no_answer_of_go_is_none() {
        let json_rpc = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        for payload in ["", "{}", json_rpc, r#"{"meta":META}"#, BUSY, "[]"] {
            assert!(read(payload).is_none(), "{payload}");
        }
        assert!(is_busy(busy()));
    }

    #[test]
    fn an_answer_for_go_has_the_headers_of_its_request() {
        let meta: Box<RawValue> = serde_json::from_str(META).expect("JSON");
        let written = |answer: Answer| String::from_utf8(write_answer(&meta, &answer)).expect("text");
        let result: Box<RawValue> = serde_json::from_str(r#"{"sid":"8f61","face_id":1}"#).expect("JSON");
        assert_eq!(
            written(Ok(result)),
            format!(r#"{{"meta":{META},"result":{{"sid":"8f61","face_id":1}}}}"#)
        );
        let unknown = error(code::METHOD_NOT_FOUND, "method a.b is unknown to service co");
        assert_eq!(written(unknown), format!(r#"{{"error":"wrong handler","meta":{META}}}"#));
        let wrong = error(code::INVALID_PARAMS, "the password is wrong");
        let object = r#"{"code":-32602,"message":"the password is wrong"}"#;
        assert_eq!(written(wrong), format!(r#"{{"error":{object},"meta":{META}}}"#));
    }
}
