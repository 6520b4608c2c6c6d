//! The ordering keys that are held, as `mq_hold` says.

use tokio_postgres::{Error, Row, types::ToSql};

use super::{Outbox, OutboxError, settle::column};
use crate::core::{
    Settled,
    holds::{Asked, Hold, PAGE},
};

impl Outbox {
    /// Reads holds, in the order of ids.
    pub async fn holds(&self, asked: &Asked) -> Result<Vec<Hold>, OutboxError> {
        let run = |source| OutboxError::Run { name: "holds.read", source };
        let rows = match asked {
            Asked::Of(ids) => self.client.query(&self.statements.holds_of, &[ids]).await,
            Asked::Behind(id) => self.client.query(&self.statements.holds, &[id, &(PAGE as i64)]).await,
        };
        rows.and_then(|rows| rows.iter().map(hold).collect()).map_err(run)
    }

    /// Writes outcomes some of which may hold their keys; `columns` are those that all outcomes
    /// have. Returns the number of rows that were written.
    pub(super) async fn settle_holding(
        &self,
        batch: &[Settled],
        columns: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let spaces: Vec<&str> = column(batch, |s| s.settlement.target.space());
        let services: Vec<&str> = column(batch, |s| s.settlement.target.service());
        let keys: Vec<Option<&str>> = column(batch, |s| s.settlement.hold.as_deref());
        let mut all = columns.to_vec();
        all.extend([&spaces as &(dyn ToSql + Sync), &services, &keys, &self.service]);
        let row = self.client.query_one(&self.statements.settle_holding, &all).await?;
        row.try_get::<_, i64>(0).map(i64::cast_unsigned)
    }
}

fn hold(row: &Row) -> Result<Hold, Error> {
    Ok(Hold { id: row.try_get(0)?, lane: row.try_get::<_, &str>(1)?.into(), key: row.try_get(2)? })
}
