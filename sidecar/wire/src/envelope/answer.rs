//! Answers, written and read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::{Broken, Text, present, read_object};
use super::request_id::{RequestId, quoted_uid};
use crate::error::RpcError;
use crate::uid::Uid;

/// An answer that was read.
#[derive(Debug)]
pub enum Answer {
    /// The method's result, any JSON as it came.
    Result(Box<RawValue>),
    /// The method's error.
    Error(RpcError),
}

/// Why a payload is no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not JSON.
    #[error("the answer is not JSON")]
    NotJson,
    /// It is JSON, but no JSON-RPC 2.0 answer: another version, neither or both of result and error, a broken error
    /// object, a member that comes twice.
    #[error("the answer is JSON but no JSON-RPC 2.0 answer")]
    NotJsonRpc,
    /// It answers another request.
    #[error("the answer has the id of another request")]
    OtherId,
}

/// Writes an answer with a result. `result` is JSON text.
pub fn success(id: &RequestId, result: &str) -> Vec<u8> {
    let mut payload = answer_head(Some(id), br#","result":"#, result.len());
    payload.extend_from_slice(result.as_bytes());
    payload.push(b'}');
    payload
}

/// Writes an answer with an error. Without an id it answers null, as the specification asks for a request whose id
/// could not be read.
pub fn failure(id: Option<&RequestId>, error: &RpcError) -> Vec<u8> {
    let error = error.to_json();
    let mut payload = answer_head(id, br#","error":"#, error.len());
    payload.extend_from_slice(error.as_bytes());
    payload.push(b'}');
    payload
}

/// Reads the answer to the request with this uid.
///
/// An error with a null id is taken: it is how a service says that it could not read the request, and the subject
/// it came on has told which request that was. A result with a null id is not.
pub fn answer(uid: &Uid, payload: &[u8]) -> Result<Answer, AnswerError> {
    let text = str::from_utf8(payload).map_err(|_| AnswerError::NotJson)?;
    let members: AnswerMembers<'_> = read_object(text).map_err(|broken| match broken {
        Broken::NotJson => AnswerError::NotJson,
        Broken::OtherShape => AnswerError::NotJsonRpc,
    })?;
    if members.jsonrpc != "2.0" {
        return Err(AnswerError::NotJsonRpc);
    }
    let id = members.id.ok_or(AnswerError::NotJsonRpc)?.get();
    match (members.result, members.error) {
        (Some(result), None) if names(id, uid)? => Ok(Answer::Result(result.to_owned())),
        (None, Some(error)) if id == "null" || names(id, uid)? => {
            // Read by itself, so that a null error is told from none, and an array from an object.
            match serde_json::from_str(error.get()) {
                Ok(read) if error.get().starts_with('{') => Ok(Answer::Error(read)),
                _ => Err(AnswerError::NotJsonRpc),
            }
        }
        (Some(_), None) | (None, Some(_)) => Err(AnswerError::OtherId),
        (None, None) | (Some(_), Some(_)) => Err(AnswerError::NotJsonRpc),
    }
}

#[derive(Deserialize)]
struct AnswerMembers<'a> {
    #[serde(borrow)]
    jsonrpc: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Whether an answer's id is this uid; `Err` where it is no id at all.
fn names(id: &str, uid: &Uid) -> Result<bool, AnswerError> {
    if quoted_uid(id) == Some(*uid) {
        return Ok(true);
    }
    match id.as_bytes().first() {
        // Written differently, with capital letters or escapes, it is the same id still.
        Some(b'"') => Ok(serde_json::from_str::<Cow<'_, str>>(id).is_ok_and(|text| text.parse() == Ok(*uid))),
        Some(b'0'..=b'9' | b'-' | b'n') => Ok(false),
        _ => Err(AnswerError::NotJsonRpc),
    }
}

fn answer_head(id: Option<&RequestId>, member: &[u8], body: usize) -> Vec<u8> {
    const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
    let id_len = id.map_or(4, RequestId::len);
    let mut payload = Vec::with_capacity(HEAD.len() + id_len + member.len() + body + 1);
    payload.extend_from_slice(HEAD);
    match id {
        Some(id) => id.push_to(&mut payload),
        None => payload.extend_from_slice(b"null"),
    }
    payload.extend_from_slice(member);
    payload
}
