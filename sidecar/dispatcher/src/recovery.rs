//! What a new leader does first: finds what the leader before may have left half done.
//!
//! The durable cursor is a second old or more. Rows after it may have been sent, and may have been settled; so they are
//! looked through without their bodies, those with a reply are left out, and the rest wait as ids in their lanes, marked:
//! a message that may have run already gets a fresh budget, and is never settled as if nobody had taken it. Sending begins
//! meanwhile, at the pace of windows that begin small.

use std::sync::Arc;

use super::{
    cursor::Unsettled,
    lane::Waiting,
    lanes::Lanes,
    outbox::{Cursor, Outbox, OutboxError},
    reader::Window,
    row,
    snapshot::{Snapshot, Xid},
};

/// Rows looked through at a time; they come without bodies.
pub(super) const PAGE: usize = 5_000;

/// A page that was looked through.
pub(super) struct Recovered {
    pub cur: Snapshot,
    pub last: Option<(Xid, i64)>,
    pub full: bool,
    /// Rows without a reply, and their lanes.
    pub rows: Vec<(i64, String)>,
}

/// The rows that the cursor says are pending.
pub(super) async fn pending(
    outbox: &Outbox,
    cursor: &Cursor,
    lanes: &mut Lanes,
    unsettled: &mut Unsettled,
) -> Result<(), OutboxError> {
    for (id, lane) in outbox.unsettled(&cursor.pending).await? {
        keep(id, &lane, lanes, unsettled);
    }
    Ok(())
}

/// Looks through the next page of rows that the leader before may have sent.
pub(super) async fn page(outbox: Arc<Outbox>, window: Window) -> Result<Recovered, OutboxError> {
    // Nobody knows of a floor here.
    let (cur, rows) = outbox.read(&window, i64::MIN, PAGE as i64, None).await?;
    let mut places = Vec::with_capacity(rows.len());
    for row in &rows {
        let place = row::place(row).map_err(|source| OutboxError::Run { name: "outbox.read", source })?;
        places.push(place);
    }
    let ids: Vec<i64> = places.iter().map(|(_, id)| *id).collect();
    let rows = if ids.is_empty() { Vec::new() } else { outbox.unsettled(&ids).await? };
    Ok(Recovered { cur, last: places.last().copied(), full: places.len() == PAGE, rows })
}

/// What is found below the floor, of all pages, and the last id that was drawn by then.
pub(super) async fn look_back(
    outbox: &Outbox,
    seen: &Snapshot,
    until: &Snapshot,
    last: Option<i64>,
) -> Result<(Vec<(i64, String)>, i64), OutboxError> {
    let mut found = Vec::new();
    if let Some(last) = last {
        let mut after = None;
        loop {
            let (rows, place) = outbox.look_back((seen, until), last, after, PAGE as i64).await?;
            found.extend(rows);
            after = place;
            if after.is_none() {
                break;
            }
        }
    }
    Ok((found, outbox.drawn().await?))
}

/// Keeps such a row as its id, once.
pub(super) fn keep(id: i64, lane: &str, lanes: &mut Lanes, unsettled: &mut Unsettled) {
    if unsettled.add(id) {
        let lane = lanes.of(lane);
        lanes.wait(lane, Waiting::new(id, true));
    }
}
