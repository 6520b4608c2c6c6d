//! A filter of messages.

use tokio_postgres::types::Type;

use crate::line::Line;
use crate::options::Filter;
use crate::outbox::Outbox;
use crate::problem::Problem;
use crate::session::Session;
use crate::time::{self, Moment};
use crate::values::Status;

/// A filter, with its times found out.
pub struct Wanted {
    service: Option<String>,
    method: Option<String>,
    status: Option<Status>,
    /// Not before.
    pub since: Option<Moment>,
    /// Before.
    pub until: Option<Moment>,
}

/// The bounds of the messages of an outbox that can match.
pub struct Most {
    /// Their number.
    pub messages: usize,
    /// None of them is older.
    pub since: Option<Moment>,
}

impl Wanted {
    /// Reads the filter. Times go by the clock of the database.
    pub async fn read(session: &Session, filter: &Filter) -> Result<Self, Problem> {
        Ok(Self {
            service: filter.service.clone(),
            method: filter.method.clone(),
            status: filter.status,
            since: moment(session, "--since", filter.since.as_deref()).await?,
            until: moment(session, "--until", filter.until.as_deref()).await?,
        })
    }

    /// True if every message matches.
    pub fn is_all(&self) -> bool {
        !self.by_target() && self.status.is_none() && self.since.is_none() && self.until.is_none()
    }

    fn by_target(&self) -> bool {
        self.service.is_some() || self.method.is_some()
    }

    /// True if this message matches.
    pub fn fits(&self, line: &Line) -> bool {
        self.status.is_none_or(|status| status.word() == line.status)
            && self.since.is_none_or(|since| line.created_at >= since)
            && self.until.is_none_or(|until| line.created_at < until)
            && self.fits_target(&line.target)
    }

    /// A target is `<space>.<service>.<entity>.<method_name>`. The entity may be left out of a
    /// method.
    fn fits_target(&self, target: &str) -> bool {
        let (_, behind_space) = target.split_once('.').unwrap_or_default();
        let (service, method) = behind_space.split_once('.').unwrap_or_default();
        let short = method.split_once('.').map_or(method, |(_, short)| short);
        self.service.as_deref().is_none_or(|wanted| wanted == service)
            && self.method.as_deref().is_none_or(|wanted| wanted == method || wanted == short)
    }

    /// The number of messages of an outbox that can match. The database knows it of waiting
    /// messages only. None: no message.
    pub async fn most_of(&self, session: &Session, outbox: &Outbox) -> Result<Option<Most>, Problem> {
        let all = Most { messages: usize::MAX, since: None };
        if self.status != Some(Status::Waiting) {
            return Ok(Some(all));
        }
        let may = "SELECT has_function_privilege('tpro.waiting(text)', 'EXECUTE')";
        if !session.query(may, &[]).await?.iter().any(|row| row.get(0)) {
            return Ok(Some(all));
        }
        let statement =
            "SELECT w.target, w.messages, clock_timestamp() - w.oldest_age FROM tpro.waiting($1) w";
        let rows = session.query(statement, &[(&outbox.sender, Type::TEXT)]).await?;
        let mut most: Option<Most> = None;
        for row in rows.iter().filter(|row| self.fits_target(row.get(0))) {
            let (messages, oldest): (i64, Moment) = (row.get(1), row.get(2));
            let most = most.get_or_insert(Most { messages: 0, since: Some(oldest) });
            most.messages = most.messages.saturating_add(usize::try_from(messages).unwrap_or(0));
            most.since = most.since.min(Some(oldest));
        }
        Ok(most)
    }
}

/// A moment that is given as a time, or as a span before now.
async fn moment(session: &Session, option: &str, given: Option<&str>) -> Result<Option<Moment>, Problem> {
    let Some(text) = given else { return Ok(None) };
    let wrong = || {
        Problem::usage(
            format!("{option} {text}: not a time"),
            "give a time such as 2026-01-30T12:00:00Z, or a span before now such as 90s, 15m, 2h or 7d",
        )
    };
    if let Some(seconds) = time::seconds(text) {
        let rows = session.query("SELECT clock_timestamp()", &[]).await?;
        return Ok(rows.first().map(|row| row.get::<_, Moment>(0).plus_seconds(-seconds)));
    }
    // PostgreSQL reads more forms, among them words such as `yesterday`. Only dates are taken.
    let looks_right = text.len() >= 10
        && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
        && text.as_bytes()[4] == b'-';
    if !looks_right {
        return Err(wrong());
    }
    let rows =
        session.query("SELECT $1::text::timestamptz", &[(&text, Type::TEXT)]).await.map_err(|_| wrong())?;
    Ok(rows.first().map(|row| row.get(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_named_with_its_entity_or_without() {
        let wanted = |service: Option<&str>, method: Option<&str>| Wanted {
            service: service.map(str::to_owned),
            method: method.map(str::to_owned),
            status: None,
            since: None,
            until: None,
        };
        let target = "tpro.analytic.example.simple";
        for (service, method, fits) in [
            (None, None, true),
            (Some("analytic"), None, true),
            (Some("main"), None, false),
            (None, Some("simple"), true),
            (None, Some("example.simple"), true),
            (None, Some("example"), false),
            (Some("analytic"), Some("other"), false),
        ] {
            assert_eq!(wanted(service, method).fits_target(target), fits, "{service:?} {method:?}");
        }
        assert!(!wanted(Some("analytic"), None).fits_target("analytic"));
    }
}
