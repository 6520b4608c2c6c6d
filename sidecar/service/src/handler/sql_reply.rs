//! A reply handler in SQL: a function of the database, which the message names, or `tpro.on_reply`
//! for all messages to a method.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use tpro_runtime::settlement::Settlement;
use tpro_wire::{Status, error::code};

use super::{Fault, QueryError, ReplyCtx, Statements, sql::comment};
use crate::host::Host;

/// The end of each name in the table: the type of a reply handler's argument.
const ARGUMENT: &str = "(tpro.reply_row)";

/// A function that handles a reply.
pub(super) enum SqlReply {
    /// Its name in the table of `tpro.on_reply`.
    OfMethod(String),
    /// Its name in the row of the message.
    OfMessage(Box<str>),
}

impl SqlReply {
    /// The function that `tpro.on_reply` has named for this reply, if any. It is looked up in the
    /// transaction that has the reply: another one may have named another function since the
    /// leader looked.
    pub(super) async fn find(
        app: &Host,
        tx: &Statements,
        settlement: &Settlement,
    ) -> Result<Option<Self>, QueryError> {
        let sql = format!(
            "SELECT CASE WHEN $4::bool THEN c.ok ELSE c.failed END FROM {}.mq_callback c \
              WHERE c.service_name = $1::text AND c.entity = $2::text AND c.method_name = $3::text",
            app.source.service.schema()
        );
        let (target, is_ok) = (&settlement.target, settlement.status == Status::Ok);
        let client = tx.connection()?;
        let row = tx
            .quiet(async {
                let statement = client.prepare_cached(&sql).await?;
                let method = [target.service(), target.entity(), target.method_name()];
                client.query_opt(&statement, &[&method[0], &method[1], &method[2], &is_ok]).await
            })
            .await?;
        let name = row.map(|row| row.try_get::<_, Option<String>>(0)).transpose()?;
        Ok(name.flatten().map(Self::OfMethod))
    }

    /// Calls it. The reply is made by the names of its attributes, so that the type in the database
    /// may have more or fewer of them.
    pub(super) async fn call(&self, ctx: ReplyCtx, settlement: &Settlement) -> Result<(), Fault> {
        let name = match self {
            Self::OfMethod(function) => Cow::Borrowed(function.strip_suffix(ARGUMENT).ok_or_else(|| {
                let why = format!("{function} was not named by tpro.on_reply: call it again");
                Fault::new(code::INTERNAL, why)
            })?),
            Self::OfMessage(function) => Cow::Owned(resolve(&ctx, function).await?),
        };
        let sql = format!(
            "{}SELECT {name}(jsonb_populate_record(NULL::tpro.reply_row, $1::text::jsonb))",
            comment(&name)
        );
        let reply = serde_json::to_string(&Reply::of(&ctx, settlement))?;
        ctx.query_text(&sql, &[&reply]).await?;
        Ok(())
    }
}

/// The function of a message, as a statement may call it. A publisher may have written anything
/// into the row, so the name is looked up and quoted.
async fn resolve(ctx: &ReplyCtx, function: &str) -> Result<String, Fault> {
    let sql = "/* on_reply.resolve */ SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname) \
                 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
                WHERE p.oid = to_regprocedure($1)";
    let found = ctx.query_opt(sql, &[&function]).await?;
    let Some(row) = found else {
        return Err(Fault::new(
            code::INTERNAL,
            format!("on_reply names {function}, and there is no function of that name"),
        ));
    };
    Ok(row.try_get(0)?)
}

/// The attributes of `tpro.reply_row`.
#[derive(Serialize)]
struct Reply<'a> {
    id: i64,
    uid: String,
    space_name: &'a str,
    service_name: &'a str,
    entity: &'a str,
    method_name: &'a str,
    status: &'a str,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
    attempts: i32,
    responder: Option<&'a str>,
    reply_to: Option<&'a str>,
    traceparent: String,
    trace_id: String,
}

impl<'a> Reply<'a> {
    fn of(ctx: &ReplyCtx, settlement: &'a Settlement) -> Self {
        let (target, span) = (&settlement.target, ctx.span());
        let raw = |text: &'a Option<String>| text.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Self {
            id: settlement.id,
            uid: settlement.uid.to_string(),
            space_name: target.space(),
            service_name: target.service(),
            entity: target.entity(),
            method_name: target.method_name(),
            status: settlement.status.as_str(),
            result: raw(&settlement.result),
            error: raw(&settlement.error),
            headers: raw(&settlement.headers),
            attempts: settlement.attempts,
            responder: settlement.responder.as_deref(),
            reply_to: settlement.reply_to.as_deref(),
            traceparent: span.to_string(),
            trace_id: span.trace_id_hex(),
        }
    }
}
