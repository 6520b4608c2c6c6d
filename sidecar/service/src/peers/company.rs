//! The knowledge of a copy about the others.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::word::Word;

/// The time for which a word counts: a copy that was killed gets no messages after it.
const FRESH: Duration = Duration::from_secs(5);
/// The time after which the others are asked again. It is shorter than [`FRESH`], so that a word
/// counts until the next one can be there.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(3);
/// More copies than any service has.
const MOST: usize = 256;

/// The other copies of the service.
#[derive(Default)]
pub(super) struct Company {
    /// By the names of the copies. Each stays until it leaves, or is asked and does not answer.
    peers: HashMap<String, Peer>,
    /// When all others were asked last.
    asked: Option<Instant>,
}

/// A copy.
struct Peer {
    methods: HashSet<String>,
    heard: Instant,
}

impl Company {
    /// The word of a copy. Without methods it takes no messages.
    pub(super) fn hear(&mut self, word: Word, now: Instant) {
        if word.methods.is_empty() {
            self.peers.remove(&word.copy);
            return;
        }
        if self.peers.len() >= MOST && !self.peers.contains_key(&word.copy) {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.heard).map(|(copy, _)| copy.clone());
            oldest.and_then(|copy| self.peers.remove(&copy));
        }
        let methods = word.methods.into_iter().collect();
        self.peers.insert(word.copy, Peer { methods, heard: now });
    }

    /// True if copies are known, and each has told its methods since this moment.
    pub(super) fn has_answered(&self, since: Instant) -> bool {
        !self.peers.is_empty() && self.peers.values().all(|peer| peer.heard >= since)
    }

    /// True if no other copy is known.
    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// All others were asked at this moment, and have had the time to answer.
    pub(super) fn asked(&mut self, at: Instant) {
        self.asked = Some(at);
        self.peers.retain(|_, peer| peer.heard >= at);
    }

    /// True if they need not be asked again: a copy that has come since has told its methods.
    pub(super) fn asked_lately(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ASK_AGAIN)
    }

    /// A copy that has this method, by lot.
    pub(super) fn find(&self, method: &str, now: Instant, lot: u64) -> Option<&str> {
        let has = |(_, peer): &(&String, &Peer)| {
            now.saturating_duration_since(peer.heard) < FRESH && peer.methods.contains(method)
        };
        let mut copies: Vec<&str> = self.peers.iter().filter(has).map(|(copy, _)| copy.as_str()).collect();
        copies.sort_unstable();
        let chosen = lot.checked_rem(copies.len() as u64)?;
        copies.get(usize::try_from(chosen).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn word(copy: &str, methods: &[&str]) -> Word {
        let methods = methods.iter().map(|&method| method.to_owned()).collect();
        Word { instance: Uuid::nil(), copy: copy.to_owned(), asks: false, methods }
    }

    #[test]
    fn each_copy_that_has_a_method_gets_its_share() {
        let (mut company, now) = (Company::default(), Instant::now());
        assert_eq!(company.find("a.x", now, 0), None);
        company.hear(word("1", &["a.x", "a.y"]), now);
        company.hear(word("2", &["a.x"]), now);
        assert_eq!((company.find("a.x", now, 6), company.find("a.x", now, 7)), (Some("1"), Some("2")));
        assert_eq!((company.find("a.y", now, 7), company.find("a.z", now, 7)), (Some("1"), None));
    }

    #[test]
    fn a_copy_that_has_left_or_was_not_heard_for_a_while_gets_nothing() {
        let (mut company, now) = (Company::default(), Instant::now());
        company.hear(word("1", &["a.x"]), now);
        company.hear(word("2", &["a.x"]), now);
        company.hear(word("1", &[]), now);
        assert_eq!(company.find("a.x", now, 0), Some("2"));
        assert_eq!(company.find("a.x", now + FRESH, 0), None);
    }

    #[test]
    fn a_copy_that_does_not_answer_is_waited_for_once() {
        let (mut company, now) = (Company::default(), Instant::now());
        assert!(!company.has_answered(now) && !company.asked_lately(now));
        company.hear(word("1", &["a.x"]), now);
        company.hear(word("2", &["a.x"]), now);
        let asked = now + ASK_AGAIN;
        company.hear(word("1", &["a.x"]), asked);
        assert!(!company.has_answered(asked));
        company.asked(asked);
        assert!(company.has_answered(asked));
        assert!(company.asked_lately(asked) && !company.asked_lately(asked + ASK_AGAIN));
    }

    #[test]
    fn what_counts_when_the_others_were_asked_counts_until_they_are_asked_again() {
        let (mut company, now) = (Company::default(), Instant::now());
        company.asked(now);
        company.hear(word("1", &["a.x"]), now);
        let last = now + ASK_AGAIN - Duration::from_nanos(1);
        assert!(company.asked_lately(last));
        assert_eq!(company.find("a.x", last, 0), Some("1"));
    }

    #[test]
    fn a_forger_makes_no_copy_remember_more_than_a_few() {
        let (mut company, now) = (Company::default(), Instant::now());
        for copy in 0..2 * MOST {
            company.hear(word(&copy.to_string(), &["a.x"]), now + Duration::from_nanos(copy as u64));
        }
        assert_eq!(company.peers.len(), MOST);
        assert!(!company.peers.contains_key("0") && company.peers.contains_key("511"));
    }
}
