//! The steps of a copy: the product decides, and PostgreSQL answers as it does.

use tpro_service::inbox::{
    run_limit::{self, RunLimit},
    verdict::{self, Bid, Known, LastRun, Refusal, Step, Taken, Verdict},
};

use super::{Asker, Doing, Inbox, Made, Owner, RUNS, State, Turn, Variant};

const LIMIT: RunLimit = RunLimit::new(RUNS as u32);

impl Inbox {
    pub(super) fn take(&self, state: &mut State, who: usize, at: usize) {
        let delivery = state.on_the_way.remove(at);
        let copy = &state.copies[who];
        if copy.doing != Doing::Nothing {
            let is_taken = match copy.doing {
                Doing::Running { .. } | Doing::Undone => true,
                Doing::Finishing { has_effect, .. } => has_effect || self.one_effect(),
                _ => false,
            };
            let is_repeat = state.asker(who).is_none_or(|first| self.repeats(delivery.asker, first));
            match verdict::meet(is_repeat, is_taken) {
                None => {
                    state.copies[who].waiting.push(delivery);
                    state.copies[who].waiting.sort_unstable();
                }
                Some(Refusal::Mismatch) => state.tell(delivery, None),
                // It is sent again.
                Some(_) => {}
            }
            return;
        }
        state.copies[who].waiting.push(delivery);
        state.copies[who].doing = match self.variant {
            Variant::Stateless => Doing::Running { run: 1 },
            _ => {
                let counts = self.one_transaction() && self.variant != Variant::Uncounted;
                let counts = counts && run_limit::must_count(delivery.number.into());
                // Suspects of transactional handlers are told by the runs that are counted.
                let bid = Bid::new(self.one_effect());
                Doing::Taking { bid, turn: if counts { Turn::ToCount } else { Turn::Free } }
            }
        };
    }

    pub(super) fn insert(&self, state: &mut State, who: usize) -> Option<()> {
        let Doing::Taking { bid, turn } = state.copies[who].doing else { return None };
        let taken = match self.variant {
            Variant::WithoutInboxKey => Taken::Ours,
            // The key makes it wait for the open transaction, and lock_timeout ends that.
            _ if self.one_transaction() && state.has_open_transaction(1 - who) => Taken::Open,
            _ if self.one_effect() && state.outcomes.is_empty() => Taken::Ours,
            _ if self.one_effect() || bid.run() <= i32::from(state.runs) => Taken::Before,
            _ => {
                state.accept(who, run(bid.run()));
                Taken::Ours
            }
        };
        self.follow(state, who, bid, turn, bid.taken(taken))
    }

    pub(super) fn lose_insert(&self, state: &mut State, who: usize, committed: bool) -> Option<()> {
        let Doing::Taking { mut bid, turn } = state.copies[who].doing else { return None };
        state.faults -= 1;
        state.copies[who].present = false;
        if committed {
            if bid.run() <= i32::from(state.runs) {
                return None;
            }
            state.accept(who, run(bid.run()));
        }
        bid.lost();
        state.copies[who].doing = Doing::Taking { bid, turn };
        Some(())
    }

    pub(super) fn look(&self, state: &mut State, who: usize) -> Option<()> {
        let Doing::Looking { mut bid, turn } = state.copies[who].doing else { return None };
        let step = bid.judge(&self.known(state, who), LIMIT);
        self.follow(state, who, bid, turn, step)
    }

    /// The row of `known.sql`, or what a simpler form takes it for.
    fn known(&self, state: &State, who: usize) -> Known {
        let owner = match state.owner {
            Owner::Copy(other) if other == who => verdict::Owner::ThisCopy,
            Owner::Copy(other) => verdict::Owner::AnotherCopy { is_present: state.copies[other].present },
            Owner::Ghost => verdict::Owner::AnotherCopy { is_present: true },
            Owner::Nobody | Owner::Dead => verdict::Owner::AnotherCopy { is_present: false },
        };
        let last = LastRun { number: state.runs.into(), owner, has_time: !state.late };
        let last = match self.variant {
            Variant::WithoutDeadline => LastRun { has_time: true, ..last },
            Variant::AcceptedMeansDuplicate => {
                LastRun { has_time: true, owner: verdict::Owner::AnotherCopy { is_present: true }, ..last }
            }
            _ => last,
        };
        let is_repeat =
            state.first.zip(state.asker(who)).is_none_or(|(first, asker)| self.repeats(asker, first));
        Known {
            is_repeat,
            is_done: !state.outcomes.is_empty(),
            last: (state.runs > 0).then_some(last),
            put_off: state.put_off.into(),
        }
    }

    fn repeats(&self, asker: Asker, first: Asker) -> bool {
        self.variant == Variant::ByUidAlone || asker.repeats(first)
    }

    /// Does what is decided.
    fn follow(&self, state: &mut State, who: usize, bid: Bid, turn: Turn, step: Step) -> Option<()> {
        state.copies[who].doing = match step {
            Step::Take => Doing::Taking { bid, turn },
            Step::Look => Doing::Looking { bid, turn },
            Step::End(Verdict::Done { .. }) => Doing::Answering { answer: *state.outcomes.first()? },
            Step::End(Verdict::Exhausted { run: number, .. }) => {
                Doing::Finishing { run: run(number), has_effect: false }
            }
            Step::End(Verdict::Run(number)) => match turn {
                Turn::ToCount => Doing::Counting,
                Turn::GivesUp => Doing::Finishing { run: run(number), has_effect: false },
                Turn::Free => {
                    state.begun += u8::from(state.asker(who) == Some(Asker::Sender));
                    Doing::Running { run: run(number) }
                }
            },
            // No other message is suspect here, so it has its turn at once.
            Step::End(Verdict::Refused(Refusal::Suspect)) => Doing::Taking { bid: Bid::new(true), turn },
            Step::End(Verdict::Refused(Refusal::Mismatch)) => {
                state.answer(who, None);
                Doing::Nothing
            }
            Step::End(Verdict::Refused(Refusal::Working | Refusal::Unsure)) => {
                state.leave_unanswered(who);
                Doing::Nothing
            }
        };
        Some(())
    }

    pub(super) fn count(&self, state: &mut State, who: usize) {
        let alone = true;
        if !run_limit::may_count(state.counted.into(), alone, LIMIT) {
            return state.leave_unanswered(who);
        }
        state.counted += 1;
        let begins = run_limit::may_begin(Some(state.counted.into()), LIMIT);
        let turn = if begins { Turn::Free } else { Turn::GivesUp };
        state.copies[who].doing = Doing::Taking { bid: Bid::new(true), turn };
    }

    pub(super) fn record(&self, state: &mut State, who: usize) -> Option<()> {
        let Doing::Finishing { run, has_effect } = state.copies[who].doing else { return None };
        let made = Made { run, asker: state.asker(who)? };
        let has_key = !matches!(self.variant, Variant::WithoutOutcomeKey | Variant::WithoutInboxKey);
        if self.one_transaction() && has_effect {
            state.effects = (state.effects + 1).min(2);
        }
        let answer = state.store(made, has_key);
        if self.one_effect() && answer == made {
            // The inbox row commits with the outcome.
            state.first = Some(made.asker);
        }
        state.copies[who].doing = Doing::Answering { answer };
        Some(())
    }
}

fn run(number: i32) -> u8 {
    u8::try_from(number).expect("a message has few runs")
}
