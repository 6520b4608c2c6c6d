//! Requests, written and read.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::{Broken, Text, present, read_object};
use super::request_id::RequestId;
use crate::error::{RpcError, code};
use crate::uid::{TEXT_LEN, Uid};

/// The parts of a request as it is written.
const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":""#;
const METHOD: &[u8] = br#"","method":"#;
const PARAMS: &[u8] = br#","params":"#;

/// A request that was read: `{"jsonrpc":"2.0","id":...,"method":"example.simple","params":{...}}`.
#[derive(Debug)]
pub struct Request<'a> {
    /// The id that the answer must have. `None` for a notification, which is not answered.
    pub id: Option<RequestId>,
    /// The method: any text. The service decides if it has the method.
    pub method: Cow<'a, str>,
    /// The body, an object or an array as it came; `{}` where the request has none.
    pub params: &'a RawValue,
}

/// Writes a request. `params` is JSON text, an object or an array; when it is empty the member is
/// left out.
pub fn request(uid: &Uid, method: &str, params: &str) -> Vec<u8> {
    let length = HEAD.len() + TEXT_LEN + METHOD.len() + method.len() + 2 + PARAMS.len() + params.len() + 1;
    let mut payload = Vec::with_capacity(length);
    push_request(&mut payload, uid.encode(&mut [0; TEXT_LEN]), method, params);
    payload
}

/// Writes a request behind what is there. The id is text without escapes.
pub(super) fn push_request(payload: &mut Vec<u8>, id: &str, method: &str, params: &str) {
    payload.extend_from_slice(HEAD);
    payload.extend_from_slice(id.as_bytes());
    payload.extend_from_slice(METHOD);
    push_string(payload, method);
    if !params.is_empty() {
        payload.extend_from_slice(PARAMS);
        payload.extend_from_slice(params.as_bytes());
    }
    payload.push(b'}');
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// The error is the answer to send, with a null id: [`code::PARSE`] for a payload that is no
    /// JSON, [`code::INVALID_REQUEST`] for JSON that is no request.
    pub fn parse(payload: &'a [u8]) -> Result<Self, RpcError> {
        Self::read(str::from_utf8(payload).map_err(|_| not_json())?)
    }

    /// Reads a request from text.
    pub(super) fn read(text: &'a str) -> Result<Self, RpcError> {
        let members: RequestMembers<'a> = read_object(text).map_err(|broken| match broken {
            Broken::NotJson => not_json(),
            Broken::OtherShape => {
                invalid("a request is an object of jsonrpc, method (text), params and id, none of them twice")
            }
        })?;
        if members.jsonrpc != "2.0" {
            return Err(invalid("jsonrpc must be \"2.0\""));
        }
        let params = members.params.unwrap_or(*NO_PARAMS);
        if !params.get().starts_with(['{', '[']) {
            return Err(invalid("params must be an object or an array"));
        }
        let id = match members.id {
            Some(raw) => {
                Some(RequestId::read(raw).ok_or_else(|| invalid("id must be text, a number or null"))?)
            }
            None => None,
        };
        Ok(Self { id, method: members.method.0, params })
    }
}

/// The body of a request without one, as the column `body` has it by default.
static NO_PARAMS: LazyLock<&'static RawValue> =
    LazyLock::new(|| serde_json::from_str("{}").unwrap_or(RawValue::NULL));

#[derive(Deserialize)]
struct RequestMembers<'a> {
    #[serde(borrow)]
    jsonrpc: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

pub(super) fn invalid(what: &str) -> RpcError {
    RpcError::new(code::INVALID_REQUEST, what)
}

pub(super) fn not_json() -> RpcError {
    RpcError::new(code::PARSE, "the request is not JSON")
}

fn push_string(payload: &mut Vec<u8>, text: &str) {
    // Methods of a `Target` never need escapes; others may come from anywhere.
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        payload.push(b'"');
        payload.extend_from_slice(text.as_bytes());
        payload.push(b'"');
    } else {
        // Into memory: this cannot fail.
        let _ = text.serialize(&mut serde_json::Serializer::new(payload));
    }
}
