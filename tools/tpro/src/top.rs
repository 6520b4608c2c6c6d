//! `tpro top`.

use std::time::Duration;

use serde::Serialize;

use crate::keys::Keys;
use crate::options::Top;
use crate::overview::{self, Service};
use crate::paper::{self, Paper};
use crate::problem::Problem;
use crate::rates::{self, Count, Rates};
use crate::session::Session;
use crate::status::{self, about};
use crate::table::{Column, Table};
use crate::time::Moment;

/// A look.
#[derive(Debug, Serialize)]
struct Look {
    at: Moment,
    services: Vec<Watched>,
}

/// A service with its rates; none at the first look.
#[derive(Debug, Serialize)]
struct Watched {
    #[serde(flatten)]
    service: Service,
    rates: Option<Rates>,
}

/// Looks at the services again and again.
pub async fn watch(
    session: &Session,
    top: &Top,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(), Problem> {
    let live = Paper::new(&environment).is_live() && !top.output.json;
    let mut keys = Keys::listen(live)?;
    let pause = Duration::from_secs(top.interval.unsigned_abs());
    let mut left = top.count.or(if live { None } else { Some(1) });
    let mut before = rates::count(session).await?;
    session.rest().await?;
    if !live {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = keys.end() => return Ok(()),
        }
    }
    loop {
        let (look, counts) = tokio::select! {
            looked = look(session, &before) => looked?,
            () = keys.end() => return Ok(()),
        };
        before = counts;
        // Within one transaction the counters of the server do not change.
        session.rest().await?;
        let read = if top.output.json {
            paper::print_json_line(&look)?
        } else {
            let mut page = Paper::new(&environment);
            look.write(session, &mut page);
            if live { page.print_over()? } else { page.print()? }
        };
        left = left.map(|left| left - 1);
        if !read || left == Some(0) {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = keys.end() => return Ok(()),
        }
    }
}

async fn look(session: &Session, before: &[Count]) -> Result<(Look, Vec<Count>), Problem> {
    let counts = rates::count(session).await?;
    let services = overview::look(session).await?;
    let watched =
        |service: Service| Watched { rates: rates::between(before, &counts, &service.name), service };
    let services = services.into_iter().map(watched).collect();
    let rows = session.query("SELECT clock_timestamp()", &[]).await?;
    let at = rows.first().map_or(Moment(0), |row| row.get(0));
    Ok((Look { at, services }, counts))
}

impl Look {
    fn write(&self, session: &Session, paper: &mut Paper) {
        paper.title(&format!("{}, {}", about(&session.database), self.at.to_seconds()));
        paper.gap();
        let mut table = Table::new(&[
            Column::Left("SERVICE"),
            Column::Left("LEADER"),
            Column::Right("UNSETTLED"),
            Column::Right("OLDEST"),
            Column::Right("PUBLISHED/S"),
            Column::Right("SETTLED/S"),
            Column::Right("RECEIVED/S"),
        ]);
        for Watched { service, rates } in &self.services {
            let rate = |of: fn(&Rates) -> f64| {
                rates.as_ref().map_or_else(|| "-".to_owned(), |rates| format!("{:.1}", of(rates)))
            };
            table.row([
                service.name.clone(),
                status::leader(service),
                service.unsettled.to_string(),
                status::oldest(service),
                rate(|rates| rates.published_per_second),
                rate(|rates| rates.settled_per_second),
                rate(|rates| rates.received_per_second),
            ]);
        }
        paper.table(&table);
        let services = self.services.iter().map(|watched| &watched.service);
        status::write_waiting(services, paper);
    }
}
