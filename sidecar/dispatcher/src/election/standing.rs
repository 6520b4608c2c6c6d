//! The standing of a claim beside others: when it asks, what it answers, and to whom it gives way.
//! No IO; the model is `sidecar/models/src/rivals.rs`.

use std::time::{Duration, Instant};

use super::identity::Server;

/// The pause before a leader asks again.
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// The shortest pause, after a word that gives it a reason.
const ASK_SOON: Duration = Duration::from_millis(250);

/// The right by which a claim is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stance {
    /// The session has the lock. The claim is to lead.
    Leads,
    /// The session has no lock. The claim only asks whether somebody leads, and answers nobody.
    Asks,
}

/// A word about the source that was signed by a copy of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// A server wants to lead.
    Question(Server),
    /// A server leads.
    Answer(Server),
}

/// Another server leads and has the better right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Led {
    /// Its timeline.
    pub theirs: u32,
    /// The timeline of our server.
    pub ours: u32,
}

/// A claim beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    server: Server,
    stance: Stance,
    /// Nobody has had the time to object yet.
    is_new: bool,
    asked: Instant,
    due: Instant,
}

impl Standing {
    /// The standing of a new claim, which asks now.
    pub fn new(server: Server, stance: Stance, now: Instant) -> Self {
        Self { server, stance, is_new: true, asked: now, due: now + ASK_AGAIN }
    }

    /// The server of the claim.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Nobody has objected in time: from now on the claim is not a newcomer's.
    pub fn holds(&mut self) {
        self.is_new = false;
    }

    /// True if a question is answered.
    pub fn answers(&self) -> bool {
        self.stance == Stance::Leads
    }

    /// True if this word is our own, which comes back to us.
    pub fn is_own(&self, said: &Server) -> bool {
        said.asker == self.server.asker
    }

    /// When to ask again: a leader may have stood still when it was asked, or been cut off.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// True if it is time to ask again; it is taken for asked.
    pub fn ask(&mut self, now: Instant) -> bool {
        let asks = now >= self.due;
        if asks {
            (self.asked, self.due) = (now, now + ASK_AGAIN);
        }
        asks
    }

    /// Heeds a word. A question makes nobody give way, because it may have been overheard and said
    /// again: a claim that hears one from a promoted server asks for itself, and gives way to the
    /// answer.
    pub fn heed(&mut self, heard: &Heard) -> Result<(), Led> {
        match heard {
            Heard::Question(theirs) if self.server.is_behind(theirs) => {
                self.due = self.due.min(self.asked + ASK_SOON);
                Ok(())
            }
            Heard::Answer(theirs) if !self.may_lead_beside(theirs) => {
                Err(Led { theirs: theirs.timeline, ours: self.server.timeline })
            }
            _ => Ok(()),
        }
    }

    fn may_lead_beside(&self, leading: &Server) -> bool {
        match self.is_new {
            true => self.server.may_begin_beside(leading),
            false => self.server.may_go_on_beside(leading),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Server = Server { timeline: 1, started: 5, asker: 1 };
    const CLONE: Server = Server { timeline: 1, started: 9, asker: 2 };
    const PROMOTED: Server = Server { timeline: 2, started: 9, asker: 3 };

    #[test]
    fn a_newcomer_gives_way_and_a_leader_stays_on_one_timeline() {
        let mut standing = Standing::new(CLONE, Stance::Leads, Instant::now());
        assert_eq!(standing.heed(&Heard::Answer(OURS)), Err(Led { theirs: 1, ours: 1 }));
        let mut standing = Standing::new(OURS, Stance::Leads, Instant::now());
        assert_eq!(standing.heed(&Heard::Answer(CLONE)), Err(Led { theirs: 1, ours: 1 }));
        standing.holds();
        assert_eq!(standing.heed(&Heard::Answer(CLONE)), Ok(()));
        assert_eq!(standing.heed(&Heard::Answer(PROMOTED)), Err(Led { theirs: 2, ours: 1 }));
    }

    #[test]
    fn a_question_of_a_promoted_server_makes_a_leader_ask_soon_and_not_give_way() {
        let now = Instant::now();
        let mut standing = Standing::new(OURS, Stance::Leads, now);
        assert_eq!(standing.heed(&Heard::Question(CLONE)), Ok(()));
        assert_eq!(standing.due(), now + ASK_AGAIN);
        assert_eq!(standing.heed(&Heard::Question(PROMOTED)), Ok(()));
        assert_eq!(standing.due(), now + ASK_SOON);
        assert!(!standing.ask(now) && standing.ask(now + ASK_SOON));
        assert_eq!(standing.due(), now + ASK_SOON + ASK_AGAIN);
    }

    #[test]
    fn only_a_leader_answers() {
        let of = |stance| Standing::new(OURS, stance, Instant::now());
        assert!(of(Stance::Leads).answers() && !of(Stance::Asks).answers());
        assert!(of(Stance::Leads).is_own(&OURS) && !of(Stance::Leads).is_own(&CLONE));
    }
}
