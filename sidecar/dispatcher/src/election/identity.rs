//! The identity of this server, so that a clone of it does not send the original's messages.
//!
//! The database says whether it was adopted (`tpro.adopted()`), but a physical clone
//! (`pg_basebackup`) has the same system identifier, the same oids and the same lock free to take.
//! The difference shows only beside the original: in the timeline of the server and in the start of
//! its postmaster. Copies tell these to each other on NATS (`claim.rs`).
//!
//! The higher timeline wins, since a promoted standby is where the data is. Of two servers on one
//! timeline the newcomer gives way, and of two that lead already, the server that was started first
//! keeps the source. A leader before us on the *same* server is no clone: the lock has decided
//! between us, and its session is gone.

use std::{cmp::Ordering, time::SystemTime};

use tpro_runtime::random;

/// Promotions that a server may be behind. Each adds one to the timeline, so that a timeline beyond
/// this is none that a server of this source ever had.
const MOST_PROMOTIONS: u32 = 1_000;

/// A server, as it is told to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its timeline.
    pub timeline: u32,
    /// The start of its postmaster, in microseconds since 1970.
    pub started: i64,
    /// A random number: it tells our own question from others'.
    pub asker: u64,
}

impl Server {
    /// The server of this session.
    pub async fn of(session: &tokio_postgres::Client) -> Result<Self, tokio_postgres::Error> {
        let sql = "/* leader.identity */ \
            SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), pg_postmaster_start_time()";
        let row = session.query_one(sql, &[]).await?;
        let timeline: &str = row.try_get(0)?;
        let started: SystemTime = row.try_get(1)?;
        let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            timeline: u32::from_str_radix(timeline, 16).unwrap_or_default(),
            started: i64::try_from(started.as_micros()).unwrap_or(i64::MAX),
            asker: random::next_u64(),
        })
    }

    /// True if both are one server.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.timeline, self.started) == (other.timeline, other.started)
    }

    /// True if promotions explain that the other has its timeline.
    pub fn explains(&self, other: &Self) -> bool {
        (1..=self.timeline.saturating_add(MOST_PROMOTIONS)).contains(&other.timeline)
    }

    /// True if the other was promoted, and not this one.
    pub fn is_behind(&self, other: &Self) -> bool {
        self.timeline < other.timeline
    }

    /// True if a leader on this server may go on although somebody leads on that one, too. Neither
    /// is a newcomer; the server that was started first stays.
    pub fn may_go_on_beside(&self, leading: &Self) -> bool {
        (self.timeline, leading.started) >= (leading.timeline, self.started)
    }

    /// True if a newcomer on this server may lead although somebody leads on that one.
    pub fn may_begin_beside(&self, leading: &Self) -> bool {
        match self.timeline.cmp(&leading.timeline) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.is_same(leading),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(timeline: u32, started: i64) -> Server {
        Server { timeline, started, asker: 1 }
    }

    #[test]
    fn the_higher_timeline_wins_and_at_a_tie_the_newcomer_gives_way() {
        assert!(server(2, 9).may_begin_beside(&server(1, 5)));
        assert!(!server(1, 9).may_begin_beside(&server(2, 5)));
        assert!(!server(1, 9).may_begin_beside(&server(1, 5)));
    }

    #[test]
    fn of_two_that_lead_the_higher_timeline_stays_or_else_the_server_that_was_started_first() {
        assert!(
            server(2, 9).may_go_on_beside(&server(1, 5)) && !server(1, 5).may_go_on_beside(&server(2, 9))
        );
        assert!(
            server(1, 5).may_go_on_beside(&server(1, 9)) && !server(1, 9).may_go_on_beside(&server(1, 5))
        );
        assert!(server(1, 5).may_go_on_beside(&server(1, 5)), "a leader before us, on the same server");
    }

    #[test]
    fn a_leader_before_us_on_the_same_server_is_no_clone() {
        assert!(server(3, 5).may_begin_beside(&server(3, 5)));
    }

    #[test]
    fn promotions_explain_a_timeline_that_is_not_far_off() {
        for timeline in [1, 7, 8, 900, 1_007] {
            assert!(server(7, 5).explains(&server(timeline, 9)), "{timeline}");
        }
        for timeline in [0, 1_008, u32::MAX] {
            assert!(!server(7, 5).explains(&server(timeline, 9)), "{timeline}");
        }
    }
}
