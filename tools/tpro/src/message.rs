//! `tpro show`: one message, with everything that the role may see.

use serde::Serialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::line::{self, Line};
use crate::options::Show;
use crate::outbox::{self, Outbox};
use crate::problem::{Ending, Problem};
use crate::run::{self, Run};
use crate::session::Session;
use crate::time::Moment;
use crate::uid;
use crate::values::{Status, Which};

/// JSON as the database has it, digit for digit.
pub type Json = Box<RawValue>;

/// A message.
#[derive(Debug, Serialize)]
pub struct Message {
    /// State, target and trace.
    #[serde(flatten)]
    pub line: Line,
    /// A link to its trace, if JAEGER_PUBLIC_URL or JAEGER_URL is set.
    pub trace_url: Option<String>,
    /// The row of the outbox, if this role may read it.
    pub published: Option<Published>,
    /// The reply, if there is one and this role may read it.
    pub reply: Option<Reply>,
    /// The runs of its handler, if the target is in this database and its inbox may be read.
    pub runs: Vec<Run>,
    /// The parts that are left out because of a missing right, with the remedy.
    pub hidden: Option<String>,
}

/// The row of the outbox.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names of the columns of mq_publish, which are documented there")]
pub struct Published {
    pub uid: Option<String>,
    pub send_at: Option<Moment>,
    pub protocol: String,
    pub timeout_seconds: i32,
    pub expires_at: Option<Moment>,
    pub priority: i32,
    pub ordering_key: Option<String>,
    pub on_reply: Option<String>,
    pub retry_of: Option<i64>,
    pub direct: bool,
    pub traceparent: String,
    pub tracestate: Option<String>,
    pub headers: Json,
    pub body: Json,
}

/// The row of the replies.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names of the columns of mq_reply, which are documented there")]
pub struct Reply {
    pub status: String,
    pub sent_at: Option<Moment>,
    pub replied_at: Option<Moment>,
    pub responder: Option<String>,
    pub headers: Option<Json>,
    pub result: Option<Json>,
    pub error: Option<Json>,
}

impl Message {
    /// Looks for the message. `trace` is the address of the trace viewer.
    pub async fn look(session: &Session, show: &Show, trace: Option<String>) -> Result<Self, Problem> {
        let outboxes = outbox::readable(session, show.sender.as_deref()).await?;
        let (outbox, line) = find(session, &outboxes, show).await?;
        let mut message = Self {
            trace_url: trace.map(|url| format!("{}/trace/{}", url.trim_end_matches('/'), line.trace_id)),
            line,
            published: None,
            reply: None,
            runs: Vec::new(),
            hidden: None,
        };
        if outbox.bodies {
            message.published = published(session, &outbox, &message.line).await?;
            message.reply = reply(session, &outbox, message.line.id).await?;
        } else {
            let role = &session.role;
            let remedy = outbox::grant(&outbox.schema, role);
            message.hidden =
                Some(format!("role {role} may read neither headers, body, reply nor uid: {remedy}"));
        }
        if let Some(uid) = message.published.as_ref().and_then(|published| published.uid.as_ref()) {
            message.runs = run::of(session, &message.line.target, uid).await?;
        }
        Ok(message)
    }
}

/// The message that an id or a uid names.
async fn find(session: &Session, outboxes: &[Outbox], show: &Show) -> Result<(Outbox, Line), Problem> {
    let mut found = Vec::new();
    match show.message {
        Which::Id(id) => {
            for outbox in outboxes {
                let rows = line::read(session, outbox, id, id.saturating_add(1), 1).await?;
                found.extend(rows.into_iter().map(|line| (outbox.clone(), line)));
            }
        }
        Which::Uid(uid) => {
            if let Some((outbox, id)) = uid::find(session, outboxes, uid).await? {
                let rows = line::read(session, &outbox, id, id.saturating_add(1), 1).await?;
                found.extend(rows.into_iter().map(|line| (outbox.clone(), line)));
            }
        }
    }
    let name = match show.message {
        Which::Id(id) => id.to_string(),
        Which::Uid(uid) => uid.to_string(),
    };
    let whose: Vec<&str> = found.iter().map(|(outbox, _)| outbox.sender.as_str()).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let whose: Vec<&str> = outboxes.iter().map(|outbox| outbox.sender.as_str()).collect();
            Err(Problem::new(
                Ending::Ill,
                format!("there is no message {name} in the outbox of {}", whose.join(", ")),
                "its transaction may be open or rolled back, or RETENTION has taken it",
            ))
        }
        _ => Err(Problem::usage(
            format!("there are several messages {name}: of {}", whose.join(", ")),
            "name the service: --sender NAME",
        )),
    }
}

// The last ones by the whole row: a service of an earlier release has no columns for them.
async fn published(session: &Session, outbox: &Outbox, line: &Line) -> Result<Option<Published>, Problem> {
    let (table, own) = match line.status == Status::Later.word() {
        true => ("mq_later", "NULL::text, false, p.send_at"),
        false => ("mq_publish", "p.uid::text, p.direct, NULL::timestamptz"),
    };
    let statement = format!(
        "SELECT {own}, p.protocol::text, p.timeout::int4, p.expires_at, p.traceparent::text, p.tracestate::text,
                jsonb_pretty(p.headers), jsonb_pretty(p.body), coalesce((to_jsonb(p)->>'priority')::int4, 0),
                to_jsonb(p)->>'ordering_key', to_jsonb(p)->>'on_reply', (to_jsonb(p)->>'retry_of')::int8
           FROM {}.{table} p WHERE p.id = $1",
        outbox.schema
    );
    let rows = session.query(&statement, &[(&line.id, Type::INT8)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Published {
        uid: row.get(0),
        direct: row.get(1),
        send_at: row.get(2),
        protocol: row.get(3),
        timeout_seconds: row.get(4),
        expires_at: row.get(5),
        traceparent: row.get(6),
        tracestate: row.get(7),
        headers: json(row, 8)?.unwrap_or_default(),
        body: json(row, 9)?.unwrap_or_default(),
        priority: row.get(10),
        ordering_key: row.get(11),
        on_reply: row.get(12),
        retry_of: row.get(13),
    }))
}

async fn reply(session: &Session, outbox: &Outbox, id: i64) -> Result<Option<Reply>, Problem> {
    let statement = format!(
        "SELECT r.status::text, r.sent_at, r.replied_at, r.responder, jsonb_pretty(r.headers), jsonb_pretty(r.result), jsonb_pretty(r.error)
           FROM {}.mq_reply r WHERE r.mq_id = $1",
        outbox.schema
    );
    let rows = session.query(&statement, &[(&id, Type::INT8)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Reply {
        status: row.get(0),
        sent_at: row.get(1),
        replied_at: row.get(2),
        responder: row.get(3),
        headers: json(row, 4)?,
        result: json(row, 5)?,
        error: json(row, 6)?,
    }))
}

fn json(row: &Row, column: usize) -> Result<Option<Json>, Problem> {
    let text: Option<String> = row.get(column);
    let read = text.map(RawValue::from_string).transpose();
    read.map_err(|error| {
        Problem::new(Ending::Unreachable, format!("the database has JSON that cannot be read: {error}"), "")
    })
}
