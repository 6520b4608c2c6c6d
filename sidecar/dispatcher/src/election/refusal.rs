//! Refusals that stay. No IO; the model is `sidecar/models/src/rivals.rs`.
//!
//! While the server of the original restarts nobody objects, and a clone that asked again just then
//! would lead, and refuse the original when it is back. So a copy that was refused for a while
//! stays refused until its own server is another one (it has restarted), or the database is
//! adopted, which gives it an identity of its own. For a while, because a leader that stood still
//! may answer once more for a server that it has lost.

use std::time::{Duration, Instant};

use super::identity::Server;

/// The age of a refusal that stays. A leader whose session is gone
/// without a word notices by its next heartbeat (5 s) and the silence after it (10 s).
const STAYS_AFTER: Duration = Duration::from_secs(20);

/// The refusals that a copy meets at the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Refusals(Option<Refusal>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Refusal {
    server: Server,
    why: String,
    since: Instant,
}

impl Refusals {
    /// The reason of a refusal that stays. A refusal of another server than this one is forgotten.
    pub fn staying(&mut self, server: &Server, now: Instant) -> Option<&str> {
        self.0.take_if(|refusal| !refusal.server.is_same(server));
        self.0.as_ref().filter(|refusal| stays(refusal.since, now)).map(|refusal| &*refusal.why)
    }

    /// This server is refused.
    pub fn refuse(&mut self, server: Server, why: String, now: Instant) {
        let since = self.0.take().filter(|before| before.server.is_same(&server)).map(|before| before.since);
        self.0 = Some(Refusal { server, why, since: since.unwrap_or(now) });
    }
}

/// The refusals that a copy behind the gate meets when it wants to lead: since when each try met
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rivalry(Option<Instant>);

impl Rivalry {
    /// A try to lead has ended, which began at that time. True if the refusal stays: the copy
    /// belongs behind the gate, where it takes nothing from those who ask the other server.
    pub fn ended(&mut self, by_rival: bool, begun: Instant, now: Instant) -> bool {
        // After a long try, which may have led meanwhile, this is the first refusal.
        if !by_rival || stays(begun, now) {
            self.0 = None;
        }
        by_rival && stays(*self.0.get_or_insert(now), now)
    }
}

fn stays(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) > STAYS_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Server = Server { timeline: 1, started: 5, asker: 1 };
    const LONG: Duration = Duration::from_secs(21);

    #[test]
    fn a_refusal_of_a_while_stays_until_the_server_is_another() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.staying(&SERVER, start), None);
        refusals.refuse(SERVER, "first".to_owned(), start);
        assert_eq!(refusals.staying(&SERVER, start + STAYS_AFTER), None);
        let asked_again = Server { asker: 2, ..SERVER };
        refusals.refuse(asked_again, "again".to_owned(), start + STAYS_AFTER);
        assert_eq!(refusals.staying(&SERVER, start + LONG), Some("again"));
        let restarted = Server { started: 6, ..SERVER };
        assert_eq!(refusals.staying(&restarted, start + LONG), None);
        assert_eq!(refusals.staying(&SERVER, start + LONG), None, "it is forgotten");
    }

    #[test]
    fn tries_in_a_row_that_a_rival_ends_lead_behind_the_gate() {
        let (mut rivalry, start) = (Rivalry::default(), Instant::now());
        assert!(!rivalry.ended(true, start, start));
        assert!(!rivalry.ended(true, start + STAYS_AFTER, start + STAYS_AFTER));
        assert!(rivalry.ended(true, start + LONG, start + LONG));
        assert!(!rivalry.ended(true, start, start + LONG), "it has led for long meanwhile");
        assert!(!rivalry.ended(false, start + LONG, start + 3 * LONG));
        assert!(!rivalry.ended(true, start + 4 * LONG, start + 4 * LONG), "another trouble came between");
    }
}
