//! The steps of the maintainers. The dropping is the model's own copy of `tpro.drop_partition`
//! (`sql/pg_tpro--*.sql`).

use super::{
    action::Action,
    make::Plan,
    state::{Message, OUTBOX, State, Step},
    variant::Variant,
};

impl State {
    /// Does a step of a maintainer. None: it cannot be done now.
    pub(super) fn maintain(&mut self, action: &Action, variant: Variant) -> Option<()> {
        match *action {
            Action::Plan(who, table) => {
                let (width, open) = (self.maintainers[who].width, self.open(table));
                let plan = Plan::new(&self.tables[table], self.next, open, width, variant)?;
                // Between plan and tables nothing happens that matters to a maintainer alone.
                let is_alone = self.maintainers.len() == 1 && variant != Variant::CheckBeforehand;
                let step = if is_alone { Step::Made } else { Step::Planned };
                self.maintainers[who].step = step(table, plan);
            }
            Action::MakeTables(who) => {
                let Step::Planned(table, plan) = self.take(who) else { return None };
                self.maintainers[who].step = Step::Made(table, plan);
            }
            Action::AddCheck(who) => {
                let Step::Planned(table, plan) = self.take(who) else { return None };
                let cut = plan.cut?;
                self.is_part_free(table, cut.low, who).then_some(())?;
                let place = self.tables[table].at(cut.low)?;
                self.tables[table].parts[place].check = Some(cut.bound);
                self.maintainers[who].step = Step::Bounded(table, plan);
            }
            Action::Validate(who) => {
                let Step::Bounded(table, plan) = self.take(who) else { return None };
                let cut = plan.cut?;
                let place = self.tables[table].at(cut.low)?;
                let last = self.tables[table].parts[place].rows.without(self.open(table)).last();
                if last.is_none_or(|last| last < cut.bound) {
                    self.maintainers[who].step = Step::Made(table, plan);
                }
            }
            Action::Change(who) => {
                let Step::Made(table, plan) = self.take(who) else { return None };
                self.is_free(table, who).then_some(())?;
                self.change(table, &plan, who, variant);
            }
            Action::Look(who, table, low) => {
                let part = &self.tables[table].parts[self.tables[table].at(low)?];
                let closely = variant == Variant::DroppedAfterOneLook;
                self.may_go(table, part, closely, variant).then_some(())?;
                self.maintainers[who].step = Step::Looked(table, low);
            }
            Action::Lock(who) => {
                let Step::Looked(table, low) = self.take(who) else { return None };
                // A partition that is gone, or that must stay: the call is over.
                let Some(place) = self.tables[table].at(low) else { return Some(()) };
                let part = &self.tables[table].parts[place];
                let written = part.rows.iter().any(|id| self.open(table).contains(id));
                let locks = variant != Variant::LookWithoutLock;
                (!locks || !written).then_some(())?;
                let looks = variant != Variant::DroppedAfterOneLook;
                if !looks || self.may_go(table, part, true, variant) {
                    self.maintainers[who].step = Step::Locked(table, low);
                }
            }
            Action::Drop(who) => {
                let Step::Locked(table, low) = self.take(who) else { return None };
                let is_free = self.is_free(table, who) || variant == Variant::DetachedBesideWriters;
                (is_free && self.is_part_free(table, low, who)).then_some(())?;
                let place = self.tables[table].at(low)?;
                let part = self.tables[table].parts.remove(place);
                self.forget(table, part.rows.iter());
            }
            Action::Empty(who) => {
                let Step::Locked(table, low) = self.take(who) else { return None };
                let place = self.tables[table].at(low)?;
                let is_held = !self.is_free(table, who) && self.tables[table].parts[place].used;
                (is_held && self.is_part_free(table, low, who)).then_some(())?;
                let part = &mut self.tables[table].parts[place];
                part.used = false;
                let rows = std::mem::take(&mut part.rows);
                self.forget(table, rows.iter());
            }
            Action::GiveUp(who) => drop(self.take(who)),
            _ => return None,
        }
        Some(())
    }

    /// Takes a maintainer's step from it, which ends its call or its transaction.
    fn take(&mut self, who: usize) -> Step {
        std::mem::replace(&mut self.maintainers[who].step, Step::Idle)
    }

    /// Changes a table, wholly or not at all.
    fn change(&mut self, table: usize, plan: &Plan, who: usize, variant: Variant) {
        let mut changed = self.tables[table].clone();
        let touched = self.tables[table].parts.iter().filter(|part| plan.touches(part));
        let mut lows = touched.map(|part| part.bounds.low);
        let is_locked = lows.any(|low| self.is_locked(table, low, Some(who)));
        if !is_locked && plan.apply(&mut changed, variant).is_some() {
            self.tables[table] = changed;
        }
    }

    /// Messages that may go have gone. Others are missed.
    fn forget(&mut self, table: usize, rows: impl Iterator<Item = i64>) {
        if table != OUTBOX {
            return;
        }
        for row in rows {
            let may_go = Message::Settled { id: row, old: true };
            let gone = self.messages.iter_mut().filter(|message| **message == may_go);
            gone.for_each(|message| *message = Message::Dropped(row));
        }
    }
}
