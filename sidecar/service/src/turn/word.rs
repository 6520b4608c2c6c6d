//! The words of copies about who serves, and the verdict of a copy on them.

use serde::{Deserialize, Serialize};
use tpro_wire::Responder;
use uuid::Uuid;

/// More bytes than any word has.
const LONGEST: usize = 1024;

/// The place of a copy on its way into the queue group. A later one counts for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It was refused and looks whether it may ask again.
    Waiting,
    /// It is about to join.
    Joining,
    /// It serves.
    Serving,
}

/// A copy's word about itself. Nobody signs it: keys are a database's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Word {
    #[serde(with = "crate::as_text")]
    pub(super) instance: Uuid,
    pub(super) state: State,
    /// True if it shares its service with other databases.
    pub(super) shares: bool,
    /// The copy that says it: service/version/copy.
    #[serde(with = "crate::as_text")]
    pub(super) copy: Responder,
    /// The release of tpro that it is built with.
    pub(super) release: String,
}

/// The verdict of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'w> {
    /// Its own database serves already: it joins, even if others serve, too.
    Welcome,
    /// Nobody is in its way.
    Free,
    /// This copy is in its way.
    Refused(&'w Word),
}

impl Word {
    pub(super) fn text(&self) -> bytes::Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads a word; none if it makes no sense.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        (payload.len() <= LONGEST).then(|| serde_json::from_slice(payload).ok()).flatten()
    }

    /// The verdict of this copy on all that it has heard.
    ///
    /// A copy that serves is in the way, and of two that are about to join, the one with the lower
    /// instance. A copy that waits is in nobody's way: it must not keep a copy from coming back to
    /// the database that served before.
    pub(super) fn verdict<'w>(&self, heard: &'w [Self]) -> Verdict<'w> {
        let same = |word: &&Self| word.instance == self.instance;
        if heard.iter().filter(same).any(|word| word.state == State::Serving) {
            return Verdict::Welcome;
        }
        let in_the_way = |word: &&Self| match word.state {
            State::Waiting => false,
            State::Joining => self.state == State::Waiting || word.instance < self.instance,
            State::Serving => true,
        };
        let mut others = heard.iter().filter(|word| !(same(word) || self.shares && word.shares));
        let first = others.by_ref().filter(in_the_way).max_by_key(|word| word.state);
        first.map_or(Verdict::Free, Verdict::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(instance: u128, state: State, shares: bool) -> Word {
        Word {
            instance: Uuid::from_u128(instance),
            state,
            shares,
            copy: "analytic/1.0/1".parse().unwrap(),
            release: "0.1.1".to_owned(),
        }
    }

    #[test]
    fn who_serves_is_in_the_way_of_another_database_and_of_no_copy_of_its_own() {
        let ours = word(2, State::Joining, false);
        assert_eq!(ours.verdict(&[]), Verdict::Free);
        let others = [word(3, State::Serving, false)];
        assert_eq!(ours.verdict(&others), Verdict::Refused(&others[0]));
        let both = [word(3, State::Serving, false), word(2, State::Serving, false)];
        assert_eq!(ours.verdict(&both), Verdict::Welcome);
    }

    #[test]
    fn of_two_that_begin_at_once_one_gives_way() {
        let (low, high) = (word(1, State::Joining, false), word(2, State::Joining, false));
        assert_eq!(low.verdict(std::slice::from_ref(&high)), Verdict::Free);
        assert_eq!(high.verdict(std::slice::from_ref(&low)), Verdict::Refused(&low));
    }

    #[test]
    fn one_that_waits_is_in_nobodys_way_and_goes_on_waiting_while_somebody_joins() {
        let (waits, joins) = (word(1, State::Waiting, false), word(2, State::Joining, false));
        assert_eq!(joins.verdict(std::slice::from_ref(&waits)), Verdict::Free);
        assert_eq!(waits.verdict(std::slice::from_ref(&joins)), Verdict::Refused(&joins));
        assert_eq!(waits.verdict(&[word(3, State::Waiting, false)]), Verdict::Free);
    }

    #[test]
    fn two_databases_share_a_service_if_both_say_so() {
        for (ours, theirs) in [(true, false), (false, true), (false, false)] {
            let others = [word(1, State::Serving, theirs)];
            assert_eq!(word(2, State::Joining, ours).verdict(&others), Verdict::Refused(&others[0]));
        }
        let others = [word(1, State::Serving, true), word(3, State::Joining, true)];
        assert_eq!(word(2, State::Joining, true).verdict(&others), Verdict::Free);
    }

    #[test]
    fn a_word_comes_back_and_nonsense_is_none() {
        let said = word(1, State::Serving, true);
        assert_eq!(Word::read(&said.text()), Some(said.clone()));
        let text = String::from_utf8(said.text().to_vec()).unwrap();
        let evil = text.replace("analytic/1.0/1", r"analytic/1.0/1\nready");
        assert_ne!(evil, text);
        for payload in ["", "{}", &evil, &" ".repeat(LONGEST + 1)] {
            assert_eq!(Word::read(payload.as_bytes()), None, "{payload}");
        }
    }
}
