//! Decides what becomes of a delivery: it runs, joins a run, gets the stored outcome, or is
//! refused.
//!
//! No IO is done here. The writer (`writer.rs`) and the transactional way (`own.rs`) take runs and
//! read what is known, and do what is decided. `sidecar/models/src/inbox.rs` drives this code
//! through every reachable state.
//!
//! Three decisions stay in SQL, because each must be atomic with the row that it is about: who gets
//! a run (`accept.sql`), whose outcome counts (`finish.sql`, `finish_accepted.sql`), and the number
//! of a counted run (`count_repeat.sql`). The first to insert wins; what the others do is decided
//! here. Times are compared in `known.sql`: the clock of the database is the one that copies share.

use std::time::Duration;

use tpro_runtime::plant;

use super::run_limit::RunLimit;

/// The longest lead of a requester's database clock over ours.
const FUTURE: Duration = Duration::from_secs(5 * 60);

/// The end of an INSERT that takes a run of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    /// The run is ours.
    Ours,
    /// The run was taken before.
    Before,
    /// Another transaction has taken the run and is open: `lock_timeout`.
    Open,
}

/// The facts about a message whose run was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// The delivery asks what was asked first, and comes from the same sender. True if nobody has
    /// asked before.
    pub is_repeat: bool,
    /// An outcome is stored.
    pub is_done: bool,
    /// The last run; none if no run was taken.
    pub last: Option<LastRun>,
    /// Runs that their handlers have put off. Behind each of them is a row without an owner, which
    /// says that it is over.
    pub put_off: i32,
}

/// The last run that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LastRun {
    /// Its number.
    pub number: i32,
    /// The copy that took it.
    pub owner: Owner,
    /// Its deadline has not passed.
    pub has_time: bool,
}

/// The copy that took a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// This copy, now or before it lost its session. What it works on, it knows from its own
    /// memory.
    ThisCopy,
    /// Another copy.
    AnotherCopy {
        /// Its session holds the lock that says it lives.
        is_present: bool,
    },
}

/// The next step of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Take the run that the bid is for.
    Take,
    /// Read what is known of the message.
    Look,
    /// Nothing more is to be asked.
    End(Verdict),
}

/// The fate of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The handler runs, and this is the number of the run.
    Run(i32),
    /// The stored outcome is the answer.
    Done {
        /// This copy took the last run.
        ours: bool,
    },
    /// All runs began and none was finished. An error becomes the outcome.
    Exhausted {
        /// The number of the run that is not made.
        run: i32,
        /// The runs that began in vain: without those that were put off.
        begun: i32,
    },
    /// No handler runs here for it now.
    Refused(Refusal),
}

/// The reason why no handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Another question was asked under the uid before.
    Mismatch,
    /// Another copy is at work on the message.
    Working,
    /// The message is suspect of ending the process, and waits until no other suspect runs.
    Suspect,
    /// Another question is at work under the uid, and the inbox has not said yet which of the two
    /// came first.
    Unsure,
}

/// A delivery on its way to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bid {
    run: i32,
    /// The run was inserted, and nobody knows whether that was committed.
    is_unsure: bool,
    may_be_suspect: bool,
}

impl Bid {
    /// A bid for the first run. A message that is suspect gets its next run only if the delivery
    /// `may_be_suspect`: no other suspect runs in this copy.
    pub fn new(may_be_suspect: bool) -> Self {
        Self { run: 1, is_unsure: false, may_be_suspect }
    }

    /// The number of the run to take.
    pub fn run(&self) -> i32 {
        self.run
    }

    /// The session was lost with the COMMIT unanswered. The run is to be taken again.
    pub fn lost(&mut self) {
        self.is_unsure = true;
    }

    /// Decides after the INSERT.
    pub fn taken(&self, taken: Taken) -> Step {
        match taken {
            Taken::Ours => Step::End(Verdict::Run(self.run)),
            Taken::Before => Step::Look,
            // A transaction that has the row is at work.
            Taken::Open => Step::End(Verdict::Refused(Refusal::Working)),
        }
    }

    /// Decides by what is known. After [`Step::Take`] the bid is for the next run.
    pub fn judge(&mut self, known: &Known, limit: RunLimit) -> Step {
        if !known.is_repeat {
            return Step::End(Verdict::Refused(Refusal::Mismatch));
        }
        let is_ours = known.last.is_some_and(|last| last.owner == Owner::ThisCopy);
        if known.is_done {
            return Step::End(Verdict::Done { ours: is_ours });
        }
        let last = known.last.map_or(0, |last| last.number);
        if self.is_unsure && known.last.is_some_and(|last| last.is_of(self.run)) {
            return Step::End(Verdict::Run(last));
        }
        if known.last.is_some_and(|last| last.is_at_work()) {
            return Step::End(Verdict::Refused(Refusal::Working));
        }
        let next = last + 1;
        // A run that was put off has ended well, and has two rows.
        let counted = next - 2 * known.put_off;
        if !limit.allows(counted) {
            return Step::End(Verdict::Exhausted { run: next, begun: counted - 1 });
        }
        if limit.suspects(counted) && !self.may_be_suspect {
            return Step::End(Verdict::Refused(Refusal::Suspect));
        }
        (self.run, self.is_unsure) = (next, false);
        Step::Take
    }
}

impl LastRun {
    /// This copy's run of this number was taken by the bid that is unsure of it: the COMMIT had
    /// succeeded. Nobody else of this copy takes the message at the same time, and what an earlier
    /// delivery has taken has no time left.
    fn is_of(&self, run: i32) -> bool {
        self.owner == Owner::ThisCopy && self.number == run && self.has_time
    }

    /// Another copy lives and has time left. A frozen copy looks like one at work until its
    /// deadline.
    fn is_at_work(&self) -> bool {
        plant::is_planted("accepted is a duplicate")
            || self.has_time && self.owner == Owner::AnotherCopy { is_present: true }
    }
}

/// Decides about a delivery whose uid is at work in this copy: none if it joins the run. `is_taken`
/// says that the inbox has taken the message at work, which makes it the first that was asked under
/// its uid.
pub fn meet(is_repeat: bool, is_taken: bool) -> Option<Refusal> {
    match (is_repeat, is_taken) {
        (true, _) => None,
        (false, true) => Some(Refusal::Mismatch),
        (false, false) => Some(Refusal::Unsure),
    }
}

/// True if a repeat of a message of this time could not be told, because the inbox does not reach
/// that far. A time to come counts as well: the message would be forgotten too late. Times are
/// milliseconds since 1970.
pub fn is_stale(sent_ms: u64, now_ms: u64, window: Duration) -> bool {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    sent_ms < now_ms.saturating_sub(ms(window)) || sent_ms > now_ms.saturating_add(ms(FUTURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RunLimit = RunLimit::new(5);
    const PRESENT: Owner = Owner::AnotherCopy { is_present: true };
    const GONE: Owner = Owner::AnotherCopy { is_present: false };

    fn known(number: i32, owner: Owner, has_time: bool) -> Known {
        Known { is_repeat: true, is_done: false, last: Some(LastRun { number, owner, has_time }), put_off: 0 }
    }

    fn judged(known: Known) -> Step {
        Bid::new(false).judge(&known, LIMIT)
    }

    #[test]
    fn the_insert_decides_who_runs_and_who_looks() {
        let bid = Bid::new(false);
        assert_eq!(bid.taken(Taken::Ours), Step::End(Verdict::Run(1)));
        assert_eq!(bid.taken(Taken::Before), Step::Look);
        assert_eq!(bid.taken(Taken::Open), Step::End(Verdict::Refused(Refusal::Working)));
    }

    #[test]
    fn another_question_is_refused_whatever_is_known() {
        for is_done in [false, true] {
            let other = Known { is_repeat: false, is_done, ..known(1, PRESENT, true) };
            assert_eq!(judged(other), Step::End(Verdict::Refused(Refusal::Mismatch)));
        }
    }

    #[test]
    fn a_stored_outcome_is_the_answer_whoever_is_at_work() {
        let done = |owner| judged(Known { is_done: true, ..known(1, owner, true) });
        assert_eq!(done(PRESENT), Step::End(Verdict::Done { ours: false }));
        assert_eq!(done(Owner::ThisCopy), Step::End(Verdict::Done { ours: true }));
        // Of a transactional handler nothing but the outcome may be left.
        let without_runs = Known { is_repeat: true, is_done: true, last: None, put_off: 0 };
        assert_eq!(judged(without_runs), Step::End(Verdict::Done { ours: false }));
    }

    #[test]
    fn another_copy_is_at_work_while_it_is_present_and_has_time() {
        assert_eq!(judged(known(1, PRESENT, true)), Step::End(Verdict::Refused(Refusal::Working)));
        for (owner, has_time) in [(PRESENT, false), (GONE, true), (GONE, false), (Owner::ThisCopy, true)] {
            let mut bid = Bid::new(false);
            assert_eq!(bid.judge(&known(1, owner, has_time), LIMIT), Step::Take, "{owner:?} {has_time}");
            assert_eq!(bid.run(), 2);
        }
    }

    #[test]
    fn a_bid_finds_its_own_run_again_after_a_lost_session() {
        let mut bid = Bid::new(false);
        bid.lost();
        let mut of_another = bid;
        assert_eq!(bid.judge(&known(1, Owner::ThisCopy, true), LIMIT), Step::End(Verdict::Run(1)));
        assert_eq!(of_another.judge(&known(1, GONE, true), LIMIT), Step::Take);
        // An earlier delivery has taken this one, and was stopped when its time was over.
        let mut behind_another = Bid::new(true);
        behind_another.lost();
        assert_eq!(behind_another.judge(&known(1, Owner::ThisCopy, false), LIMIT), Step::Take);
        // The bid for the next run is sure again.
        assert_eq!(
            of_another.judge(&known(2, Owner::ThisCopy, true), LIMIT),
            Step::End(Verdict::Refused(Refusal::Suspect))
        );
    }

    #[test]
    fn a_message_gets_so_many_runs_and_the_later_ones_alone() {
        assert_eq!(judged(known(2, GONE, true)), Step::End(Verdict::Refused(Refusal::Suspect)));
        for last in 1..5 {
            assert_eq!(Bid::new(true).judge(&known(last, GONE, true), LIMIT), Step::Take, "{last}");
        }
        assert_eq!(judged(known(5, GONE, true)), Step::End(Verdict::Exhausted { run: 6, begun: 5 }));
    }

    #[test]
    fn runs_that_were_put_off_are_not_counted() {
        // Three runs that were put off, each with its row, and one that died.
        let put_off = Known { put_off: 3, ..known(7, GONE, true) };
        let mut bid = Bid::new(false);
        assert_eq!(bid.judge(&put_off, LIMIT), Step::Take);
        assert_eq!(bid.run(), 8);
        let all_died = Known { put_off: 3, ..known(11, GONE, true) };
        assert_eq!(judged(all_died), Step::End(Verdict::Exhausted { run: 12, begun: 5 }));
    }

    #[test]
    fn who_meets_a_run_joins_it_or_is_another_question() {
        assert_eq!([meet(true, false), meet(true, true)], [None, None]);
        assert_eq!(meet(false, true), Some(Refusal::Mismatch));
        assert_eq!(meet(false, false), Some(Refusal::Unsure));
    }

    #[test]
    fn a_uid_is_stale_before_the_window_and_in_the_future() {
        const NOW: u64 = 1_700_000_000_000;
        let stale_at = |ms: i64| is_stale(NOW.saturating_add_signed(ms), NOW, Duration::from_secs(3600));
        assert!(!stale_at(0));
        assert!(!stale_at(-3_500_000));
        assert!(stale_at(-3_700_000));
        assert!(!stale_at(4 * 60_000));
        assert!(stale_at(6 * 60_000));
    }
}
