//! The statements of a recovery, and of a look back below the floor.

use rustc_hash::FxHashSet;

use super::{
    outbox::{Looked, Outbox, OutboxError},
    row,
};
use crate::core::{
    reader::Window,
    recovery::{PAGE, Recovered},
    snapshot::Snapshot,
};

/// Looks through the next page of rows that the leader before may have sent.
pub(crate) async fn page(outbox: &Outbox, window: &Window) -> Result<Recovered, OutboxError> {
    // Nobody knows of a floor here.
    let (cur, rows) = outbox.read(window, i64::MIN, PAGE as i64, None).await?;
    let run = |source| OutboxError::Run { name: "outbox.read", source };
    let mut places = Vec::with_capacity(rows.len());
    let mut owed = Vec::new();
    for row in &rows {
        let place = row::place(row).map_err(run)?;
        places.push(place);
        if row::forwards(row).map_err(run)? {
            owed.push(place.1);
        }
    }
    let ids: Vec<i64> = places.iter().map(|(_, id)| *id).collect();
    let rows = if ids.is_empty() { Vec::new() } else { outbox.unsettled(&ids).await? };
    // Those without a reply have nothing to be published yet.
    if !owed.is_empty() {
        let open: FxHashSet<i64> = rows.iter().map(|row| row.id).collect();
        owed.retain(|id| !open.contains(id));
    }
    Ok(Recovered { cur, last: places.last().copied(), full: places.len() == PAGE, rows, owed })
}

/// The rows below the floor, of all pages, and the last id that was drawn by then.
pub(crate) async fn look_back(
    outbox: &Outbox,
    seen: &Snapshot,
    until: &Snapshot,
    last: Option<i64>,
) -> Result<(Looked, i64), OutboxError> {
    let mut looked = Looked::default();
    if let Some(last) = last {
        let mut after = None;
        loop {
            let page = outbox.look_back((seen, until), last, after, PAGE as i64).await?;
            looked.found.extend(page.found);
            looked.owed.extend(page.owed);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok((looked, outbox.drawn().await?))
}
