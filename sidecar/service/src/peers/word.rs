//! The word of a copy about its methods.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// More bytes than the methods of any service take.
const LONGEST: usize = 64 * 1024;
/// The digits of a copy's name.
const COPY: usize = 16;

/// The word of a copy about its methods.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Word {
    /// The database of the copy.
    #[serde(with = "crate::as_text")]
    pub(super) instance: Uuid,
    /// The name of the copy: 16 hex digits that it chooses when it starts.
    pub(super) copy: String,
    /// All others are to tell their methods.
    pub(super) asks: bool,
    /// `<entity>.<method_name>` of each method. None: the copy takes no messages.
    pub(super) methods: Vec<String>,
}

impl Word {
    pub(super) fn text(&self) -> bytes::Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads a word; none if it makes no sense. The name becomes a token of a subject.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let word: Self =
            (payload.len() <= LONGEST).then(|| serde_json::from_slice(payload).ok()).flatten()?;
        let is_hex = word.copy.len() == COPY && word.copy.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_and_nonsense_is_none() {
        let word = Word {
            instance: Uuid::from_u128(1),
            copy: "00000000000000ab".to_owned(),
            asks: true,
            methods: vec!["example.simple".to_owned()],
        };
        assert_eq!(Word::read(&word.text()).as_ref(), Some(&word));
        let text = String::from_utf8(word.text().to_vec()).unwrap();
        for evil in ["", "{}", &text.replace("00ab", "00.>"), &text.replace("00ab", "ab")] {
            assert_eq!(Word::read(evil.as_bytes()), None, "{evil}");
        }
        assert_eq!(Word::read(&vec![b' '; LONGEST + 1]), None);
    }
}
