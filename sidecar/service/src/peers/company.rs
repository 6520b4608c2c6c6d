//! The knowledge of a copy about the others.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::word::Word;

/// The time for which a word counts. Copies that were heard in it come first.
const FRESH: Duration = Duration::from_secs(5);
/// The time after which a copy that does not answer is forgotten. Until then it may be slow, or
/// away from NATS for a moment.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// The time after which the others are asked again. It is shorter than [`FRESH`], so that a word
/// counts until the next one can be there.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(3);
/// More copies than any service has.
const MOST: usize = 64;

/// The other copies of the service.
#[derive(Default)]
pub(super) struct Company {
    /// By the names of the copies. Each stays until it leaves, or has not answered for long.
    peers: HashMap<String, Peer>,
    /// When all others were asked last, and over which connection to NATS.
    asked: Option<(Instant, u64)>,
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

    /// True if each copy that is known has told its methods since this moment.
    pub(super) fn have_answered(&self, since: Instant) -> bool {
        self.peers.values().all(|peer| peer.heard >= since)
    }

    /// True if the others were asked over this connection before. Then copies that nobody knows are
    /// not to be expected: each tells its methods when it comes.
    pub(super) fn knows_all(&self, connection: u64) -> bool {
        self.asked.is_some_and(|(_, over)| over == connection)
    }

    /// All others were asked at this moment, and have had the time to answer.
    pub(super) fn asked(&mut self, at: Instant, connection: u64, now: Instant) {
        self.asked = Some((at, connection));
        self.peers.retain(|_, peer| now.saturating_duration_since(peer.heard) < FORGOTTEN);
    }

    /// True if they need not be asked again: a copy that has come since has told its methods.
    pub(super) fn asked_lately(&self, connection: u64, now: Instant) -> bool {
        self.asked.is_some_and(|(asked, over)| {
            over == connection && now.saturating_duration_since(asked) < ASK_AGAIN
        })
    }

    /// A copy that has this method and was heard lately, by lot.
    pub(super) fn find(&self, method: &str, now: Instant, lot: u64) -> Option<&str> {
        self.choose(method, lot, |peer| now.saturating_duration_since(peer.heard) < FRESH)
    }

    /// A copy that had this method when it was heard last, by lot.
    pub(super) fn find_silent(&self, method: &str, lot: u64) -> Option<&str> {
        self.choose(method, lot, |_| true)
    }

    fn choose(&self, method: &str, lot: u64, counts: impl Fn(&Peer) -> bool) -> Option<&str> {
        let has = |peer: &Peer| counts(peer) && peer.methods.contains(method);
        let copies = self.peers.iter().filter(|(_, peer)| has(peer));
        let mut copies: Vec<&str> = copies.map(|(copy, _)| copy.as_str()).collect();
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
    fn a_copy_that_has_left_gets_nothing_and_one_that_is_silent_comes_last() {
        let (mut company, now) = (Company::default(), Instant::now());
        company.hear(word("1", &["a.x"]), now);
        company.hear(word("2", &["a.x"]), now);
        company.hear(word("1", &[]), now);
        assert_eq!(company.find("a.x", now, 0), Some("2"));
        assert_eq!((company.find("a.x", now + FRESH, 0), company.find_silent("a.x", 0)), (None, Some("2")));
        company.asked(now + FRESH, 1, now + FRESH);
        assert_eq!(company.find_silent("a.x", 0), Some("2"), "it may be slow");
        company.asked(now + FORGOTTEN, 1, now + FORGOTTEN);
        assert_eq!(company.find_silent("a.x", 0), None);
    }

    #[test]
    fn the_others_are_asked_again_after_a_while_and_over_another_connection() {
        let (mut company, now) = (Company::default(), Instant::now());
        assert!(!company.asked_lately(1, now) && !company.knows_all(1));
        company.hear(word("1", &["a.x"]), now);
        let asked = now + ASK_AGAIN;
        assert!(!company.have_answered(asked));
        company.hear(word("1", &["a.x"]), asked);
        assert!(company.have_answered(asked));
        company.asked(asked, 1, asked);
        assert!(company.asked_lately(1, asked) && company.knows_all(1));
        assert!(!company.asked_lately(1, asked + ASK_AGAIN));
        assert!(!company.asked_lately(2, asked) && !company.knows_all(2));
    }

    #[test]
    fn what_counts_when_the_others_were_asked_counts_until_they_are_asked_again() {
        let (mut company, now) = (Company::default(), Instant::now());
        company.asked(now, 1, now);
        company.hear(word("1", &["a.x"]), now);
        let last = now + ASK_AGAIN - Duration::from_nanos(1);
        assert!(company.asked_lately(1, last));
        assert_eq!(company.find("a.x", last, 0), Some("1"));
    }

    #[test]
    fn a_forger_makes_no_copy_remember_more_than_a_few() {
        let (mut company, now) = (Company::default(), Instant::now());
        for copy in 0..2 * MOST {
            company.hear(word(&copy.to_string(), &["a.x"]), now + Duration::from_nanos(copy as u64));
        }
        assert_eq!(company.peers.len(), MOST);
        assert!(!company.peers.contains_key("0") && company.peers.contains_key("127"));
    }
}
