//! Ids of an outbox by time.
//!
//! An outbox has no index by time, but ids are given out in the order of time, give or take the
//! length of a statement. So bisection with the primary key finds the id of a time. It takes some
//! twenty looks at five rows each, however many messages there are.

use tokio_postgres::types::Type;

use crate::outbox::Outbox;
use crate::problem::Problem;
use crate::session::Session;
use crate::time::Moment;

/// The rows of a look. The middle one of their times counts, because a publisher may give a message
/// any `created_at`.
const SAMPLE: usize = 5;

/// The clock to go by.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// `created_at`, which every reader may see.
    Created,
    /// The time within the uid.
    Uid,
}

/// The ids of an outbox.
pub struct Timeline<'a> {
    session: &'a Session,
    outbox: &'a Outbox,
    clock: Clock,
}

impl<'a> Timeline<'a> {
    /// By this clock.
    pub fn new(session: &'a Session, outbox: &'a Outbox, clock: Clock) -> Self {
        Self { session, outbox, clock }
    }

    /// The first id at this moment or later; the id behind the last one if there is none.
    pub async fn first_at(&self, moment: Moment) -> Result<i64, Problem> {
        let Some((mut low, _)) = self.look(0).await? else { return Ok(0) };
        let mut high = self.behind_the_last().await?;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.look(middle).await? {
                // The ids before the first row that was found are unused.
                Some((first, time)) if time < moment => low = first.max(middle) + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The first id that is not before this one, and the time there.
    async fn look(&self, from: i64) -> Result<Option<(i64, Moment)>, Problem> {
        let schema = &self.outbox.schema;
        let statement = match self.clock {
            Clock::Created => format!(
                "SELECT s.id, s.created_at FROM {schema}.mq_status s WHERE s.id >= $1 ORDER BY s.id LIMIT {SAMPLE}"
            ),
            Clock::Uid => format!(
                "SELECT p.id, p.uid FROM {schema}.mq_publish p WHERE p.id >= $1 ORDER BY p.id LIMIT {SAMPLE}"
            ),
        };
        let rows = self.session.query(&statement, &[(&from, Type::INT8)]).await?;
        let mut times: Vec<Moment> = rows
            .iter()
            .map(|row| match self.clock {
                Clock::Created => row.get(1),
                Clock::Uid => Moment::of_uid(row.get(1)),
            })
            .collect();
        times.sort_unstable();
        Ok(rows.first().map(|row| (row.get(0), times[times.len() / 2])))
    }

    async fn behind_the_last(&self) -> Result<i64, Problem> {
        let statement =
            format!("SELECT s.id FROM {}.mq_status s ORDER BY s.id DESC LIMIT 1", self.outbox.schema);
        let rows = self.session.query(&statement, &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).saturating_add(1)))
    }
}
