//! The reasons why a request gives no result, and what the caller is told.

use std::{error::Error, io, time::Duration, time::SystemTime};

use serde_json::json;
use tpro_sidecar::Fault;

use crate::{refusal::Refusal, response::Response, retry};

/// The server answers with a status that is worth another try.
const STATUS: i64 = 1;
/// There is no connection: nothing was sent.
const CONNECTION: i64 = 2;
/// There is no response in time.
const LATE: i64 = 3;
/// The response is larger than `WEB_MAX_RESPONSE`.
const TOO_LARGE: i64 = 4;
/// A redirect leads to a place that the rules forbid, or there are too many.
const REDIRECT: i64 = 5;
/// The connection broke before the response was there, or it is no response of HTTP.
const BROKEN: i64 = 6;
/// The largest response that an error carries, in bytes.
const MAX_TOLD: usize = 16 * 1024;

/// The reason why a request gives no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The URL of the message breaks a rule.
    Url(Refusal),
    /// A redirect leads to a place that breaks a rule.
    Redirect(Refusal),
    /// There are more redirects than this.
    Circle(u8),
    /// The server answers with a status that is worth another try.
    Status(Box<Response>),
    /// There is no connection, by this reason.
    Connection(String),
    /// There is no response within this time.
    Late(Duration),
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// The response with this status has more bytes than this.
    TooLarge(u16, usize),
}

impl Failure {
    /// A place breaks a rule.
    pub(crate) fn refused(refusal: Refusal, is_redirected: bool) -> Self {
        if is_redirected { Self::Redirect(refusal) } else { Self::Url(refusal) }
    }

    /// The failure of a client. Its text has the URL in it, and is not shown.
    pub(crate) fn of(error: &reqwest::Error, is_redirected: bool) -> Self {
        if let Some(refusal) = chain(error).find_map(|error| error.downcast_ref::<Refusal>()) {
            return Self::refused(*refusal, is_redirected);
        }
        if error.is_builder() {
            return Self::refused(Refusal::NoUrl, is_redirected);
        }
        if !error.is_connect() {
            return Self::Broken;
        }
        let reason = if error.is_dns() {
            "the name cannot be resolved".to_owned()
        } else if let Some(tls) = chain(error).find_map(tls_of) {
            format!("TLS: {tls}")
        } else {
            let found = chain(error).find_map(|error| error.downcast_ref::<io::Error>());
            found.map_or_else(|| "the connection failed".to_owned(), |error| error.kind().to_string())
        };
        Self::Connection(reason)
    }

    /// The fault of a handler, in this attempt.
    pub(crate) fn into_fault(self, attempt: u32, uid: &str) -> Fault {
        let again =
            |code, text: String| Fault::retry_after(retry::back_off(attempt, uid)).at_last(code, text);
        match self {
            Self::Url(refusal) => Fault::field("url", format!("url {refusal}")),
            Self::Redirect(refusal) => Fault::new(REDIRECT, format!("the target of a redirect {refusal}")),
            Self::Circle(most) => {
                Fault::new(REDIRECT, format!("the request was redirected more than {most} times"))
            }
            Self::TooLarge(status, limit) => {
                let text = format!("the response has more than {limit} bytes, the limit of WEB_MAX_RESPONSE");
                Fault::new(TOO_LARGE, text).data(json!({ "status": status }))
            }
            Self::Connection(reason) => {
                again(CONNECTION, format!("the host cannot be connected to: {reason}"))
            }
            Self::Late(limit) => again(LATE, format!("no response within {} ms", limit.as_millis())),
            Self::Broken => again(BROKEN, "the connection broke before the response was complete".to_owned()),
            Self::Status(response) => {
                let wish = response.retry_after().and_then(|text| retry::wished(text, SystemTime::now()));
                let seconds = wish.unwrap_or_else(|| retry::back_off(attempt, uid));
                let text = format!("the server answered with status {}", response.status());
                let fault = Fault::retry_after(seconds).at_last(STATUS, text);
                if response.size() > MAX_TOLD {
                    fault.data(json!({ "status": response.status() }))
                } else {
                    fault.data(response)
                }
            }
        }
    }
}

/// The error and its sources.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The error of TLS. It lies within one of reading and writing, or two, which are no sources.
fn tls_of<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let inner = || tls_of(error.downcast_ref::<io::Error>()?.get_ref()?);
    error.downcast_ref().or_else(inner)
}
