//! The message of a uid. An outbox has no index by uid, but a uid holds its time, and time leads to
//! the id.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::outbox::{self, Outbox};
use crate::problem::{Ending, Problem};
use crate::session::Session;
use crate::time::Moment;
use crate::timeline::{Clock, Timeline};

/// The milliseconds around the time of a uid in which its message is looked for, one after the
/// other: the id may come later than the uid, and the clock of another server may be wrong.
const AROUND: [i64; 4] = [5, 200, 2_000, 120_000];

/// The outbox and the id of a message.
pub async fn find(
    session: &Session,
    outboxes: &[Outbox],
    uid: Uuid,
) -> Result<Option<(Outbox, i64)>, Problem> {
    let open: Vec<&Outbox> = outboxes.iter().filter(|outbox| outbox.bodies).collect();
    if open.is_empty() && !outboxes.is_empty() {
        let (role, schema) = (&session.role, &outboxes[0].schema);
        return Err(Problem::new(
            Ending::Unreachable,
            format!("role {role} may not read uids"),
            format!("give the id of the message, or: {}", outbox::grant(schema, role)),
        ));
    }
    let moment = Moment::of_uid(uid);
    for around in AROUND {
        for outbox in &open {
            let timeline = Timeline::new(session, outbox, Clock::Uid);
            let low = timeline.first_at(moment.plus_micros(-around * 1_000)).await?;
            let below = timeline.first_at(moment.plus_micros(around * 1_000)).await?;
            let statement = format!(
                "SELECT p.id FROM {}.mq_publish p WHERE p.id >= $1 AND p.id < $2 AND p.uid = $3 LIMIT 1",
                outbox.schema
            );
            if let Some(row) = session
                .query(&statement, &[(&low, Type::INT8), (&below, Type::INT8), (&uid, Type::UUID)])
                .await?
                .first()
            {
                return Ok(Some(((*outbox).clone(), row.get(0))));
            }
        }
    }
    Ok(None)
}
