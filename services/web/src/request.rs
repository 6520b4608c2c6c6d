//! The body of a message: the request as its publisher writes it.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tpro_sidecar::Fault;

use crate::retry::Statuses;

/// The request as its publisher writes it. A member that is null counts as left out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// Added to the query of the URL.
    pub(crate) query: Option<BTreeMap<String, Value>>,
    /// Raw, so that its numbers keep their digits.
    pub(crate) body: Option<Box<RawValue>>,
    /// A body that is no text.
    pub(crate) body_base64: Option<String>,
    /// The longest time of this request, in place of the one of the settings.
    timeout_ms: Option<u32>,
    /// The statuses after which this request is sent again, in place of those of the settings.
    retry_on: Option<Vec<u16>>,
}

impl Request {
    /// The longest time that the message names.
    pub(crate) fn time(&self) -> Result<Option<Duration>, Fault> {
        match self.timeout_ms {
            Some(0) => Err(Fault::field("timeout_ms", "timeout_ms must be at least 1")),
            time => Ok(time.map(|ms| Duration::from_millis(ms.into()))),
        }
    }

    /// The statuses that the message names.
    pub(crate) fn retried(&self) -> Result<Option<Statuses>, Fault> {
        let Some(statuses) = &self.retry_on else { return Ok(None) };
        let statuses = Statuses::new(statuses.clone());
        statuses.map(Some).ok_or_else(|| {
            Fault::field("retry_on", "retry_on must be an array of statuses from 400 to 599, or empty")
        })
    }
}

/// The pairs of a query or a form. A value is a text, a number, true or false.
pub(crate) fn pairs(field: &str, members: BTreeMap<String, Value>) -> Result<Vec<(String, String)>, Fault> {
    let pair = |(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let text = format!("{field} must be an object of texts, numbers, true and false");
            Err(Fault::field(field, text))
        }
    };
    members.into_iter().map(pair).collect()
}
