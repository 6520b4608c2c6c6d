//! `tpro messages`: the latest messages of a service or of all.

use std::cmp::Reverse;

use serde::Serialize;

use crate::line::{self, Line};
use crate::options::Filter;
use crate::outbox::{self, Outbox};
use crate::paper::{self, Paper};
use crate::problem::Problem;
use crate::session::Session;
use crate::table::{Column, Table};
use crate::time::age;
use crate::timeline::{Clock, Timeline};
use crate::uid;
use crate::wanted::Wanted;

/// The rows of one read.
const PAGE: usize = 500;
/// Concurrent statements take ids in another order than time. This many ids around a bound are read
/// too.
const SLACK: i64 = 1_000;

/// The messages that were found.
#[derive(Debug, Serialize)]
pub struct Messages {
    /// Newest first.
    pub messages: Vec<Line>,
    /// The number of messages that were looked at.
    pub looked_at: usize,
    /// True if no older message can match, or if the limit was reached.
    pub complete: bool,
}

impl Messages {
    /// Looks for the messages that a filter asks for.
    pub async fn look(session: &Session, filter: &Filter) -> Result<Self, Problem> {
        let outboxes = outbox::readable(session, filter.sender.as_deref()).await?;
        let wanted = Wanted::read(session, filter).await?;
        if let Some(uid) = filter.uid {
            let found = uid::find(session, &outboxes, uid).await?;
            let mut messages = Vec::new();
            if let Some((outbox, id)) = found {
                messages = line::read(session, &outbox, id, id + 1, 1).await?;
                messages.retain(|line| wanted.fits(line));
            }
            return Ok(Self { looked_at: messages.len(), messages, complete: true });
        }
        let mut all = Self { messages: Vec::new(), looked_at: 0, complete: true };
        for outbox in &outboxes {
            let found = of(session, outbox, &wanted, filter).await?;
            all.messages.extend(found.messages);
            all.looked_at += found.looked_at;
            all.complete &= found.complete;
        }
        if outboxes.len() > 1 {
            all.messages.sort_by_key(|line| Reverse((line.created_at, line.id)));
        }
        all.messages.truncate(filter.limit);
        Ok(all)
    }

    /// Tells a person that the list may lack older messages.
    pub fn say_if_more_may_match(&self) {
        if !self.complete {
            paper::say(&format!(
                "older messages may match: {} were looked at; --scan N looks at more, --until TIME further back",
                self.looked_at
            ));
        }
    }

    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        let mut table = Table::new(&[
            Column::Left("FROM"),
            Column::Right("ID"),
            Column::Left("PUBLISHED (UTC)"),
            Column::Right("AGE"),
            Column::Left("STATUS"),
            Column::Right("SENT"),
            Column::Text("TARGET"),
            Column::Spare("TRACE"),
        ]);
        for line in &self.messages {
            table.row([
                line.sender.clone(),
                line.id.to_string(),
                line.created_at.to_seconds(),
                age(line.age_seconds),
                line.status.clone(),
                line.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string()),
                line.target.clone(),
                line.trace_id.clone(),
            ]);
        }
        paper.table(&table);
    }
}

/// The latest messages of one outbox. It reads pages by the primary key, from the newest on.
async fn of(
    session: &Session,
    outbox: &Outbox,
    wanted: &Wanted,
    filter: &Filter,
) -> Result<Messages, Problem> {
    let mut found = Messages { messages: Vec::new(), looked_at: 0, complete: true };
    let Some(most) = wanted.most_of(session, outbox).await? else { return Ok(found) };
    let timeline = Timeline::new(session, outbox, Clock::Created);
    let low = match wanted.since.max(most.since) {
        Some(since) => timeline.first_at(since).await?.saturating_sub(SLACK),
        None => 0,
    };
    let mut below = match wanted.until {
        Some(until) => timeline.first_at(until).await?.saturating_add(SLACK),
        None => i64::MAX,
    };
    let limit = most.messages.min(filter.limit);
    while found.messages.len() < limit {
        if found.looked_at >= filter.scan {
            found.complete = false;
            return Ok(found);
        }
        let rows = if wanted.is_all() { limit.min(PAGE) } else { PAGE };
        let page = line::read(session, outbox, low, below, rows).await?;
        // A long search must not keep partitions from being dropped.
        session.rest().await?;
        found.looked_at += page.len();
        let Some(last) = page.last() else { break };
        below = last.id;
        found.messages.extend(page.into_iter().filter(|line| wanted.fits(line)));
    }
    found.messages.truncate(limit);
    Ok(found)
}
