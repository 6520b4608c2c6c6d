//! Answers to batches, written and read (JSON-RPC 2.0, section 6).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::answer::{
    Answer, AnswerError, AnswerMembers, NotAnswer, Said, answer, push_failure, push_success,
};
use super::batch::is_batch;
use super::request_id::RequestId;
use crate::error::{RpcError, code};
use crate::language::Language;
use crate::limits::MAX_BODY;
use crate::place::Place;
use crate::uid::Uid;

/// Bytes of an answer beside its id and its result, and of an answer with [`code::BATCH`] in any
/// language.
const EACH: usize = 200;

/// Bytes that the answers to these requests need beside their results, at most.
pub fn room(ids: &[RequestId]) -> usize {
    ids.iter().map(|id| id.len() + EACH).sum()
}

/// Writes the answers with the results of a batch. `results` is JSON text, an array of them in the
/// order of the ids; another text has no answer.
pub fn successes(ids: &[RequestId], results: &str) -> Option<Vec<u8>> {
    let each: Vec<&RawValue> = serde_json::from_str(results).ok()?;
    if each.len() != ids.len() {
        return None;
    }
    Some(array(results.len() + room(ids), ids, |payload, index, id| {
        push_success(payload, id, each[index].get());
    }))
}

/// Writes the answers of a batch that has failed as one.
///
/// Each request gets an answer with an error. JSON-RPC has an answer for each request of a batch
/// that could be read, and clients match them by their ids: a single error would leave them waiting
/// for the others. Its null id is only for a batch that could not be read. If the error says the
/// place of the request that has failed ([`Place::error`]), the others are told [`code::BATCH`],
/// and so nothing comes a thousand times.
pub fn failures(ids: &[RequestId], error: &RpcError, language: Language) -> Vec<u8> {
    let place = Place::of(error, ids.len());
    let others = place.map(|place| language.of_error(&other_failed(place)).to_json());
    let error = language.of_error(error).to_json();
    array(error.len() + room(ids), ids, |payload, index, id| match (place, &others) {
        (Some(place), Some(others)) if place.index != index => push_failure(payload, Some(id), others),
        _ => push_failure(payload, Some(id), &error),
    })
}

/// The error of a request that has not failed itself.
fn other_failed(place: Place) -> RpcError {
    let (number, count) = (place.index + 1, place.count);
    RpcError::new(code::BATCH, format!("request {number} of {count} failed, and its whole batch with it"))
}

fn array(length: usize, ids: &[RequestId], push: impl Fn(&mut Vec<u8>, usize, &RequestId)) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length);
    for (index, id) in ids.iter().enumerate() {
        payload.push(if index == 0 { b'[' } else { b',' });
        push(&mut payload, index, id);
    }
    payload.push(b']');
    payload
}

/// Reads the answer to the batch of so many requests with this uid.
///
/// The answers may come in any order. The result is the array of all results, in the order of the
/// requests. If some request has failed, the answer is the error of the first one, which says its
/// place and has all answers in its data if they fit there. `failed` says that the service calls
/// the batch failed as one: then every answer is an error, and the one that is not [`code::BATCH`]
/// is taken as it is.
///
/// An error by itself ends the batch, and so does an error with a null id among the answers: the
/// service could not read the request.
pub fn answers(uid: &Uid, requests: usize, failed: bool, payload: &[u8]) -> Result<Answer, AnswerError> {
    if !is_batch(payload) {
        return match answer(uid, payload) {
            Ok(Answer::Result(_)) => Err(NotAnswer::BatchKind("an object").into()),
            Err(AnswerError::No(NotAnswer::Kind(kind))) => Err(NotAnswer::BatchKind(kind).into()),
            other => other,
        };
    }
    let text = str::from_utf8(payload).map_err(|_| NotAnswer::NotUtf8)?;
    let came: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NotAnswer::NotJson)?;
    let mut said: Vec<Option<Said<'_>>> = (0..requests).map(|_| None).collect();
    for one in &came {
        let members = AnswerMembers::read(one.get())?;
        let id = members.id()?;
        match (members.said()?, id) {
            (Said::Error(error), "null") => return Ok(Answer::Error(error)),
            (one, id) => {
                let index = index(id, uid)?;
                let place = said.get_mut(index).ok_or(NotAnswer::BatchId)?;
                if place.replace(one).is_some() {
                    return Err(NotAnswer::BatchTwice(index + 1).into());
                }
            }
        }
    }
    let said: Option<Vec<Said<'_>>> = said.into_iter().collect();
    // None of them came twice, so that some are missing if they are too few.
    let said = said.ok_or(NotAnswer::BatchLength { requests, answers: came.len() })?;
    let errors =
        || said.iter().enumerate().filter_map(|(index, said)| said.error().map(|error| (index, error)));
    let Some((index, first)) = errors().next() else { return Ok(Answer::Result(results(&said)?)) };
    if failed && errors().count() == requests {
        let cause = errors().find(|(_, error)| error.code != code::BATCH);
        return Ok(Answer::Error(cause.map_or(first, |(_, cause)| cause).clone()));
    }
    let all = all(&said).filter(|all| all.get().len() <= MAX_BODY);
    Ok(Answer::Error(Place { index, count: requests }.error_among(first, all.as_deref())))
}

impl Said<'_> {
    fn error(&self) -> Option<&RpcError> {
        match self {
            Self::Result(_) => None,
            Self::Error(error) => Some(error),
        }
    }
}

/// The index that the id of an answer names, if it begins with this uid.
fn index(id: &str, uid: &Uid) -> Result<usize, NotAnswer> {
    match id.as_bytes().first() {
        Some(b'"') => {}
        Some(b'0'..=b'9' | b'-' | b'n') => return Err(NotAnswer::BatchId),
        _ => return Err(NotAnswer::Id),
    }
    // An id with capital letters or escapes is the same id.
    let id: Cow<'_, str> = serde_json::from_str(id).map_err(|_| NotAnswer::BatchId)?;
    let named = id.split_once('/').filter(|(text, _)| text.parse() == Ok(*uid));
    let index = named.and_then(|(_, index)| Some((index, index.parse::<usize>().ok()?)));
    // A number has one form only.
    index.filter(|(text, index)| index.to_string() == *text).map(|(_, index)| index).ok_or(NotAnswer::BatchId)
}

/// The results as one array.
fn results(said: &[Said<'_>]) -> Result<Box<RawValue>, NotAnswer> {
    let results = said.iter().map(|said| match said {
        Said::Result(result) => result.get(),
        Said::Error(_) => "null",
    });
    let json = format!("[{}]", results.collect::<Vec<_>>().join(","));
    RawValue::from_string(json).map_err(|_| NotAnswer::NotJson)
}

/// All answers as one array of `{"result":...}` and `{"error":...}`.
fn all(said: &[Said<'_>]) -> Option<Box<RawValue>> {
    let each = said.iter().map(|said| match said {
        Said::Result(result) => format!(r#"{{"result":{}}}"#, result.get()),
        Said::Error(error) => format!(r#"{{"error":{}}}"#, error.to_json()),
    });
    RawValue::from_string(format!("[{}]", each.collect::<Vec<_>>().join(","))).ok()
}
