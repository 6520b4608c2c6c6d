//! The statements of a recovery, and of a look back below the floor.

use super::{
    outbox::{Outbox, OutboxError},
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
    let mut places = Vec::with_capacity(rows.len());
    for row in &rows {
        let place = row::place(row).map_err(|source| OutboxError::Run { name: "outbox.read", source })?;
        places.push(place);
    }
    let ids: Vec<i64> = places.iter().map(|(_, id)| *id).collect();
    let rows = if ids.is_empty() { Vec::new() } else { outbox.unsettled(&ids).await? };
    Ok(Recovered { cur, last: places.last().copied(), full: places.len() == PAGE, rows })
}

/// The rows that are found below the floor, of all pages, and the last id that was drawn by then.
pub(crate) async fn look_back(
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
