//! The place of a request in its batch, and the words of an error for it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::RpcError;

/// The place of a request in its batch. Texts for people count from 1, data counts from 0 as the
/// array of the body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Place {
    /// The index in the array of the body.
    pub index: usize,
    /// The number of requests in the batch.
    pub count: usize,
}

/// The data of an error that is of one request.
#[derive(Serialize)]
struct Data<'a> {
    index: usize,
    count: usize,
    /// The data that the error of the request had.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    /// All answers of the batch in its order, where they are not all alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<&'a RawValue>,
}

impl Place {
    /// The error of the batch that ends with this error of the request. It keeps the code, says
    /// the place in its text and in its data, and has the data of the request as a member of its
    /// own.
    pub fn error(self, error: &RpcError) -> RpcError {
        self.error_among(error, None)
    }

    /// [`Self::error`], with all answers of the batch as a member of the data.
    pub(crate) fn error_among(self, error: &RpcError, answers: Option<&RawValue>) -> RpcError {
        let Self { index, count } = self;
        let data = Data { index, count, data: error.data.as_deref(), answers };
        RpcError {
            code: error.code,
            message: format!("{self}: {}", error.message),
            data: serde_json::value::to_raw_value(&data).ok(),
        }
    }

    /// The place that an error says which [`Self::error`] has made, in a batch of so many requests.
    pub fn of(error: &RpcError, count: usize) -> Option<Self> {
        let place: Self = serde_json::from_str(error.data.as_ref()?.get()).ok()?;
        let says =
            place.index < count && place.count == count && error.message.starts_with(&format!("{place}: "));
        says.then_some(place)
    }

    /// Cuts the text of [`Self::error`] into the place, without its colon, and the text of the
    /// request's error.
    pub(crate) fn cut(text: &str) -> Option<(&str, &str)> {
        let numbers = text.strip_prefix("request ")?;
        let (place, _) = numbers.split_once(": ")?;
        let (number, count) = place.split_once(" of ")?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let end = text.len() - numbers.len() + place.len();
        (is_number(number) && is_number(count)).then(|| (&text[..end], &text[end + 2..]))
    }
}

/// The place for people.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} of {}", self.index + 1, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of a request.
    fn error(message: &str, data: Option<&str>) -> RpcError {
        let data = data.and_then(|json| RawValue::from_string(json.into()).ok());
        RpcError { code: 7, message: message.into(), data }
    }

    #[test]
    fn an_error_says_the_place_and_keeps_its_code_and_data() {
        let place = Place { index: 1, count: 3 };
        let said = place.error(&error("no more seats: none", None));
        let json =
            r#"{"code":7,"message":"request 2 of 3: no more seats: none","data":{"index":1,"count":3}}"#;
        assert_eq!(said.to_json(), json);
        let said = place.error(&error("no more seats: none", Some("[1.50]")));
        assert_eq!(said.data.as_ref().unwrap().get(), r#"{"index":1,"count":3,"data":[1.50]}"#);
        assert_eq!(Place::of(&said, 3), Some(place));
        assert_eq!(Place::cut(&said.message), Some(("request 2 of 3", "no more seats: none")));
    }

    #[test]
    fn the_error_of_a_handler_says_no_place() {
        for (message, data) in [
            ("no more seats", r#"{"index":1,"count":3}"#),
            ("request 2 of 4: no", r#"{"index":1,"count":3}"#),
            ("request 3 of 3: no", r#"{"index":1,"count":3}"#),
            ("request 2 of 3: no", r#"{"index":1}"#),
            ("request 5 of 3: no", r#"{"index":4,"count":3}"#),
            ("request 2 of 3: no", "7"),
        ] {
            assert_eq!(Place::of(&error(message, Some(data)), 3), None, "{message}");
        }
        for text in ["request 2 of 3", "request a of 3: no", "request  of 3: no", "request 2: of 3: no", ""] {
            assert_eq!(Place::cut(text), None, "{text}");
        }
    }
}
