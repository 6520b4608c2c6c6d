//! A response is read, within the bounds of its size.

use crate::{
    failure::Failure,
    response::{self, Response},
};

/// Reads a response of at most so many bytes, headers and body.
pub(crate) async fn read(mut response: reqwest::Response, limit: usize) -> Result<Response, Failure> {
    let status = response.status();
    let too_large = || Failure::TooLarge(status.as_u16(), limit);
    let room = limit.checked_sub(response::size_of(response.headers())).ok_or_else(too_large)?;
    // A response that says that it is larger is not read at all.
    if response.content_length().is_some_and(|length| length > room as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of(&error, false))? {
        if bytes.len() + chunk.len() > room {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Response::new(status, response.headers(), bytes))
}
