//! The language of a text for a person.
//!
//! An error is made, stored and logged in English. Its text is put into the language of its reader
//! at the last moment: where a service answers, and where a requester settles its message. So one
//! stored outcome is good for every caller, and the answer of a service that knows English only is
//! read in Russian all the same.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use crate::error::RpcError;
use crate::phrases::Phrases;
use crate::place::Place;

/// The codes of tpro and of JSON-RPC. Errors with others are a service's own.
const OURS: RangeInclusive<i64> = -32768..=-32000;

static RUSSIAN: LazyLock<Phrases> = LazyLock::new(|| Phrases::read(include_str!("russian.txt")));

/// A language that tpro has texts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// The language in which texts are made.
    #[default]
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// The language of a tag such as `ru-RU`: Russian, and English for all others.
    pub fn of(tag: Option<&str>) -> Self {
        let first = tag.and_then(|tag| tag.split('-').next());
        if first.is_some_and(|first| first.eq_ignore_ascii_case("ru")) {
            Self::Russian
        } else {
            Self::English
        }
    }

    /// An error in this language. A text that is not tpro's stays as it is. The place in a batch is
    /// tpro's text before the text of anybody.
    pub fn of_error(self, error: &RpcError) -> Cow<'_, RpcError> {
        let translated = |text| OURS.contains(&error.code).then(|| RUSSIAN.translate(text)).flatten();
        let said = match (self, Place::cut(&error.message)) {
            (Self::English, _) => None,
            (Self::Russian, None) => translated(&error.message),
            (Self::Russian, Some((place, text))) => RUSSIAN
                .translate(place)
                .map(|place| format!("{place}: {}", translated(text).as_deref().unwrap_or(text))),
        };
        match said {
            Some(message) => Cow::Owned(RpcError { message, ..error.clone() }),
            None => Cow::Borrowed(error),
        }
    }
}
