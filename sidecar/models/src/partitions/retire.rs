//! The model's own copy of `tpro.partition_kept` (`sql/pg_tpro--*.sql`): the reason why a partition
//! stays.

use super::{
    state::{Message, OUTBOX, State},
    table::Part,
    variant::Variant,
};

impl State {
    /// True if a partition may go: it is neither ahead nor young nor unsettled. Closely, each row
    /// is looked at, else the last reply alone.
    pub(super) fn may_go(&self, table: usize, part: &Part, closely: bool, variant: Variant) -> bool {
        let bounds = part.bounds;
        if !bounds.is_passed(self.next) {
            return false;
        }
        let is_here = |id: &i64| bounds.low <= *id && *id < bounds.high;
        let young = self.messages.iter().filter_map(Message::young).filter(is_here);
        if table != OUTBOX {
            return match variant {
                Variant::RepliesByAge => young.count() == 0,
                _ => !self.tables[OUTBOX].parts.iter().any(|other| other.bounds.overlaps(bounds)),
            };
        }
        let replied = self.visible_replies();
        if !closely {
            let last = replied.iter().filter(is_here).last();
            return last.is_none_or(|last| young.clone().all(|id| id != last));
        }
        let seen = part.rows.without(self.open_rows());
        seen.without(replied).is_empty() && young.count() == 0
    }
}
