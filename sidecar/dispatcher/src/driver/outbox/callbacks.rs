//! The reply handlers in SQL, as `tpro.on_reply` has written them into `mq_callback`.
//!
//! The leader goes by what it has read last. The statement that settles writes nothing if there is
//! a newer row: then the leader reads them again, and sorts the outcomes once more. So a reply goes
//! to its handler if its writing begins after `tpro.on_reply` has committed, and nobody looks at
//! the table as long as it stays as it is.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

use tokio_postgres::Row;
use tpro_wire::target::Target;

use crate::core::Settled;

/// callbacks.read
pub(super) const READ: &str = "/* callbacks.read */ SELECT c.number, \
    c.service_name || '.' || c.entity || '.' || c.method_name, num_nonnulls(c.ok, c.failed) > 0 FROM {schema}.mq_callback c";

/// The reply handlers in SQL that the leader knows.
#[derive(Default)]
pub(crate) struct Callbacks(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// The highest number that was read; 0 before there was any.
    number: i64,
    /// Methods, as `service.entity.method_name`.
    methods: HashSet<String>,
}

impl Callbacks {
    /// True if replies of this target have a handler in SQL.
    pub fn has(&self, target: &Target) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !known.methods.is_empty() && known.methods.contains(target.service_method())
    }

    /// True if the leader knows no reply handler in SQL.
    pub(super) fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).methods.is_empty()
    }

    /// The number by which outcomes are written without handlers; none if one of them has one.
    pub(super) fn number_for(&self, batch: &[Settled]) -> Option<i64> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let has = |settled: &Settled| {
            !settled.is_tried && known.methods.contains(settled.settlement.target.service_method())
        };
        (known.methods.is_empty() || !batch.iter().any(has)).then_some(known.number)
    }

    /// The table was read. Returns the number that is known now.
    pub(super) fn read(&self, rows: &[Row]) -> Result<i64, tokio_postgres::Error> {
        let mut read = Known::default();
        for row in rows {
            read.number = read.number.max(row.try_get(0)?);
            if row.try_get(2)? {
                read.methods.insert(row.try_get(1)?);
            }
        }
        let number = read.number;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(number)
    }
}
