//! Batches of requests, written and read (JSON-RPC 2.0, section 6).
//!
//! A batch is one message of tpro: all its requests ask for one method. The id of each is the uid
//! of the message and the index of the request, `<uid>/0`, `<uid>/1` and so on.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::request::{Request, invalid, not_json, push_request};
use super::request_id::RequestId;
use crate::error::RpcError;
use crate::limits::MAX_BATCH;
use crate::place::Place;
use crate::uid::{TEXT_LEN, Uid};

/// The number of requests that a batch may have.
const REQUESTS: RangeInclusive<usize> = 1..=MAX_BATCH;

/// A batch of requests that was read.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The ids that the answers must have, in the order of the requests.
    pub ids: Vec<RequestId>,
    /// The method that all of them ask for.
    pub method: Cow<'a, str>,
    /// Their bodies, each an object or an array as it came.
    pub params: Vec<&'a RawValue>,
}

/// Writes a batch for a method, and says the number of its requests. `body` is JSON text. Returns
/// none if it is no array of 1 to [`MAX_BATCH`] objects or arrays.
pub fn batch(uid: &Uid, method: &str, body: &str) -> Option<(Vec<u8>, usize)> {
    let params: Vec<&RawValue> = serde_json::from_str(body).ok()?;
    if !REQUESTS.contains(&params.len()) || !params.iter().all(|params| is_structured(params)) {
        return None;
    }
    let each = TEXT_LEN + method.len() + 70;
    let mut payload = Vec::with_capacity(body.len() + params.len() * each);
    for (index, params) in params.iter().enumerate() {
        payload.push(if index == 0 { b'[' } else { b',' });
        push_request(&mut payload, &request_id(uid, index), method, params.get());
    }
    payload.push(b']');
    Some((payload, params.len()))
}

/// True if a payload can only be a batch: it begins as an array does.
pub fn is_batch(payload: &[u8]) -> bool {
    payload.trim_ascii_start().starts_with(b"[")
}

impl<'a> Batch<'a> {
    /// Reads a batch.
    ///
    /// The error is the answer to send, with a null id, as for [`Request::parse`]. JSON-RPC asks
    /// for a single answer where the payload is no batch. tpro takes no batch whose requests ask
    /// for different methods, since permissions are given for subjects and a subject names one. It
    /// takes no notification in a batch either: the order of the answers would not tell which
    /// request each of them is for.
    pub fn parse(payload: &'a [u8]) -> Result<Self, RpcError> {
        let text = str::from_utf8(payload).map_err(|_| not_json())?;
        let requests: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| not_json())?;
        let count = requests.len();
        if !REQUESTS.contains(&count) {
            return Err(invalid(&format!("a batch has 1 to {MAX_BATCH} requests, not {count}")));
        }
        let mut batch =
            Self { ids: Vec::with_capacity(count), method: "".into(), params: Vec::with_capacity(count) };
        for (index, request) in requests.into_iter().enumerate() {
            let place = Place { index, count };
            let request = Request::read(request.get()).map_err(|error| place.error(&error))?;
            let Some(id) = request.id else {
                return Err(place.error(&invalid("a request of a batch must have an id")));
            };
            if index > 0 && request.method != batch.method {
                return Err(place.error(&invalid("all requests of a batch must have the same method")));
            }
            batch.method = request.method;
            batch.ids.push(id);
            batch.params.push(request.params);
        }
        Ok(batch)
    }
}

/// The id of a request of a batch.
fn request_id(uid: &Uid, index: usize) -> String {
    format!("{}/{index}", uid.encode(&mut [0; TEXT_LEN]))
}

fn is_structured(json: &RawValue) -> bool {
    json.get().starts_with(['{', '['])
}
