//! Statements of the outbox: `read.sql`, `look_back.sql`, `fetch.sql`, `unsettled.sql`, `settled.sql`, `owed.sql`,
//! `forward.sql` of the dispatcher.

use std::collections::BTreeSet;

use super::{
    row::{Key, Message, Row, Service, Table},
    server::Server,
    session::SessionId,
    snapshot::Snapshot,
    sqlstate::SqlState,
    statement::{Answer, LookedBack, NewMessage, Page, Unsettled, Window},
    transactions::View,
    work::{Insert, Returns},
    writing::Flow,
    xid::Xid,
};
use crate::time::Time;

impl Server {
    /// INSERT into the outbox.
    pub(super) fn publish(
        &mut self,
        session: SessionId,
        service: Service,
        messages: Vec<NewMessage>,
        now: Time,
    ) -> Flow {
        let rows = match self.messages(session, service, messages, now) {
            Ok(made) => made.into_iter().map(Row::Publish).collect(),
            Err(state) => return Flow::error(state),
        };
        let transaction = self.sessions.get_mut(&session).and_then(|session| session.transaction.as_mut());
        if let Some(transaction) = transaction {
            // The trigger for each statement.
            transaction.published.insert(service);
        }
        self.insert(
            session,
            Insert { service, rows, skips: false, inserted: Vec::new(), returns: Returns::Ids },
        )
    }

    /// The rows of these messages, with ids.
    pub(super) fn messages(
        &mut self,
        session: SessionId,
        service: Service,
        messages: Vec<NewMessage>,
        now: Time,
    ) -> Result<Vec<Message>, SqlState> {
        let mut made = Vec::with_capacity(messages.len());
        for new in messages {
            // The id is drawn within its transaction: what is committed before has a lesser one.
            let tx = self.xid(session)?;
            let id = new.id.map_or_else(|| self.draw(session, service), Ok)?;
            made.push(Message {
                id,
                uid: new.uid,
                tx,
                lane: new.lane,
                method: new.method,
                protocol: new.protocol,
                timeout: new.timeout,
                created_at: now,
                expires_at: new.expires_at,
                direct: new.direct,
                reply_to: new.reply_to,
                priority: new.priority,
                key: new.key,
                headers: new.headers,
                body: new.body,
            });
        }
        Ok(made)
    }

    /// `outbox.read`, window by window as the statement does it.
    pub(super) fn read(&self, view: View, service: Service, window: &Window) -> Page {
        if view.own.is_some() {
            return Page { cur: None, rows: Vec::new() };
        }
        let cur = window.until.as_ref().unwrap_or(view.snapshot);
        let (tx, id) = window.after;
        let mut found: Vec<&Message> = Vec::new();
        for (lo, hi) in windows(&window.seen, cur) {
            if hi <= tx {
                continue;
            }
            let after = (lo.max(tx), if lo >= tx { i64::MAX } else { id });
            let rows = self.heap.messages(service, after, hi, view);
            let wanted = rows.filter(|message| !message.direct && message.id >= window.first);
            found.extend(wanted.take(window.rows));
        }
        found.sort_by_key(|message| (message.tx, message.id));
        found.truncate(window.rows);
        let is_whole = |message: &Message| {
            let class = format!("{}.{}", message.lane, message.priority);
            window.closed.as_ref().is_some_and(|closed| !closed.contains(&class))
        };
        let rows = found.into_iter().map(|message| (message.clone(), is_whole(message))).collect();
        Page { cur: Some(cur.clone()), rows }
    }

    /// `outbox.look_back`.
    pub(super) fn look_back(
        &self,
        view: View,
        service: Service,
        (seen, until): (&Snapshot, &Snapshot),
        last: i64,
        after: (Xid, i64),
        rows: usize,
    ) -> Vec<LookedBack> {
        let messages = self.heap.messages(service, after, until.xmax(), view);
        let wanted = messages.filter(|message| {
            message.id <= last && until.sees(message.tx) && !seen.sees(message.tx) && !message.direct
        });
        let settled = |message: &Message| self.heap.get(&reply_key(service, message.id), view).is_some();
        wanted
            .take(rows)
            .map(|message| LookedBack {
                tx: message.tx,
                id: message.id,
                lane: message.lane.clone(),
                priority: message.priority,
                key: message.key.clone(),
                settled: settled(message),
                forwards: message.reply_to,
            })
            .collect()
    }

    /// The rows of these ids, in their order; not the records of calls.
    pub(super) fn fetch<'a>(
        &'a self,
        view: View<'a>,
        service: Service,
        ids: &[i64],
    ) -> impl Iterator<Item = &'a Message> {
        let ids: BTreeSet<i64> = ids.iter().copied().collect();
        ids.into_iter()
            .filter_map(move |id| self.message(view, service, id).filter(|message| !message.direct))
    }

    /// `outbox.unsettled`.
    pub(super) fn unsettled(&self, view: View, service: Service, ids: &[i64]) -> Answer {
        let open = self
            .fetch(view, service, ids)
            .filter(|message| self.heap.get(&reply_key(service, message.id), view).is_none());
        let row = |message: &Message| Unsettled {
            id: message.id,
            lane: message.lane.clone(),
            priority: message.priority,
            key: message.key.clone(),
        };
        Answer::Unsettled(open.map(row).collect())
    }

    /// `outbox.settled`.
    pub(super) fn settled(&self, view: View, service: Service, ids: &[i64]) -> Answer {
        let ids: BTreeSet<i64> = ids.iter().copied().collect();
        let settled = |id: &i64| self.heap.get(&reply_key(service, *id), view).is_some();
        Answer::Ids(ids.into_iter().filter(settled).collect())
    }

    /// `outbox.owed`.
    pub(super) fn owed(&self, view: View, service: Service, ids: &[i64]) -> Answer {
        let named = self.fetch(view, service, ids).filter(|message| message.reply_to);
        Answer::Ids(named.map(|message| message.id).collect())
    }

    /// `outbox.forward`.
    pub(super) fn forward(&self, view: View, service: Service, ids: &[i64]) -> Answer {
        let named = self.fetch(view, service, ids).filter(|message| message.reply_to);
        let replies =
            named.filter_map(|message| match self.heap.get(&reply_key(service, message.id), view) {
                Some(Row::Reply(reply)) => Some((message.id, message.uid, reply.status.clone())),
                _ => None,
            });
        Answer::Forwards(replies.collect())
    }

    /// The message with this id.
    pub(super) fn message<'a>(&'a self, view: View<'a>, service: Service, id: i64) -> Option<&'a Message> {
        let key = Key { service, table: Table::Publish, uid: 0, number: id };
        match self.heap.get(&key, view)? {
            Row::Publish(message) => Some(message),
            _ => None,
        }
    }
}

/// The key of the reply of a message.
pub(super) fn reply_key(service: Service, id: i64) -> Key {
    Key { service, table: Table::Reply, uid: 0, number: id }
}

/// The ranges of transactions between two snapshots, both ends excluded: cut at those in progress, and those that have ended
/// since.
fn windows(seen: &Snapshot, cur: &Snapshot) -> Vec<(Xid, Xid)> {
    let before = |xid: Xid| Xid(xid.0.saturating_sub(1));
    let mut edges = vec![before(seen.xmax()), cur.xmax()];
    edges.extend(cur.open().iter().copied().filter(|xid| *xid >= seen.xmax()));
    edges.sort_unstable();
    let mut windows: Vec<_> = edges.iter().copied().zip(edges.iter().copied().skip(1)).collect();
    windows.extend(
        seen.open().iter().copied().filter(|xid| cur.sees(*xid)).map(|xid| (before(xid), xid.next())),
    );
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_windows_hold_what_one_snapshot_sees_and_the_other_does_not() {
        let mut random = Random::new(3);
        for _ in 0..2_000 {
            // Two snapshots of one history: what was over stays over.
            let mut over = [false; 24];
            let mut snapshot = |until: u64, random: &mut Random| {
                (0..until).for_each(|xid| over[xid as usize] |= random.one_in(2));
                let xmax = (0..until).rev().find(|xid| over[*xid as usize]).map_or(1, |xid| xid + 1).max(1);
                let open: Vec<Xid> = (0..xmax).filter(|xid| !over[*xid as usize]).map(Xid).collect();
                Snapshot::new(open.first().copied().unwrap_or(Xid(xmax)), Xid(xmax), open)
            };
            let (seen, cur) = (snapshot(12, &mut random), snapshot(24, &mut random));
            let windows = windows(&seen, &cur);
            for xid in (1..24).map(Xid) {
                let times = windows.iter().filter(|(lo, hi)| *lo < xid && xid < *hi).count();
                let wanted = usize::from(cur.sees(xid) && !seen.sees(xid));
                assert_eq!(times, wanted, "{xid:?} between {seen} and {cur}");
            }
        }
    }
}
